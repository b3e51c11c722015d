"""The litellm expert without litellm: its lack is told, and no client can name an address or a key."""

import sys

import pytest

from experts.base import Declined, Request, SetupError, Unavailable
from experts.build import build
from experts.card import Card
from experts.litellm_sdk import LiteLLMExpert

TABLE = {"use": "experts.litellm_sdk:LiteLLMExpert", "model": "anthropic/claude-sonnet-5"}


@pytest.fixture
def without_litellm(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)


def ask(**options: object) -> Request:
    return Request(({"role": "user", "content": "hi"},), options)


async def test_a_missing_extra_is_told_at_start_with_its_mend(without_litellm):
    expert = build(TABLE, "experts.a", {"name": "a"})
    with pytest.raises(SetupError, match=r"pip install 'lyceum-gateway\[litellm\]'"):
        await expert.start()
    with pytest.raises(Unavailable, match="litellm is not installed"):
        [chunk async for chunk in expert.stream(ask())]
    await expert.stop()


@pytest.mark.parametrize(
    "field",
    ["api_base", "base_url", "api_key", "model_list", "custom_llm_provider", "extra_headers", "fallbacks"]
    + ["mock_response", "timeout", "num_retries", "litellm_params", "deployment_id", "thinking", "unknown"],
)
def test_a_field_of_litellm_s_own_is_declined(field):
    with pytest.raises(Declined) as caught:
        LiteLLMExpert("a", Card(), model="x")._fields(ask(**{field: "http://attacker"}))
    assert caught.value.about["param"] == field


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
        {"type": "image_url", "image_url": "https://internal/x.png"},
        {"type": "file", "file": {"file_id": "gs://bucket/x"}},
    ],
)
def test_a_part_that_litellm_would_fetch_is_declined(part):
    request = Request(({"role": "user", "content": [{"type": "text", "text": "see http://a"}, part]},))
    with pytest.raises(Declined):
        LiteLLMExpert("a", Card(), model="x")._fields(request)


def test_openai_s_fields_and_parts_inside_the_request_pass():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA//+/"}}
    message = {"role": "user", "content": [{"type": "text", "text": "see http://a"}, image]}
    request = Request((message,), {"temperature": 0, "stream": True, "tools": []})
    fields = LiteLLMExpert("a", Card(), model="x")._fields(request)
    usage = {"include_usage": True}
    expected = {"messages": [message], "temperature": 0, "stream": True, "tools": [], "stream_options": usage}
    assert fields == expected


def test_a_key_is_read_from_the_environment(monkeypatch):
    expert = LiteLLMExpert("a", Card(), model="x", url="http://h", api_key_env="LYCEUM_TEST_KEY", arguments={"a": 1})
    with pytest.raises(SetupError, match="set the environment variable LYCEUM_TEST_KEY"):
        expert._own()
    monkeypatch.setenv("LYCEUM_TEST_KEY", "k")
    retries = {"max_retries": 0, "num_retries": 0}
    assert expert._own() == {"model": "x", "api_base": "http://h", "api_key": "k", "a": 1, **retries}

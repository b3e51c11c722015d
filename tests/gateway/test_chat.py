"""The chat dialect over a real server, with the openai SDK and raw HTTP."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from experts.base import Request
from tests.gateway.conftest import OTHER, make_door, scripted, serving

HELLO: Any = [{"role": "user", "content": "hi"}]


async def test_the_openai_client_gets_a_whole_answer(served):
    answer = await served.openai().chat.completions.create(model="auto", messages=HELLO)

    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "first"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_the_openai_client_gets_a_stream_with_usage_if_it_asks_for_it(served):
    stream = await served.openai().chat.completions.create(
        model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )

    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[-1].usage is not None
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


async def test_a_stream_has_no_usage_unless_asked_and_ends_once(served):
    response = await served.ask(stream=True)

    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]

    assert events[-1] == "[DONE]"
    assert events.count("[DONE]") == 1
    assert not any("usage" in json.loads(event) for event in events[:-1])
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "stop"


async def test_answers_are_strictly_what_openai_types_describe(served):
    whole = await served.ask()
    stream = await served.ask(stream=True)

    ChatCompletion.model_validate(whole.json(), strict=True)
    events = [line.removeprefix("data: ") for line in stream.text.splitlines() if line.startswith("data: {")]
    assert len(events) > 1
    for event in events:
        ChatCompletionChunk.model_validate_json(event, strict=True)


async def test_every_answer_explains_itself_in_headers(served):
    for stream in (False, True):
        response = await served.ask(stream=stream)

        assert response.headers["x-lyceum-expert"] == "first"
        assert response.headers["x-lyceum-decision"] == response.headers["x-request-id"]
    assert float((await served.ask()).headers["x-lyceum-cost"]) > 0


async def test_tools_and_unknown_fields_reach_the_expert_untouched(tmp_path):
    seen: list[Request] = []
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]

    def answer(request: Request) -> Any:
        seen.append(request)
        return {"role": "assistant", "content": None, "tool_calls": calls}

    tools = [{"type": "function", "function": {"name": "f", "parameters": {"deep": [{"x": None}]}}}]
    async with serving(make_door(tmp_path, [scripted("only", answer)])) as served:
        whole = await served.ask(tools=tools, odd={"kept": [1, 2]}, seed=7)

    assert seen[0].options["tools"] == tools
    assert seen[0].options["odd"] == {"kept": [1, 2]}
    assert whole.json()["choices"][0]["message"]["tool_calls"] == calls


@pytest.mark.parametrize("model", ["second", "auto", "auto:0.5", "named"])
async def test_the_model_is_the_dial(tmp_path, model):
    from policies.pick import Only

    experts = [scripted("first"), scripted("second")]
    async with serving(make_door(tmp_path, experts, named=Only("second"))) as served:
        response = await served.ask(model=model)

    assert response.status_code == 200
    assert response.headers["x-lyceum-expert"] == ("first" if model.startswith("auto") else "second")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 5}, "model", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": 1}, "stream_options", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"n": -1}, "n", "invalid_value"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it(served, body, param, code):
    response = await served.ask(**body)

    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")


async def test_a_bound_is_written_so_that_it_can_be_read(served):
    response = await served.ask(max_tokens=10**9)

    assert response.json()["error"]["message"] == "max_tokens must be between 1 and 10,000,000."


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"a": NaN}', b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000])
async def test_what_is_not_json_is_a_400(served, body):
    response = await served.http().post("/v1/chat/completions", content=body)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize("model", ["nobody", "auto:", "auto:-1", "auto:nan", "auto:inf", "x" * 10_000, "../etc"])
async def test_an_unknown_model_is_a_404(served, model):
    with pytest.raises(openai.NotFoundError) as caught:
        await served.openai().chat.completions.create(model=model, messages=HELLO)

    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "größe 2", "50%"])
async def test_a_model_of_any_name_can_be_looked_up_by_the_sdk(tmp_path, name):
    async with serving(make_door(tmp_path, [scripted(name)])) as served:
        assert (await served.openai().models.retrieve(name)).id == name


async def test_a_wrong_key_is_a_401_with_one_message(served):
    refusals = []
    for key in ("wrong", "x y", "lyc-test-ke", "lyc-test-key2", "é"):
        headers = {"authorization": f"Bearer {key}".encode()}
        response = await served.http(None).post("/v1/chat/completions", json={}, headers=headers)
        refusals.append((response.status_code, response.json()["error"]["message"]))

    assert refusals[0][0] == 401
    assert len(set(refusals)) == 1


async def test_a_decision_is_told_to_its_own_key_alone(served):
    decision = (await served.ask()).headers["x-lyceum-decision"]

    mine = await served.http().get(f"/v1/decisions/{decision}")
    foreign = await served.http(OTHER).get(f"/v1/decisions/{decision}")

    story = mine.json()
    assert story["decisions"][0]["experts"] == ["first"]
    assert set(story["decisions"][0]["estimates"]) == {"first", "second"}
    assert story["outcomes"][0]["cost"] > 0
    assert foreign.status_code == 404


async def test_a_dry_run_explains_and_spends_nothing(served):
    response = await served.http().post("/v1/route", json={"model": "auto", "messages": HELLO})

    body = response.json()
    assert body["experts"] == ["first"]
    assert body["why"]
    assert [candidate["expert"] for candidate in body["candidates"]] == ["first", "second"]
    assert served.ledger("outcomes") == []


async def test_the_models_are_the_dial_the_policies_and_the_experts(served):
    models = await served.openai().models.list()

    assert [model.id for model in models.data] == ["auto", "first", "second"]
    assert (await served.openai().models.retrieve("second")).id == "second"
    assert (await served.http().get("/v1/models/nobody")).status_code == 404

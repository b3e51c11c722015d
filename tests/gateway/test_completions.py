"""Text without turns: native where an expert has the endpoint, translated where it can be said, else refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import openai
import orjson
import pytest
from openai.types import Completion

from experts.base import BrokenOff, Request
from tests.gateway.conftest import CARD, make_door, scripted, serving
from tests.gateway.endpoints import gateway, json_reply, stream_reply

NATIVE = replace(CARD, dialects=frozenset({"chat", "completions"}))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def choice(text: str, index: int = 0, reason: str | None = "stop") -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


HEAD = {"id": "theirs", "object": "text_completion", "created": 1, "model": "their-model"}
WHOLE = {**HEAD, "choices": [choice("one"), choice("two", 1)], "usage": USAGE}


def event(*choices: Any, **more: Any) -> bytes:
    return b"data: " + orjson.dumps({**HEAD, "choices": choices, **more}) + b"\n\n"


STREAM = stream_reply(
    event(choice("o", reason=None)),
    event(choice("two", 1)),
    event(choice("ne")),
    event(usage=USAGE),
    b"data: [DONE]\n\n",
)


@pytest.mark.parametrize("prompt", ["say", ["say", "more"], [1, 2, 3], [[1], [2, 3]]])
async def test_an_expert_of_the_dialect_gets_the_prompt_as_it_came(tmp_path, prompt):
    async with gateway(tmp_path, {"/v1/completions": json_reply(WHOLE)}, card=NATIVE) as (served, seen):
        answer = await served.openai().completions.create(model="server", prompt=prompt, logprobs=2, echo=True)

    assert [each.text for each in answer.choices] == ["one", "two"]
    assert answer.model == "server"
    sent = orjson.loads(seen[0][3])
    assert sent == {"model": "their-model", "prompt": prompt, "logprobs": 2, "echo": True}
    assert served.ledger("outcomes")[0]["completion_tokens"] == 2


@pytest.mark.parametrize("wanted", [True, False])
async def test_its_stream_is_passed_on_and_metered_whether_the_client_asks_or_not(tmp_path, wanted):
    async with gateway(tmp_path, {"/v1/completions": STREAM}, card=NATIVE) as (served, seen):
        asked: dict[str, Any] = {"stream_options": {"include_usage": True}} if wanted else {}
        stream = await served.openai().completions.create(model="server", prompt="say", n=2, stream=True, **asked)
        chunks = [chunk async for chunk in stream]

    assert [(c.index, c.text) for chunk in chunks for c in chunk.choices] == [(0, "o"), (1, "two"), (0, "ne")]
    assert [chunk.usage is not None for chunk in chunks] == [False, False, False] + [True] * wanted
    assert orjson.loads(seen[0][3])["stream_options"] == {"include_usage": True}
    row = served.ledger("outcomes")[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["cost"]) == (3, 2, 7000)


async def test_a_chat_expert_is_asked_as_a_user_would(tmp_path):
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "it follows"

    async with serving(make_door(tmp_path, [scripted("talker", answer)])) as served:
        client = served.openai()
        whole = await client.completions.create(model="auto", prompt="What then?", max_tokens=9, stop=["x"], echo=False)
        stream = await client.completions.create(
            model="auto", prompt=["What then?"], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    assert whole.choices[0].text == "".join(c.text for chunk in chunks for c in chunk.choices) == "it follows"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert asked[0].messages == ({"role": "user", "content": "What then?"},)
    assert asked[0].options == {"max_tokens": 9, "stop": ["x"]}


async def test_answers_are_strictly_what_openai_types_describe(tmp_path):
    async with serving(make_door(tmp_path, [scripted("talker", "one two")])) as served:
        body = {"model": "auto", "prompt": "x"}
        whole = await served.http().post("/v1/completions", json=body)
        stream = await served.http().post("/v1/completions", json=body | {"stream": True})

    Completion.model_validate(whole.json(), strict=True)
    assert whole.headers["x-lyceum-expert"] == "talker"
    assert float(whole.headers["x-lyceum-cost"]) > 0
    lines = [line.removeprefix("data: ") for line in stream.text.splitlines() if line]
    assert lines.count("[DONE]") == 1
    for line in lines[:-1]:
        parsed = orjson.loads(line)
        for each in parsed["choices"]:
            each["finish_reason"] = each["finish_reason"] or "stop"  # the type knows only the last one's
        Completion.model_validate(parsed, strict=True)


async def test_choices_of_a_chat_server_become_texts(tmp_path):
    made = {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "length"}
            for i, text in enumerate(["a", None])
        ],
        "usage": USAGE,
    }
    async with gateway(tmp_path, {"/v1/chat/completions": json_reply(made)}) as (served, seen):
        answer = await served.openai().completions.create(model="server", prompt="x", n=2)

    assert [(each.index, each.text, each.finish_reason) for each in answer.choices] == [
        (0, "a", "length"),
        (1, "", "length"),
    ]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5


@pytest.mark.parametrize(
    "more", [{"prompt": ["a", "b"]}, {"prompt": [1]}, {"suffix": "x"}, {"echo": True}, {"logprobs": 0}, {"best_of": 2}]
)
async def test_what_chat_cannot_say_is_one_clear_400(served, more):
    response = await served.http().post("/v1/completions", json={"model": "auto", "prompt": "x"} | more)

    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == "unsupported_feature"
    assert error["param"] == next(iter(more))
    assert "completions dialect" in error["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[1], "a"]}, "prompt"),
        ({"prompt": ["a"] * 3000}, "prompt"),
        ({"model": ""}, "model"),
        ({"stream": 1}, "stream"),
        ({"n": 0}, "n"),
        ({"temperature": 5}, "temperature"),
        ({"stream_options": []}, "stream_options"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it(served, change, param):
    response = await served.http().post("/v1/completions", json={"model": "auto", "prompt": "x"} | change)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_an_answer_that_breaks_off_ends_with_an_error_and_without_done(tmp_path):
    fail = BrokenOff("it broke", after=2)
    async with serving(make_door(tmp_path, [scripted("talker", "one two three", fail=fail)])) as served:
        body = {"model": "auto", "prompt": "x", "stream": True}
        response = await served.http().post("/v1/completions", json=body)

    assert "[DONE]" not in response.text
    assert '"error"' in response.text


async def test_a_whole_answer_without_a_text_is_replaced(tmp_path):
    replies = {"/v1/completions": json_reply({"choices": []})}
    async with gateway(tmp_path, replies, card=NATIVE) as (served, _):
        with pytest.raises(openai.InternalServerError):
            await served.openai().completions.create(model="server", prompt="x")
        answer = await served.openai().completions.create(model="auto", prompt="x")

    assert answer.model == "talker"

"""Answers in the Messages dialect by experts that speak chat only: Anthropic's own client, and its types, strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from pydantic import TypeAdapter

from experts import sse
from experts.base import BrokenOff, Expert
from experts.llamacpp import LlamaCppExpert
from gateway.idempotency import Idempotency
from gateway.replays import Replays
from tests.gateway.answers import Says, tool_call
from tests.gateway.conftest import KEY, Served, make_door, serving

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
HELLO = {"role": "assistant"}, {"content": "Hello"}, {"content": " there"}
USER: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {"name": "get_weather", "description": "weather", "input_schema": {"type": "object", "properties": {}}}


@asynccontextmanager
async def answering(folder: Path, *experts: Expert) -> AsyncIterator[Served]:
    async with serving(make_door(folder, experts)) as served:
        yield served


@asynccontextmanager
async def claude(served: Served, key: str = KEY) -> AsyncIterator[anthropic.AsyncAnthropic]:
    client = anthropic.AsyncAnthropic(base_url=served.url, api_key=key, max_retries=0)
    try:
        yield client
    finally:
        await client.close()


async def post(served: Served, **body: Any) -> dict[str, Any]:
    response = await served.http().post(
        "/v1/messages", json={"model": "auto", "max_tokens": 99, "messages": USER} | body
    )
    assert response.status_code == 200, response.text
    Message.model_validate_json(response.content, strict=True)
    found: dict[str, Any] = response.json()
    return found


async def stream(served: Served, **body: Any) -> list[dict[str, Any]]:
    body = {"model": "auto", "max_tokens": 99, "messages": USER, "stream": True} | body
    response = await served.http().post("/v1/messages", json=body)
    assert response.status_code == 200, response.text
    events = sse.Reader().feed(response.content)
    for event in events:
        if event.name not in (b"ping", b"error"):
            assert EVENT.validate_json(event.data, strict=True).type.encode() == event.name
    return [orjson.loads(event.data) for event in events]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def test_an_answer_is_a_message_with_true_counts(tmp_path):
    """What was read from a cache is not among the input tokens of this dialect."""
    async with answering(tmp_path, Says("one", *HELLO)) as served, claude(served) as client:
        raw = await client.messages.with_raw_response.create(model="auto", max_tokens=9, messages=USER)
        made = await raw.parse()

    block = made.content[0]
    assert block.type == "text"
    assert block.text == "Hello there"
    assert (made.stop_reason, made.model) == ("end_turn", "one")
    used = made.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.output_tokens) == (40, 60, 20)
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.headers["x-lyceum-expert"] == "one"


async def test_a_stream_is_the_protocols_events_in_their_order(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        events = await stream(served)

    assert types(events) == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"]["output_tokens"] == 20


async def test_anthropics_client_follows_a_stream_to_the_same_message(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served, claude(served) as client:
        manager = client.messages.stream(model="auto", max_tokens=9, messages=USER)
        async with manager as events:
            texts = [text async for text in events.text_stream]
            final = await events.get_final_message()

    assert texts == ["Hello", " there"]
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 20)


async def test_a_tool_is_used_and_its_result_comes_back_to_the_expert(tmp_path):
    expert = Says("one", {"content": "wait"}, tool_call(0, "get_weather", '{"x": 1}'), reason="stop")
    async with answering(tmp_path, expert) as served, claude(served) as client:
        made = await client.messages.create(model="auto", max_tokens=9, messages=USER, tools=[TOOL])
        result: Any = [{"type": "tool_result", "tool_use_id": "call_0", "content": "sunny", "is_error": False}]
        turns: Any = [*USER, {"role": "assistant", "content": made.content}, {"role": "user", "content": result}]
        await client.messages.create(model="auto", max_tokens=9, messages=turns, tools=[TOOL])

    assert [block.type for block in made.content] == ["text", "tool_use"]
    assert made.stop_reason == "tool_use"
    assistant, tool = expert.seen[1].messages[1:]
    assert orjson.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"x": 1}
    assert (tool["role"], tool["tool_call_id"], tool["content"]) == ("tool", "call_0", "sunny")


async def test_a_streamed_use_of_a_tool_is_a_block_of_pieces_of_json(tmp_path):
    pieces = {"tool_calls": [{"index": 0, "function": {"arguments": piece}} for piece in ('{"x":', " 1}")]}
    deltas = tool_call(0, "get_weather", ""), pieces, tool_call(1, "get_weather", "{}")
    async with answering(tmp_path, Says("one", *deltas, reason="tool_calls")) as served, claude(served) as client:
        events = await stream(served, tools=[TOOL])
        manager = client.messages.stream(model="auto", max_tokens=9, messages=USER, tools=[TOOL])
        async with manager as followed:
            final = await followed.get_final_message()

    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [(block["type"], block["input"]) for block in starts] == [("tool_use", {})] * 2
    assert [block.model_dump()["input"] for block in final.content] == [{"x": 1}, {}]


async def test_thoughts_are_a_block_before_the_text(tmp_path):
    expert = Says("one", {"reasoning_content": "let me see"}, {"content": "4"})
    async with answering(tmp_path, expert) as served:
        whole = await post(served, thinking={"type": "enabled", "budget_tokens": 2000})
        events = await stream(served)

    assert whole["content"][0] == {"type": "thinking", "thinking": "let me see", "signature": ""}
    assert [event["content_block"]["type"] for event in events if "content_block" in event] == ["thinking", "text"]
    assert expert.seen[0].options["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("reason", "stop"), [("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "tool_use")]
)
async def test_the_reason_of_the_end_is_told_in_the_dialects_words(tmp_path, reason, stop):
    async with answering(tmp_path, Says("one", *HELLO, reason=reason)) as served:
        assert (await post(served))["stop_reason"] == stop
        assert (await stream(served))[-2]["delta"]["stop_reason"] == stop


async def test_a_refusal_is_a_text_and_the_reason_of_the_end(tmp_path):
    async with answering(tmp_path, Says("one", {"refusal": "no"})) as served:
        made = await post(served)

    assert (made["content"][0]["text"], made["stop_reason"]) == ("no", "refusal")


async def test_a_stream_that_breaks_ends_with_an_error_and_no_message_stop(tmp_path):
    """Row 8."""
    async with answering(tmp_path, Says("one", *HELLO, error=BrokenOff("broken"))) as served, claude(served) as client:
        events = await stream(served)
        manager = client.messages.stream(model="auto", max_tokens=9, messages=USER)
        with pytest.raises(anthropic.APIStatusError):
            async with manager as followed:
                await followed.get_final_message()

    assert types(events)[-1] == "error"
    assert not {"message_stop", "message_delta", "content_block_stop"} & set(types(events))
    ErrorResponse.model_validate(events[-1])


@pytest.mark.parametrize("arguments", ['{"x"', "[1]"])
async def test_a_use_of_a_tool_with_what_is_no_object_is_a_502(tmp_path, arguments):
    async with answering(tmp_path, Says("one", tool_call(0, "f", arguments), reason="tool_calls")) as served:
        response = await served.http().post("/v1/messages", json={"model": "auto", "max_tokens": 9, "messages": USER})

    assert response.status_code == 502
    assert response.json()["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/messages", {"model": "auto"}, 400, "invalid_request_error"),
        ("/v1/messages", {"model": "none", "max_tokens": 9, "messages": USER}, 404, "not_found_error"),
        ("/v1/messages/nothing", {}, 404, "not_found_error"),
        (
            "/v1/messages",
            {"model": "auto", "max_tokens": 9, "messages": USER, "tools": [{"type": "bash_20250124", "name": "bash"}]},
            400,
            "invalid_request_error",
        ),
    ],
)
async def test_errors_have_anthropics_form_and_header(tmp_path, path, body, status, kind):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        response = await served.http().post(path, json=body)

    ErrorResponse.model_validate_json(response.content)
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind
    assert response.json()["request_id"] == response.headers["request-id"]


async def test_a_bug_of_ours_is_told_in_anthropics_form(tmp_path):
    class Broken(Says):
        async def stream(self, request):
            raise RuntimeError("a secret path")
            yield

    async with answering(tmp_path, Broken("one")) as served, claude(served) as client:
        with pytest.raises(anthropic.InternalServerError) as caught:
            await client.messages.create(model="auto", max_tokens=9, messages=USER)

    assert "secret" not in str(caught.value)
    assert caught.value.request_id


async def test_the_key_may_come_in_either_header_and_must_be_known(tmp_path):
    """Row 61."""
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        body = {"model": "auto", "max_tokens": 9, "messages": USER}
        statuses = []
        for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"x-api-key": "wrong"}, {}):
            response = await served.http(None).post("/v1/messages", json=body, headers=headers)
            statuses.append(response.status_code)

    assert statuses == [200, 200, 401, 401]
    assert response.json()["error"]["type"] == "authentication_error"


async def test_tokens_are_guessed_where_no_expert_counts_and_said_to_be(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served, claude(served) as client:
        raw = await client.messages.with_raw_response.count_tokens(model="auto", messages=USER, tools=[TOOL])

    assert (await raw.parse()).input_tokens > 20
    assert raw.headers["x-lyceum-estimated"] == "true"
    assert served.ledger("decisions") == []


async def test_the_real_small_model_answers_in_the_dialect(tmp_path, small_model: LlamaCppExpert):
    async with answering(tmp_path, small_model) as served:
        said = {
            "messages": [{"role": "user", "content": "Count from 1 to 5."}],
            "system": "Digits only.",
            "max_tokens": 16,
        }
        whole = await post(served, **said, temperature=0)
        events = await stream(served, **said, temperature=0)

    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert text == whole["content"][0]["text"]
    assert 0 < whole["usage"]["output_tokens"] <= 16
    read = [
        sum(used[f"{kind}input_tokens"] for kind in ("", "cache_read_"))
        for used in (events[-2]["usage"], whole["usage"])
    ]
    assert read[0] == read[1] > 10


async def test_what_is_refused_before_it_is_read_is_refused_in_anthropics_form(tmp_path):
    async with serving(make_door(tmp_path, [Says("one", *HELLO)]), body_mb=0.001) as served:
        response = await served.http().post("/v1/messages", content=b" " * 5000)

    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")
    assert response.headers["request-id"]


async def test_a_key_in_anthropics_header_names_a_request_that_is_run_once(tmp_path):
    door = make_door(tmp_path, [Says("one", *HELLO)])
    door.once = Idempotency(Replays(tmp_path / "replays.sqlite", 1.0))
    async with serving(door) as served:
        headers = {"x-api-key": KEY, "idempotency-key": "a"}
        body = {"model": "auto", "max_tokens": 9, "messages": USER}
        answers = [await served.http(None).post("/v1/messages", json=body, headers=headers) for _ in range(2)]

    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotent-replayed"] == "true"

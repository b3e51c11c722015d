"""Streams in the other dialects: what breaks off is continued and marked, what chat servers tell besides is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from experts import sse
from experts.base import BrokenOff
from experts.openai_http import OpenAIHTTP
from tests.experts import raw
from tests.experts.openai_server import DONE, piece
from tests.experts.raw import STREAM_HEAD, always, answer, chunked
from tests.gateway.answers import ABLE, Says, keeping, strict_events
from tests.gateway.conftest import Served, scripted, serving
from tests.gateway.native_server import Upstream

WHOLE = "one two three four"
ASKED: dict[str, Any] = {
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 99},
}


async def stream(served: Served, dialect: str, **more: Any) -> list[dict[str, Any]]:
    body = {"model": "auto", "stream": True, **ASKED[dialect], **more}
    response = await served.http().post(f"/v1/{dialect}", json=body)
    assert response.status_code == 200, response.text
    if dialect == "responses":
        return strict_events(response.content)
    return [orjson.loads(event.data) for event in sse.Reader().feed(response.content)]


def said(events: list[dict[str, Any]]) -> str:
    deltas = [event["delta"] for event in events if event["type"].endswith("delta") and "delta" in event]
    return "".join(delta if isinstance(delta, str) else delta.get("text", "") for delta in deltas)


@pytest.mark.parametrize("dialect", ASKED)
async def test_a_stream_that_breaks_off_is_continued_and_marked_and_tells_its_cost(tmp_path, dialect):
    """Row 8."""
    broken = Says("broken", {"content": "one "}, {"content": "two "}, error=BrokenOff("cut"))
    async with serving(keeping(tmp_path, broken, scripted("other", WHOLE, continues=True))) as served:
        events = await stream(served, dialect)
        spent = sum(row["cost"] or 0 for row in served.ledger("outcomes"))

    marks = [event["lyceum"] for event in events if "lyceum" in event]
    assert said(events) == WHOLE
    assert marks == [{"continued_by": "other"}, {"cost": spent / 1e9}]
    assert events[-1]["type"] in ("response.completed", "message_stop")


@pytest.mark.parametrize("dialect", ASKED)
async def test_an_expert_of_the_dialect_goes_on_in_chat_with_what_another_began(tmp_path, dialect):
    """A stream keeps the form in which it began; a server of the dialect is asked in chat here."""
    upstream = Upstream(dialect)
    broken = Says("broken", {"content": "one "}, error=BrokenOff("cut"))
    async with raw.serving(upstream.handle) as server:
        other = OpenAIHTTP("other", ABLE, url=server.url + "/v1", continues="prefill")
        async with serving(keeping(tmp_path, broken, other)) as served:
            await stream(served, dialect)

    assert upstream.heads[0].startswith(b"POST /v1/chat/completions ")
    assert upstream.bodies[0]["messages"][-1] == {"role": "assistant", "content": "one"}


@asynccontextmanager
async def behind(folder: Path, handler: raw.Handler) -> AsyncIterator[Served]:
    """A gateway before one server that speaks chat."""
    async with raw.serving(handler) as server:
        expert = OpenAIHTTP("one", ABLE, url=server.url + "/v1")
        async with serving(keeping(folder, expert)) as served:
            yield served


def likely(token: str) -> dict[str, Any]:
    other = {"token": "x", "logprob": -2.5, "bytes": None}
    return {"content": [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [other]}]}


async def test_how_likely_each_token_was_is_passed_on(tmp_path):
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": word}, "logprobs": likely(word), "finish_reason": None}]}
        for word in ("one", " two")
    ]
    events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    handler = always(STREAM_HEAD, *chunked(*events, piece({}, "stop"), DONE))
    async with behind(tmp_path, handler) as served:
        told = await stream(served, "responses", top_logprobs=1)

    deltas = [event for event in told if event["type"] == "response.output_text.delta"]
    assert [each["token"] for event in deltas for each in event["logprobs"]] == ["one", " two"]
    part = told[-1]["response"]["output"][0]["content"][0]
    assert [each["logprob"] for each in part["logprobs"]] == [-0.5, -0.5]


@pytest.mark.parametrize("field", ["matched_stop", "stop_reason"])
async def test_the_sequence_that_ended_an_answer_is_named(tmp_path, field):
    """SGLang and vLLM each have a field for it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop", field: "END"}
    body = orjson.dumps({"object": "chat.completion", "choices": [choice]})
    async with behind(tmp_path, always(answer(body))) as served:
        asked = {**ASKED["messages"], "model": "auto", "stop_sequences": ["END"]}
        made = (await served.http().post("/v1/messages", json=asked)).json()

    assert (made["stop_reason"], made["stop_sequence"]) == ("stop_sequence", "END")

"""Experts that say just what a test wants, and strict readers of what clients of the dialects are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from experts import sse
from experts.base import Chunk, Expert, ExpertError, Request
from experts.card import Card, Price, Usage
from gateway.handlers import Door
from gateway.stored import Stored
from tests.gateway.conftest import Served, make_door, serving

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ABLE = Card(tools=True, modalities=frozenset({"text", "image", "file"}), price=Price(prompt=1.0, completion=2.0))
USED = Usage(100, 20, 60, 8)

# What the Open Responses specification requires of a response, beyond what openai's types do.
REQUIRED = frozenset(
    (
        *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "output", "error"),
        *("previous_response_id", "instructions", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text"),
        *("top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "user"),
        *("usage", "max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata"),
        *("safety_identifier", "prompt_cache_key"),
    )
)


class Says:
    """Streams deltas, or gives them whole, and ends for a reason, or with an error."""

    def __init__(
        self, name: str, *deltas: dict[str, Any], reason: str = "stop", error: ExpertError | None = None
    ) -> None:
        self.name, self.card = name, ABLE
        self.deltas, self.reason, self.error = deltas, reason, error
        self.seen: list[Request] = []

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        self.seen.append(request)
        if not request.stream:
            if self.error:
                raise self.error
            yield Chunk(whole(self.deltas), self.reason, USED, 5)
            return
        for delta in self.deltas:
            yield Chunk(delta)
        if self.error:
            raise self.error
        yield Chunk({}, self.reason, USED, 5)


def whole(deltas: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for delta in deltas:
        for key, value in delta.items():
            message[key] = (message.get(key) or type(value)()) + value
    return message


def tool_call(index: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}


def keeping(folder: Path, *experts: Expert) -> Door:
    """A door that keeps responses."""
    door = make_door(folder, experts)
    door.stored = Stored(folder / "responses.sqlite", 30.0)
    return door


def strict_response(body: bytes) -> dict[str, Any]:
    """A response that openai's own types and the Open Responses specification take without a change."""
    Response.model_validate_json(body, strict=True)
    found: dict[str, Any] = orjson.loads(body)
    assert found.keys() >= REQUIRED
    return found


def strict_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each valid, numbered from 0 without a gap, under its own name."""
    events = sse.Reader().feed(body)
    for number, event in enumerate(events):
        typed = EVENT.validate_json(event.data, strict=True)
        assert typed.type.encode() == event.name
        assert typed.sequence_number == number
    found = [orjson.loads(event.data) for event in events]
    for event in found:
        if "response" in event:
            strict_response(orjson.dumps(event["response"]))
    return found


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


@asynccontextmanager
async def answering(folder: Path, *experts: Expert) -> AsyncIterator[Served]:
    async with serving(keeping(folder, *experts)) as served:
        yield served


async def post(served: Served, **body: Any) -> dict[str, Any]:
    response = await served.http().post("/v1/responses", json={"model": "auto", "input": "hi"} | body)
    assert response.status_code == 200, response.text
    return strict_response(response.content)


async def stream(served: Served, **body: Any) -> list[dict[str, Any]]:
    body = {"model": "auto", "input": "hi", "stream": True} | body
    response = await served.http().post("/v1/responses", json=body)
    assert response.status_code == 200, response.text
    return strict_events(response.content)

"""Answers in OpenAI's form for raw servers to give, and how tests ask for them."""

from typing import Any

import orjson
import pytest

from experts.base import Chunk, ExpertError, Request
from experts.card import Card, Price
from experts.openai_http import Limits, OpenAIHTTP
from tests.experts.raw import STREAM_HEAD, Handler, Server, always, chunked, serving

PRICE = Price(prompt=1.0, completion=2.0)
MESSAGE = {"role": "assistant", "content": "hello", "reasoning_content": None}
WHOLE = {
    "id": "c-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "matched_stop": 151645}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}},
}


def event(payload: Any) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def piece(delta: Any, reason: str | None = None, index: int = 0, **more: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more})


DONE = b"data: [DONE]\n\n"
FIRST = piece({"role": "assistant", "content": ""})
HEL, LO, STOP = piece({"content": "hel"}), piece({"content": "lo"}), piece({}, "stop")
USED = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
GOOD = (FIRST, HEL, LO, STOP, USED, DONE)


def streaming(*events: bytes, pause: float = 0.0) -> Handler:
    return always(STREAM_HEAD, *chunked(*events), pause=pause)


def expert_of(server: Server, **options: Any) -> OpenAIHTTP:
    return OpenAIHTTP("maths", Card(price=PRICE), url=server.url + "/v1", **options)


async def ask(expert: OpenAIHTTP, deadline: float | None = None, **options: Any) -> list[Chunk]:
    request = Request(({"role": "user", "content": "secret prompt"},), options, deadline=deadline)
    return [chunk async for chunk in expert.stream(request)]


async def chunks_of(handler: Handler, **options: Any) -> list[Chunk]:
    async with serving(handler) as server:
        expert = expert_of(server)
        try:
            return await ask(expert, **options)
        finally:
            await expert.stop()


async def failure_of(handler: Handler, **options: Any) -> tuple[ExpertError, int]:
    """The error, and how many chunks came before it."""
    seen: list[Chunk] = []

    async def collect(expert: OpenAIHTTP) -> None:
        async for chunk in expert.stream(Request(({"role": "user", "content": "secret prompt"},), options)):
            seen.append(chunk)

    async with serving(handler) as server:
        expert = expert_of(server, limits=Limits(1, 0.1, 0.1, 0.5))
        with pytest.raises(ExpertError) as caught:
            await collect(expert)
        await expert.stop()
    return caught.value, len(seen)

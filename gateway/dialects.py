"""Answers requests of the dialects besides chat: the same life, another writer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from experts.base import Chunk, Request
from experts.card import Usage
from gateway.chat import money
from gateway.errors import APIError
from gateway.explained import FAILURES, Explaining, explained, explained_by
from gateway.http import Headers, Reply, send_json
from gateway.life import Life
from gateway.run import Result, run

if TYPE_CHECKING:
    from gateway.handlers import Door

STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Writer(Protocol):
    """Writes one answer in a dialect."""

    def whole(self, chunk: Chunk, counted: Usage | None) -> bytes:
        """One JSON body. Raises BrokenOff for what is no whole answer."""
        ...

    def of(self, chunk: Chunk) -> bytes:
        """The events of a chunk."""
        ...

    def end(self, counted: Usage | None, cost: int) -> bytes:
        """The last events; `counted` is the usage, counted by us where the expert told nothing, `cost` nano-dollars.
        Raises BrokenOff if the answer was cut."""
        ...

    def broken(self, error: APIError) -> bytes:
        """The last event of an answer that was cut."""
        ...


Make = Callable[[str], Writer]
"""Makes the writer of an answer that names a model so."""

Keep = Callable[[], Awaitable[None]]
"""Is waited for before the answer is said to be complete."""


async def nothing() -> None:
    """Keeps nothing."""


async def begun(door: Door, request: Request, key: str, headers: Mapping[bytes, bytes]) -> Life:
    """The life of a request, its experts found. Raises APIError."""
    life = door.life(request, key, headers)
    await life.embed()
    life.begin()
    if request.untold and not life.catalog and door.school.crowded(life) is None:
        if not request.spare:
            raise unable(request)
        life.request = replace(life.request, untold="")
        life.begin()
    return life


def left_out(request: Request) -> Headers:
    """Says what of the request the expert was not told."""
    lacks = request.spare and not request.untold
    return [(b"x-lyceum-left-out", request.spare.encode())] if lacks else []


def unable(request: Request) -> APIError:
    """Why nobody can take a request that chat cannot say."""
    if request.untold == "previous_response_id":
        return APIError("previous_response_not_found", param=request.untold)
    message = (
        f"{request.untold} cannot be told in chat completions, and no expert that can take this request speaks"
        f" the {request.dialect} dialect."
    )
    return APIError("unsupported_feature", message, request.untold)


async def respond(
    door: Door, life: Life, reply: Reply, make: Make, more: Headers | None = None, keep: Keep = nothing
) -> None:
    """Answers a request, whole or as events. Raises APIError, ExpertError, LedgerUnavailable before the first byte."""
    with Explaining(life) as told:
        result = await run(life)
        told.expert = result.expert
        writer = make(door.model_of(life.request, result))
        about = [*explained_by(result), *left_out(life.request), *(more or [])]
        async with aclosing(result.chunks):
            if life.request.stream:
                await reply.start(200, [*STREAM, *about])
                await reply.write(await streamed(life, result, writer, reply, keep))
                await reply.end()
                return
            async for chunk in result.chunks:
                body = writer.whole(chunk, life.usage)
                await keep()
                cost = (b"x-lyceum-cost", money(result.spent + (chunk.cost or 0)))
                await send_json(reply, body, 200, [*about, cost])


async def streamed(life: Life, result: Result, writer: Writer, reply: Reply, keep: Keep) -> bytes:
    """Writes all events but the last, which it gives back."""
    try:
        async with aclosing(result.chunks) as chunks:
            async for chunk in chunks:
                if event := writer.of(chunk):
                    await reply.write(event)
        last = writer.end(life.usage, life.total)
        await keep()
    except FAILURES as error:
        return writer.broken(explained(life, error, result.expert))
    return last

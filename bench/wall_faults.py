"""Every fault of the fault expert that each call has on its own, by the name of the model that has it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import orjson

from bench.wall_talk import DONE, HEAD, Call, chunked, event, events, plain, whole

Fault = Callable[[Call], Awaitable[None]]
PACE = 0.002
SILENCE, SLOW_FIRST, STALL = 12.0, 2.0, 3.0
"""Seconds at scale 1; a tenth of the published benchmark's."""


async def ok(call: Call) -> None:
    """All is well."""
    if not call.body.get("stream"):
        call.made(len(call.pieces))
        await call.talk.json(whole(call))
        return
    await told(call, events(call))


async def told(call: Call, pieces: list[bytes], end: bool = True) -> None:
    """A stream of these events; words are made as they are said."""
    await call.talk.say(HEAD)
    words = 0
    for piece in pieces:
        words += b'"delta":{"content":' in piece
        call.made(words)
        await call.talk.say(chunked(piece))
    if end:
        await call.talk.say(b"0\r\n\r\n")
    else:
        call.close()


async def paced(call: Call) -> None:
    """Makes a word now and then until the caller hangs up, and charges what it made. The usage so far comes with every
    event for a caller that asked for it so."""
    streams = bool(call.body.get("stream"))
    counts = (call.body.get("stream_options") or {}).get("continuous_usage_stats")
    if streams:
        await call.talk.say(HEAD)
    for words, piece in enumerate(call.pieces, 1):
        await asyncio.sleep(PACE * call.scale)
        if call.talk.gone:
            call.close()
            return
        call.made(words)
        if streams:
            used: dict[str, Any] = {"usage": call.usage(words)} if counts else {}
            await call.talk.say(chunked(event({"content": piece}, **used)))
    if streams:
        await call.talk.say(b"".join(map(chunked, events(call)[-3:])) + b"0\r\n\r\n")
    else:
        await call.talk.json(whole(call))


def refused(status: str, more: str = "", first: bool = False, **error: str) -> Fault:
    """An error status, each time or only the `first`."""

    async def fault(call: Call) -> None:
        if first and call.tries > 1:
            await ok(call)
        else:
            await call.talk.json({"error": {"message": "by design", **error}}, status, more)

    return fault


async def reset(call: Call) -> None:
    """The connection ends before a byte, once."""
    if call.tries > 1:
        await ok(call)
    else:
        call.close()
        call.talk.reset()


async def silent(call: Call) -> None:
    call.close()
    await call.sleep(SILENCE)


async def slow_first(call: Call) -> None:
    """The head at once, the first token late."""
    await call.talk.say(HEAD)
    await call.sleep(SLOW_FIRST)
    await told(call, events(call))


def cut(after: int) -> Fault:
    """So many words, then the connection ends."""

    async def fault(call: Call) -> None:
        await told(call, events(call)[: after + 1], end=False)

    return fault


async def stall(call: Call) -> None:
    """Twenty words, then nothing, then the end."""
    await told(call, events(call)[:21], end=False)
    await call.sleep(STALL)


async def drip(call: Call) -> None:
    """A byte every half second, for ever: only the total deadline ends it."""
    await call.talk.say(HEAD)
    call.made(1)
    for byte in b"".join(events(call)):
        await call.sleep(0.5)
        await call.talk.say(chunked(bytes([byte])))


def garbled(tenth: bytes) -> Fault:
    """The tenth event is something else."""

    async def fault(call: Call) -> None:
        pieces = events(call)
        await told(call, [*pieces[:9], tenth, *pieces[10:]])

    return fault


async def no_done(call: Call) -> None:
    await told(call, events(call)[:-1])


async def takes_no_beginning(call: Call) -> None:
    """Refuses a last message of the assistant."""
    if call.body["messages"][-1]["role"] == "assistant":
        await refused("400 Bad Request", code="invalid_request_error")(call)
    else:
        await ok(call)


async def cut_at(call: Call) -> None:
    """Ends after as many bytes of the body as the prompt's last word says."""
    pieces = events(call) if call.body.get("stream") else [orjson.dumps(whole(call))]
    body = b"".join(pieces)
    part = body[: max(1, call.argument % len(body))]
    call.made(part.count(b'"delta":{"content":') if call.body.get("stream") else len(call.pieces))
    if call.body.get("stream"):
        await call.talk.say(HEAD + chunked(part))
    else:
        await call.talk.say(plain(body)[: -len(body)] + part)
    call.close()


def written(write: Callable[[bytes], list[bytes]]) -> Fault:
    """The right events, written in another way."""

    async def fault(call: Call) -> None:
        call.made(len(call.pieces))
        await call.talk.say(HEAD)
        for piece in write(b"".join(events(call))):
            await call.talk.say(chunked(piece))
        await call.talk.say(b"0\r\n\r\n")

    return fault


def answered(make: Callable[[Call], bytes]) -> Fault:
    """A whole answer of these bytes, after which the connection ends."""

    async def fault(call: Call) -> None:
        call.close()
        await call.talk.say(make(call))

    return fault


def counted(**usage: float) -> Fault:
    """The right words with such a usage, or none."""

    async def fault(call: Call) -> None:
        words = len(call.pieces)
        told_ = {**call.usage(words), **usage} if usage else None
        pieces = events(call)[:-2]
        used = event({}, usage=told_, choices=[]) if told_ else b""
        await told(call, [*pieces, used, DONE])

    return fault


async def twice_used(call: Call) -> None:
    """The usage comes twice; it is charged once."""
    pieces = events(call)
    await told(call, [*pieces[:-1], pieces[-2], DONE])


async def half_closed(call: Call) -> None:
    """Answers, and closes the kept connection right after."""
    await ok(call)
    call.close()


@cache
def bomb() -> bytes:
    """A compressed answer that nobody asked for, a thousand times larger inside."""
    return plain(zlib.compress(b" " * 50_000_000), more="content-encoding: deflate\r\n")


FAULTS: dict[str, Fault] = {
    "ok": ok,
    "paced": paced,
    "no-prefill": takes_no_beginning,
    "S01": refused("429 Too Many Requests", "retry-after: 2\r\n", first=True),
    "S02": refused("429 Too Many Requests"),
    "S03": refused("500 Internal Server Error", first=True),
    "S04": refused("503 Service Unavailable"),
    "S05": reset,
    "S06": silent,
    "S07": slow_first,
    "S08": cut(40),
    "S09": stall,
    "S10": garbled(b"data: {broken\n\n"),
    "S11": no_done,
    "S12": refused("400 Bad Request", code="context_length_exceeded"),
    "S13": refused("400 Bad Request", code="content_policy_violation"),
    "S14": cut(40),
    "S16": refused("503 Service Unavailable"),
    "R02": refused("429 Too Many Requests", "retry-after: 1e9\r\nretry-after-ms: NaN\r\n"),
    "R06": drip,
    "R08": cut_at,
    "R09-cr": written(lambda data: [data.replace(b"\n", b"\r")]),
    "R09-bytes": written(lambda data: [data[i : i + 1] for i in range(len(data))]),
    "R09-comments": written(lambda data: [data.replace(b"data: {", b": hello\n\nid: 1\nretry: 5\ndata: {")]),
    "R09-done-twice": written(lambda data: [data, DONE, event({"content": "late"})]),
    "R09-error": garbled(b'event: error\ndata: {"message": "by design"}\n\n'),
    "R09-long": garbled(b"data: " + b"x" * 3_000_000),
    "R10-none": counted(),
    "R10-negative": counted(prompt_tokens=-5),
    "R10-huge": counted(completion_tokens=1e30),
    "R10-twice": twice_used,
    "R11-error": answered(lambda _: plain(b'{"object":"error","message":"The request queue is full.","code":503}')),
    "R11-html": answered(lambda _: plain(b"<html>hello</html>", kind="text/html")),
    "R11-empty": answered(lambda _: plain(b"")),
    "R12-bomb": answered(lambda _: bomb()),
    "R12-headers": answered(lambda _: plain(b"{}", more="x-a: b\r\n" * 10_000)),
    "R12-early": answered(lambda call: plain(b"x" * 99)[:-50]),
    "R12-redirect": answered(lambda _: plain(b"", "302 Found", more="location: http://127.0.0.1:1/v1\r\n")),
    "R12-nonsense": answered(lambda _: b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "R16": refused("500 Internal Server Error"),
    "R19": half_closed,
}

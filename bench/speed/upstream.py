"""An upstream that is never the limit: a bare protocol with answers encoded beforehand, in a process of its own.

It answers every POST with one completion, or, where `"stream": true` is asked, with a stream whose number of chunks and
pace are read from the prompt (`pace`). Every chunk carries the time at which it was sent, so a delay is exact.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import sys
import time
from typing import Any, cast

import uvloop

MODEL = "mock"
PACE = re.compile(rb"send (\d+) chunks, one each (\d+) us")
STREAMED = re.compile(rb'"stream"\s*:\s*true')
COUNTED = re.compile(rb'"include_usage"\s*:\s*true')
DIGITS = 20
BEGUN = itertools.count()
GOLDEN = 0.618034
"""Streams that begin together are spread evenly over their pace: a real upstream has no common clock either."""
BACKLOG = 8192

ANSWER_WORDS = "The train needs three hours; it is due at noon. " * 12
USAGE = {"prompt_tokens": 250, "completion_tokens": 120, "total_tokens": 370}


def pace(chunks: int, micros: int) -> str:
    """The words of a prompt that ask for a stream."""
    return f"send {chunks} chunks, one each {micros} us"


def _json(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _plain(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


def _answer() -> bytes:
    message = {"role": "assistant", "content": ANSWER_WORDS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _json(
        id="chatcmpl-0123456789abcdef",
        object="chat.completion",
        created=1_760_000_000,
        model=MODEL,
        choices=[choice],
        usage=USAGE,
        system_fingerprint="fp_mock",
    )


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % _json(**EVENT, choices=[choice])


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


EVENT = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": MODEL}
PLAIN = _plain(_answer())
CARD = {"id": MODEL, "object": "model", "created": 1_760_000_000, "owned_by": "bench", "max_model_len": 1_000_000}
INFORMATION = _plain(_json(object="list", data=[CARD], model_path=MODEL, status="ok", is_generation=True, version="1"))
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n" + _chunked(_event({"role": "assistant", "content": ""}))
)
BEFORE, _, AFTER = _chunked(_event({"content": "@" + "#" * DIGITS + "@"})).partition(b"#" * DIGITS)
LAST = _chunked(_event({}, "stop"))
SUM = _chunked(b"data: %b\n\n" % _json(**EVENT, choices=[], usage=USAGE))
DONE = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def stamped() -> bytes:
    """A chunk with the nanoseconds of the clock that all processes of a machine share."""
    return BEFORE + b"%020d" % time.monotonic_ns() + AFTER


def size_of(data: bytes) -> int:
    """The bytes of the first request in `data`; 0 while it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = data[:end].lower()
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        size = end + 4 + int(head[place + 17 :].partition(b"\r\n")[0])
        return size if size <= len(data) else 0
    if b"\r\ntransfer-encoding: chunked" in head:
        last = data.find(b"\r\n0\r\n\r\n", end)
        return last + 7 if last >= 0 else 0
    return end + 4


class Upstream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        self.kept = b""

    def data_received(self, data: bytes) -> None:
        if self.kept:
            data = self.kept + data
        while data and (size := size_of(data)):
            self.answer(data[:size])
            data = data[size:]
        self.kept = data

    def answer(self, request: bytes) -> None:
        """Answers one request at once, or begins its stream."""
        if not request.startswith(b"POST"):
            self.transport.write(INFORMATION)
        elif STREAMED.search(request):
            found = PACE.search(request)
            count, micros = (int(found[1]), int(found[2])) if found else (1, 0)
            Paced(self.transport, count, micros / 1e6, COUNTED.search(request) is not None).begin()
        else:
            self.transport.write(PLAIN)


class Paced:
    """One stream: so many chunks, each due a fixed time after the one before; a late one is sent at once."""

    __slots__ = ("counted", "due", "every", "left", "loop", "transport")

    def __init__(self, transport: asyncio.Transport, count: int, every: float, counted: bool) -> None:
        self.transport, self.left, self.every, self.counted = transport, count, every, counted
        self.loop = asyncio.get_running_loop()
        self.due = self.loop.time() + every * (next(BEGUN) * GOLDEN % 1.0 - 1.0)

    def begin(self) -> None:
        """The head with the first chunk."""
        self.transport.write(HEAD + stamped())
        self.next()

    def send(self) -> None:
        """One chunk in a write of its own."""
        if not self.transport.is_closing():
            self.transport.write(stamped())
            self.next()

    def next(self) -> None:
        """Waits for the next chunk, or ends."""
        self.left -= 1
        if self.left > 0:
            self.due += self.every
            self.loop.call_at(self.due, self.send)
        else:
            self.transport.write(LAST + (SUM if self.counted else b"") + DONE)


async def serve(port: int) -> None:
    """Listens until the process ends; says on which port."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=BACKLOG)
    async with server:
        sys.stdout.write(f"port {server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


def main() -> None:
    """`python -m bench.speed.upstream`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()

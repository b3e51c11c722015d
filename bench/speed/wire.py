"""The load generator's end of a connection: one request at a time, its answer read with as little work as can be."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import orjson

UNREAD, CHUNKED, UNTIL_CLOSE = -1, 1 << 60, 1 << 61
NUMBER = "000000000000"
WORDS = "The train leaves at nine, stops at every station and arrives at noon. "

Done = Callable[["Asker"], None]

LONGEST = 100_000
"""Tokens that a stream may have: a gateway that holds answers to their cap is to pass all of it on."""


class Payload:
    """The bytes of a request; each one's prompt has a number of its own, so that no cache knows it."""

    def __init__(
        self, target: Mapping[str, Any], size: int, stream: str = "", same: bool = False, first: int = 0
    ) -> None:
        """`target` has host, port, path, model and headers; `size` is the body's, about; `stream` asks for one;
        `same`: all are alike after all; else they are numbered from `first`."""
        body = self._body(target["model"], size, stream)
        headers = {
            "host": f"{target['host']}:{target['port']}",
            "content-type": "application/json",
            "accept": "*/*",
            "user-agent": "lyceum-bench",
            **target["headers"],
            "content-length": str(len(body)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"POST {target['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body
        self.before, _, self.after = whole.rpartition(NUMBER.encode())
        self.numbers: Iterator[int] = itertools.repeat(0) if same else itertools.count(first)

    def _body(self, model: str, size: int, stream: str) -> bytes:
        prompt = f"{NUMBER} {stream} "
        fields: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": "You answer briefly."},
                {"role": "user", "content": prompt},
            ],
            "temperature": 0.7,
            "max_tokens": LONGEST if stream else 128,
            "stream": bool(stream),
        }
        missing = size - len(orjson.dumps(fields))
        fields["messages"][1]["content"] = prompt + (WORDS * (missing // len(WORDS) + 1))[: max(0, missing)]
        return orjson.dumps(fields)

    def next(self) -> bytes:
        """The next request."""
        return self.before + b"%012d" % next(self.numbers) + self.after


class Asker(asyncio.Protocol):
    """One keep-alive connection. `done` is called when an answer is whole, or when it never will be (`failed`)."""

    def __init__(self, done: Done, on_body: Callable[[bytes], None] | None = None) -> None:
        self.done, self.on_body = done, on_body
        self.busy = self.closed = False
        self.failed = ""
        self.sent = self.due = 0.0
        """When it was written and when it should have been; the one who asks sets them."""
        self.reset()

    def reset(self) -> None:
        """Ready for the next answer."""
        self.head = self.tail = b""
        self.need = UNREAD
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes

    def ask(self, payload: bytes) -> None:
        """Writes a request."""
        self.busy = True
        self.transport.write(payload)

    def data_received(self, data: bytes) -> None:
        if self.need == UNREAD:
            data = self.head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head = data
                return
            self.head = data[: end + 2].lower()
            self.status, self.need = int(data[9:12]), length(self.head)
            data = data[end + 4 :]
        if self.on_body is not None:
            self.on_body(data)
        if self.need == CHUNKED:
            self.tail = (self.tail + data)[-7:]
            if self.tail in (b"\r\n0\r\n\r\n", b"0\r\n\r\n"):
                self.finish("")
        else:
            self.need -= len(data)
            if self.need <= 0:
                self.finish("")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.busy:
            self.finish("" if self.need > CHUNKED else "connection closed")

    def finish(self, failed: str) -> None:
        """The answer is whole, or lost."""
        self.failed = failed or ("" if self.status == 200 else f"status {self.status}")
        if b"\r\nconnection: close" in self.head:
            self.closed = True
            self.transport.close()
        self.busy = False
        self.reset()
        self.done(self)


def length(head: bytes) -> int:
    """The bytes of the body that a head in small letters announces, or how its end is told."""
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        return int(head[place + 17 :].partition(b"\r\n")[0])
    return CHUNKED if b"\r\ntransfer-encoding: chunked" in head else UNTIL_CLOSE

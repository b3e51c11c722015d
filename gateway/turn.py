"""One request and its answer on a connection of our own protocol: what goes out, and how fast the client takes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from experts.slots import slotted
from gateway.chat import money
from gateway.http import Handler, Headers, HTTPCall
from gateway.metrics import Count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.habits import Habit

LEFT = 499
STATUS_LINES = {each.value: b"HTTP/1.1 %d %s\r\n" % (each.value, each.phrase.encode()) for each in HTTPStatus}
STATUSES = {status: str(status) for status in (*STATUS_LINES, LEFT)}
"""As Prometheus is told of them."""
CLOSE = b"connection: close\r\n"
EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
"""What begins the head of a stream."""


class Head(Struct, eq=False):
    """What the head of a request means: one for all requests whose heads are the same."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    """Names are lower-case."""
    route: str
    handler: Handler
    query: str = ""
    hot: bool = False
    """Whether such requests may be answered in callbacks."""
    key: str = ""
    """Who asks, once that is known and for as long as it cannot change; else empty."""
    fine: Count = field(default_factory=Count)
    """Its route's."""
    habit: Habit | None = None
    """Of the last requests with it."""


@lru_cache(maxsize=4096)
def sized(size: int) -> bytes:
    """The line before a chunk of HTTP."""
    return b"%x\r\n" % size


class Answering(Protocol):
    """What is at work on an answer."""

    def cancel(self) -> object: ...


class Line(Protocol):
    """What a turn needs of its connection."""

    closing: bool
    """Whether the connection ends after this answer."""
    paused: bool
    """Whether the client is slow: what is sent now only piles up."""
    on_writable: Callable[[], None] | None
    """Called once when it is no longer."""

    def send(self, data: bytes) -> None: ...

    def over(self, turn: Turn) -> None:
        """The answer is complete: the connection may take the next request."""
        ...

    def spawn(self, turn: Turn, handler: Handler) -> None:
        """Answers the turn in a task."""
        ...

    def abort(self) -> None:
        """Breaks the connection."""
        ...

    async def drained(self) -> None:
        """Waits while the client is slow."""
        ...


@slotted
class Turn(Struct, eq=False):
    """A reply that can be written without waiting (`respond`, `put`) or with (`write`, as handlers do)."""

    line: Line
    head: Head
    body: bytes
    id: str
    old: bool = False
    """HTTP/1.0: no chunks, the connection ends the answer."""
    chunked: bool = False
    status: int = LEFT
    by: Answering | None = None
    """Who answers, until the answer is complete: cancelled when the client leaves before."""

    @property
    def started(self) -> bool:
        return self.status != LEFT

    def call(self) -> HTTPCall:
        """The request as a handler sees it."""
        head = self.head
        return HTTPCall(head.method, head.path, head.headers, self.body, self.id, head.query)

    def answer(self, expert: str, cost: int, body: bytes) -> None:
        """A whole 200 of JSON in one write, with what explains it; `cost` in nano-dollars."""
        told = (b"x-lyceum-expert", expert.encode()), (b"x-lyceum-decision", self.id.encode())
        self.respond(200, [(b"content-type", b"application/json"), *told, (b"x-lyceum-cost", money(cost))], body)

    def stream(self, expert: str, data: bytes) -> None:
        """The head of a stream of events, with what explains it, and the first of them in one write."""
        line, name = self.line, self.id
        if line.closing or self.old:
            told = (b"x-lyceum-expert", expert.encode()), (b"x-lyceum-decision", name.encode())
            self.put(data, self.open(200, [*EVENTS, *told]))
            return
        self.status, self.chunked = 200, True
        head = (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
            f"x-accel-buffering: no\r\nx-lyceum-expert: {expert}\r\nx-lyceum-decision: {name}\r\n"
            f"transfer-encoding: chunked\r\nx-request-id: {name}\r\n\r\n{len(data):x}\r\n"
        )
        send = line.send
        send(b"".join((head.encode(), data, b"\r\n")))

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer in one write."""
        self.status = status
        self.line.send(self._head(status, headers, b"content-length: %d\r\n" % len(body)) + body)
        self.line.over(self)

    def open(self, status: int, headers: Headers) -> bytes:
        """The head of an answer whose length is not known; send it with the first `put`."""
        self.status = status
        if self.old:
            self.line.closing = True
            return self._head(status, headers, b"")
        self.chunked = True
        return self._head(status, headers, b"transfer-encoding: chunked\r\n")

    def put(self, data: bytes, head: bytes = b"") -> None:
        """A piece of the body, after the head if it is still to be sent."""
        send = self.line.send
        send(b"".join((head, sized(len(data)), data, b"\r\n")) if self.chunked else head + data)

    def finish(self, data: bytes = b"") -> None:
        """The last piece and the end."""
        line = self.line
        send = line.send
        if self.chunked:
            send(b"".join((sized(len(data)), data, b"\r\n0\r\n\r\n")) if data else b"0\r\n\r\n")
        elif data:
            send(data)
        line.over(self)

    def _head(self, status: int, headers: Headers, framing: bytes) -> bytes:
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        close = CLOSE if self.line.closing or self.old else b""
        name = self.id.encode()
        return b"%b%b%b%bx-request-id: %b\r\n\r\n" % (STATUS_LINES[status], lines, framing, close, name)

    async def start(self, status: int, headers: Headers) -> None:
        if any(name == b"content-length" for name, _ in headers):
            self.status = status
            self.line.send(self._head(status, headers, b""))
        else:
            self.line.send(self.open(status, headers))

    async def write(self, data: bytes) -> None:
        if data:
            self.put(data)
            await self.line.drained()

    async def end(self) -> None:
        self.finish()

    def abort(self) -> None:
        self.line.abort()

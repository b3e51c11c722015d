"""What a client may cost before it is answered: bytes, lines, seconds, connections; one timer watches them all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from gateway.errors import APIError

URL_BYTES = 8 * 1024
HEAD_BYTES = 64 * 1024
HEAD_LINES = 200
PIPELINE = 16
"""Requests of one connection that may wait for the answers before them."""

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
BODY_RATE = 10 * 1024
"""A body has so many seconds, and one more for so many bytes that have come: a drip is late, a large one is not."""
WRITE_SECONDS = 60.0
"""How long a client may take nothing of what waits for it."""
IDLE_SECONDS = 75.0
LINGER_SECONDS = 2.0
"""How long what a refused client still sends is thrown away, so that it can read why."""
PARTING_SECONDS = 1.0
"""How long a connection that is idle when the gateway leaves stays open for a request that is already on its way."""
AGAIN_SECONDS = 0.01
"""Until a connection that could not be passed on to another worker is tried again."""
CONNECTIONS = 20_000
TICK = 0.5
JUST = -1.0
"""Due at the sweeper's next look: that is when a connection that has just been answered begins to be idle."""
REFUSED = APIError("bad_request")


class Begun:
    """A request that has begun to come to a parser. Raises APIError for a head that is too large."""

    __slots__ = ("body_began", "body_bytes", "head_bytes", "headers", "parts", "url")

    def begin(self) -> None:
        """Ready for the next head."""
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.head_bytes = self.body_bytes = 0
        self.body_began = 0.0
        self.parts: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > URL_BYTES:
            raise APIError("uri_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value)
        if self.head_bytes > HEAD_BYTES or len(self.headers) >= HEAD_LINES:
            raise APIError("headers_too_large")
        name = name.lower()
        if name in self.headers and name in (b"authorization", b"host", b"content-length"):
            raise REFUSED  # two of them: nobody knows which one a proxy before us believed
        self.headers[name] = value


class Sweeper:
    """Looks at every connection twice a second and tells those that are late: one timer instead of one a request."""

    _all: WeakKeyDictionary[asyncio.AbstractEventLoop, Sweeper] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: Iterable[Any]) -> None:
        self.loop, self.connections, self.most = loop, connections, CONNECTIONS
        loop.call_later(TICK, self.sweep)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop, connections: Iterable[Any]) -> Sweeper:
        """The sweeper of a loop."""
        if loop not in cls._all:
            cls._all[loop] = cls(loop, connections)
        return cls._all[loop]

    def sweep(self) -> None:
        """Tells the late ones."""
        now = self.loop.time()
        for connection in [each for each in self.connections if each.due is not None and each.due < now]:
            connection.late()
        self.loop.call_later(TICK, self.sweep)

    def head(self) -> float:
        """When a head that begins now is late."""
        return self.loop.time() + HEAD_SECONDS

    def body(self, began: float, size: int) -> float:
        """When a body is late that began at `began` and of which `size` bytes have come."""
        return began + BODY_SECONDS + size / BODY_RATE

    def write(self) -> float:
        """When a client that stopped reading now is late."""
        return self.loop.time() + WRITE_SECONDS

    def idle(self) -> float:
        """When a connection that waits for its next request is closed."""
        return self.loop.time() + IDLE_SECONDS

    def linger(self) -> float:
        """When a refused connection is ended for good."""
        return self.loop.time() + LINGER_SECONDS

"""A keep-alive HTTP/1.1 client for one origin: a capped pool, deadlines, back-pressure, and nothing else.

Redirects are not followed, bodies are not decompressed, no cookie is kept. `Client.send` is the fast way: an answer
goes to a sink by callbacks, without a task. `Client.request` is a thin layer over it for `async with`.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from experts.http1_chunks import Opening
from experts.http1_connection import Connection
from experts.http1_exchange import (
    ClosedEarly,
    ConnectFailed,
    Deadlines,
    Exchange,
    HTTPError,
    Payload,
    Sink,
    TooBusy,
)
from experts.http1_head import Whole
from experts.http1_response import Response
from experts.http1_wire import SLICE

USUAL_DEADLINES = Deadlines()
SWEEP_SECONDS = 0.02
"""The least time between two looks at all exchanges for late ones."""


class Client:
    """Requests to one origin, over at most `connections` at a time; up to `waiting` more wait for a free one."""

    def __init__(
        self,
        origin: str,
        *,
        connections: int = 256,
        waiting: int = 4096,
        keep_seconds: float = 60.0,
        head_bytes: int = 64 * 1024,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`origin` is http(s)://host[:port]. Raises ValueError."""
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("a URL is http://host or https://host, with a port if needed and no user")
        self.head_bytes = head_bytes
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc
        self._secure = parts.scheme == "https"
        self._tls = tls
        self._most, self._most_waiting, self._keep_seconds = connections, waiting, keep_seconds
        self._open = self._dialing = 0
        self.idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self.waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._stale: set[Exchange] = set()
        """Exchanges that are to be sent again, each on a connection that is being made for it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.time: Callable[[], float] = time.monotonic  # the loop's own clock once it runs
        self._timer: asyncio.TimerHandle | None = None
        self._looks = math.inf
        """When all exchanges are looked at next."""
        self.whole = Whole(head_bytes)
        self.opening = Opening()
        self._usual, self._soonest = USUAL_DEADLINES, 0.0
        """The deadlines of the last request, and the seconds in which a connection with it may be late at first."""

    @property
    def free_slots(self) -> int:
        """How many more exchanges could be carried at once."""
        return self._most - self._open + len(self.idle)

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """The first lines of a request, to be used for many; any method but HEAD. Raises ValueError."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._authority}", *(f"{k}: {v}" for k, v in headers.items())]
        if any(not line.isprintable() for line in lines) or " " in path:
            raise ValueError("a path or header holds a character that HTTP forbids")
        return "".join(line + "\r\n" for line in lines).encode("latin-1")

    def send(self, head: bytes, body: Payload, deadlines: Deadlines, sink: Sink) -> Exchange:
        """Starts an exchange; its answer goes to `sink`, never before this returns. Raises TooBusy."""
        if type(body) is bytes and len(body) <= SLICE:
            return self.submit(b"".join((head, length_of(len(body)), body)), deadlines, sink)
        parts = (body,) if isinstance(body, bytes) else body
        return self.submit((head + length_of(sum(map(len, parts))), *parts), deadlines, sink)

    def submit(self, payload: Payload, deadlines: Deadlines, sink: Sink) -> Exchange:
        """The same for a whole request, its head and its length before its body."""
        idle, time = self.idle, self.time  # called as a method it would be looked for in the class each time
        now = time()
        while idle:
            connection = idle.pop()
            if now - connection.since < self._keep_seconds:
                try:
                    if type(payload) is bytes:
                        connection.transport.write(payload)
                    else:
                        connection.push(payload)  # type: ignore[arg-type] # what is not bytes are parts
                except RuntimeError:
                    continue  # it is closed, and the loop has not told it yet
                connection.exchange = exchange = Exchange(self, payload, deadlines, sink, now, now, connection)
                if deadlines is not self._usual:
                    self._usual, self._soonest = deadlines, min(deadlines.first, deadlines.total)
                if now + self._soonest < self._looks:
                    self.watch(now + self._soonest)
                return exchange
            connection.abort()
        return self._queue(payload, deadlines, sink)

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        deadlines: Deadlines = USUAL_DEADLINES,
    ) -> Response:
        """The answer as an async context: entering waits for the head, leaving cancels what is not read."""
        return Response(self, self.head(method, path, headers), body, deadlines)

    async def aclose(self) -> None:
        """Closes every connection; exchanges under way fail."""
        for exchange in self._under_way():
            exchange.fail(ClosedEarly(0))
        for connection in list(self.idle):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self._timer, self._looks, self.time = None, None, math.inf, time.monotonic
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    # what connections and exchanges tell

    def watch(self, due: float) -> None:
        if due < self._looks:
            if self._timer is not None:
                self._timer.cancel()
            assert self._loop is not None
            self._looks = due
            self._timer = self._loop.call_at(due, self._sweep)

    def free(self, connection: Connection) -> None:
        connection.since = self.time()
        if self.waiting:
            self._carry(connection, self.waiting.popitem(last=False)[0])
        else:
            self.idle.append(connection)

    def lost(self, connection: Connection, stale: Exchange | None) -> None:
        self._open -= 1
        self._connections.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if stale is not None:
            self._stale.add(stale)
            self._dial(stale.deadlines.connect, stale)
            self.watch(stale.due())
        elif self.waiting:
            self._grow(next(iter(self.waiting)).deadlines.connect)

    def forget(self, exchange: Exchange) -> None:
        self.waiting.pop(exchange, None)
        self._stale.discard(exchange)

    # connections

    def _queue(self, payload: Payload, deadlines: Deadlines, sink: Sink) -> Exchange:
        """Lets an exchange wait for a connection. Raises TooBusy."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self.time = self._loop.time
        if self._open >= self._most and len(self.waiting) - self._dialing >= self._most_waiting:
            raise TooBusy("too many requests wait for a connection")
        now = self.time()
        exchange = Exchange(self, payload, deadlines, sink, now, now)
        self.waiting[exchange] = None
        self._grow(deadlines.connect)
        self.watch(exchange.due())
        return exchange

    def _under_way(self) -> list[Exchange]:
        carried = [connection.exchange for connection in self._connections if connection.exchange is not None]
        return [*self.waiting, *self._stale, *carried]

    def _grow(self, seconds: float) -> None:
        if self._open < self._most and self._dialing < len(self.waiting):
            self._dial(seconds, None)

    def _dial(self, seconds: float, stale: Exchange | None) -> None:
        self._open += 1
        self._dialing += stale is None
        connection = Connection(self)
        task = asyncio.ensure_future(self._connect(connection, seconds))
        self._tasks.add(task)
        task.add_done_callback(partial(self._dialed, connection, stale))

    def _dialed(self, connection: Connection, stale: Exchange | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._dialing -= stale is None
        self._open -= not connection.made
        if task.cancelled():
            return
        error = task.exception()
        if connection.open:
            self._take(connection, stale)
        elif error is None or isinstance(error, OSError | UnicodeError):
            self._refuse(ConnectFailed(_why(error)), stale)
        else:
            raise error

    async def _connect(self, connection: Connection, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._create(connection)

    async def _create(self, connection: Connection) -> None:
        if self._secure and self._tls is None:
            self._tls = ssl.create_default_context()
        assert self._loop is not None
        tls = self._tls if self._secure else None
        await self._loop.create_connection(lambda: connection, self._host, self._port, ssl=tls)

    def _take(self, connection: Connection, stale: Exchange | None) -> None:
        self._connections.add(connection)
        if stale is not None and not stale.done:
            self._carry(connection, stale)
        elif self.waiting:
            self._carry(connection, self.waiting.popitem(last=False)[0])
        else:
            self.free(connection)

    def _carry(self, connection: Connection, exchange: Exchange) -> None:
        self._stale.discard(exchange)
        exchange.touched = self.time()
        if connection.transport.is_closing():  # `connection_lost` comes, and has it sent again
            connection.exchange, exchange.connection = exchange, connection
        else:
            connection.carry(exchange)
        self.watch(exchange.due())

    def _refuse(self, problem: HTTPError, stale: Exchange | None) -> None:
        """Hands the failure of a dial to the exchange that waits longest: each dial was made for one."""
        if stale is not None:
            stale.fail(problem)
        elif self.waiting:
            next(iter(self.waiting)).fail(problem)
        if self.waiting:
            self._grow(next(iter(self.waiting)).deadlines.connect)

    def _sweep(self) -> None:
        """Ends the exchanges that are late, and wakes again when the next may be."""
        self._timer, self._looks = None, math.inf
        now = self.time()
        for exchange in self._under_way():
            if exchange.due() <= now:
                exchange.expire(now)
        if left := self._under_way():
            self.watch(max(now + SWEEP_SECONDS, min(exchange.due() for exchange in left)))


LENGTHS: dict[int, bytes] = {}
"""Ends of requests' heads, by the size of the body."""
MOST_LENGTHS = 8192


def length_of(size: int) -> bytes:
    """The end of a request's head, made once."""
    length = LENGTHS.get(size)
    if length is None:
        if len(LENGTHS) >= MOST_LENGTHS:
            LENGTHS.clear()
        length = LENGTHS[size] = b"content-length: %d\r\n\r\n" % size
    return length


def _why(error: BaseException | None) -> str:
    if error is None:
        return "the connection was closed at once"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLError):
        return "no trusted TLS connection"
    return "the connection was refused" if isinstance(error, ConnectionError) else "the host cannot be reached"

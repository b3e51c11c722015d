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

from experts.http1_connection import Connection, Known
from experts.http1_exchange import (
    ClosedEarly,
    ConnectFailed,
    Deadlines,
    Exchange,
    HTTPError,
    Sink,
    TooBusy,
)
from experts.http1_response import Response

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
        self._idle: dict[Connection, float] = {}
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._exchanges: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.time: Callable[[], float] = time.monotonic  # the loop's own clock once it runs
        self._timer: asyncio.TimerHandle | None = None
        self._looks = math.inf
        """When all exchanges are looked at next."""
        self.known: Known | None = None
        self.unlike = 0
        self._usual, self._least = USUAL_DEADLINES, min(USUAL_DEADLINES)

    @property
    def free_slots(self) -> int:
        """How many more exchanges could be carried at once."""
        return self._most - self._open + len(self._idle)

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """The first lines of a request, to be used for many; any method but HEAD. Raises ValueError."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._authority}", *(f"{k}: {v}" for k, v in headers.items())]
        if any(not line.isprintable() for line in lines) or " " in path:
            raise ValueError("a path or header holds a character that HTTP forbids")
        return "".join(line + "\r\n" for line in lines).encode("latin-1")

    def send(self, head: bytes, body: bytes, deadlines: Deadlines, sink: Sink) -> Exchange:
        """Starts an exchange; its answer goes to `sink`, never before this returns. Raises TooBusy."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self.time = self._loop.time
        exchange = Exchange(self, b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body), deadlines, sink)
        connection = self._usable()
        if connection is not None:
            connection.carry(exchange)
        elif self._open >= self._most and len(self._waiting) - self._dialing >= self._most_waiting:
            raise TooBusy("too many requests wait for a connection")
        else:
            self._waiting[exchange] = None
            self._grow(deadlines.connect)
        self._exchanges.add(exchange)
        self.hurry(exchange)
        return exchange

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
        for exchange in list(self._exchanges):
            exchange.fail(ClosedEarly(0))
        for connection in list(self._idle):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self._timer, self._looks = None, None, math.inf
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    # what connections and exchanges tell

    def watch(self, due: float) -> None:
        if due < self._looks:
            if self._timer is not None:
                self._timer.cancel()
            assert self._loop is not None
            self._looks = due
            self._timer = self._loop.call_at(due, self._sweep)

    def hurry(self, exchange: Exchange) -> None:
        if exchange.deadlines is not self._usual:
            self._usual = exchange.deadlines
            self._least = min(self._usual)
        if exchange.touched + self._least < self._looks:
            self.watch(exchange.due())

    def free(self, connection: Connection, exchange: Exchange) -> None:
        self._exchanges.discard(exchange)
        self._serve(connection)

    def lost(self, connection: Connection, stale: Exchange | None) -> None:
        self._open -= 1
        self._idle.pop(connection, None)
        if stale is not None:
            self._dial(stale.deadlines.connect, stale)
            self.watch(stale.due())
        elif self._waiting:
            self._grow(next(iter(self._waiting)).deadlines.connect)

    def forget(self, exchange: Exchange) -> None:
        self._exchanges.discard(exchange)
        self._waiting.pop(exchange, None)

    # connections

    def _usable(self) -> Connection | None:
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.closing:
                continue  # the loop has not told it yet
            if self.time() - since < self._keep_seconds:
                return connection
            connection.abort()
        return None

    def _serve(self, connection: Connection) -> None:
        if self._waiting:
            self._carry(connection, self._waiting.popitem(last=False)[0])
        else:
            connection.used = True
            self._idle[connection] = self.time()

    def _grow(self, seconds: float) -> None:
        if self._open < self._most and self._dialing < len(self._waiting):
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
        if stale is not None and not stale.done:
            self._carry(connection, stale)
        else:
            self._serve(connection)

    def _carry(self, connection: Connection, exchange: Exchange) -> None:
        connection.carry(exchange)
        self.hurry(exchange)

    def _refuse(self, problem: HTTPError, stale: Exchange | None) -> None:
        """Hands the failure of a dial to the exchange that waits longest: each dial was made for one."""
        if stale is not None:
            stale.fail(problem)
        elif self._waiting:
            next(iter(self._waiting)).fail(problem)
        if self._waiting:
            self._grow(next(iter(self._waiting)).deadlines.connect)

    def _sweep(self) -> None:
        """Ends the exchanges that are late, and wakes again when the next may be."""
        self._timer, self._looks = None, math.inf
        now = self.time()
        for exchange in [exchange for exchange in self._exchanges if exchange.due() <= now]:
            exchange.expire(now)
        if self._exchanges:
            self.watch(max(now + SWEEP_SECONDS, min(exchange.due() for exchange in self._exchanges)))


def _why(error: BaseException | None) -> str:
    if error is None:
        return "the connection was closed at once"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLError):
        return "no trusted TLS connection"
    return "the connection was refused" if isinstance(error, ConnectionError) else "the host cannot be reached"

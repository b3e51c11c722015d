"""An answer of the HTTP/1.1 client as an async context and iterator; a slow reader pauses the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol

from experts.http1_exchange import Deadlines, Exchange, Headers, HTTPError, Payload, ProtocolBroken, Sink

HIGH_WATER = 64 * 1024
"""Bytes that wait for a slow reader before the connection is paused."""


class Sender(Protocol):
    """The part of the client that an answer needs."""

    def send(self, head: bytes, body: Payload, deadlines: Deadlines, sink: Sink) -> Exchange: ...


class Response(Sink):
    """One answer: `status` and `headers` once entered; then iterate over its pieces, or `read` it whole."""

    def __init__(self, client: Sender, head: bytes, body: Payload, deadlines: Deadlines) -> None:
        self.status = 0
        self.headers: Headers = []
        self._start = (client, head, body, deadlines)
        self._exchange: Exchange | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._most = HIGH_WATER
        self._ended = self._left = self._reading = False
        self._error: HTTPError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Response:
        client, head, body, deadlines = self._start
        self._exchange = client.send(head, body, deadlines, self)
        try:
            while not self.status:
                await self._wait()
        except BaseException:
            self._exchange.cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None and not self._left:
            self._exchange.cancel()

    def __aiter__(self) -> Response:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._exchange is not None and self._exchange.paused and self._size <= self._most // 2:
            self._exchange.resume()
        return piece

    def let_end(self, seconds: float) -> None:
        """Nobody reads on: the answer may still end within as many seconds, so that its connection can be reused."""
        self._left = True
        self._pieces.clear()
        if self._exchange is not None:
            self._exchange.hasten(seconds)

    async def read(self, most: int = 16 * 1024 * 1024) -> bytes:
        """The rest of the body. Raises ProtocolBroken if it is longer than `most` bytes."""
        self._most, self._reading = most, True
        if self._exchange is not None:
            self._exchange.resume()
        while not self._ended:
            await self._wait()
        if self._size > most:
            raise ProtocolBroken("the answer is too large")
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Sink

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self._wake()

    def on_data(self, data: bytes) -> None:
        if self._left:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._most and self._exchange is not None:
            if self._reading:
                self._exchange.fail(ProtocolBroken("the answer is too large"))
            else:
                self._exchange.pause()
        self._wake()

    def on_end(self) -> None:
        self._ended = True
        self._wake()

    def on_error(self, error: HTTPError) -> None:
        self._error = error
        self._wake()

"""One HTTP/1.1 client connection: callbacks only, no tasks; it carries one exchange after another."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from typing import NoReturn, cast

import httptools

from experts.http1_chunks import bodies
from experts.http1_exchange import ClosedEarly, Exchange, Headers, HTTPError, Pool, ProtocolBroken
from experts.http1_head import headers, shape

SLICE = 256 * 1024
"""Bytes of a request that are handed to the transport at once."""
LESSONS = 32
"""Answers in a row with heads of their own after which they are learned but now and then."""
UNHEARD_MILLISECONDS = 20_000
"""How long the other host may leave what we sent unacknowledged."""


class Connection(asyncio.Protocol):
    """Carries one exchange after another."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.exchange: Exchange | None = None
        self.made = self.open = False
        self.used = False
        self.transport: asyncio.Transport
        self.since = 0.0
        """The loop's time at which it became idle."""
        self._parser = httptools.HttpResponseParser(self)
        self._unsent: list[memoryview] = []
        """Parts of the request that wait, the next one last."""
        self._writable = True
        self._reset()

    def _reset(self) -> None:
        self._headers: Headers = []
        self._received = 0
        self._status = 0
        self._framed = self._complete = self._surplus = self._keep = self._watched = self._hung = False
        self._between = False  # whether the parser stands between two chunks
        self._busy = False  # whether something is going on beside the answer: a long request, a pause, a hang-up
        self._problem = ""

    def carry(self, exchange: Exchange) -> None:
        """Sends the exchange's request."""
        self.exchange, exchange.connection = exchange, self
        payload = exchange.payload
        if isinstance(payload, bytes) and len(payload) <= SLICE:
            self.transport.write(payload)
        else:
            self._push(payload if isinstance(payload, tuple) else (payload,))

    def abort(self) -> None:
        """Closes at once and leaves the pool."""
        self._leave(None)
        self.transport.abort()

    # uvloop's transport raises RuntimeError at almost every call once it is closed

    def pause(self) -> None:
        self._busy = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def hang_up(self) -> bool:
        """Closes our direction alone."""
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        self._hung = self._busy = True
        self.transport.write_eof()
        return True

    def _leave(self, stale: Exchange | None) -> None:
        self.exchange = None
        if self.open:
            self.open = False
            self.pool.lost(self, stale)

    def _push(self, parts: tuple[bytes | memoryview, ...]) -> None:
        """Sends a request in parts, which are not copied; a long one as fast as the server takes it."""
        if sum(map(len, parts)) <= SLICE:
            self.transport.writelines(parts)
        else:
            self._busy = True
            self._unsent = [memoryview(part) for part in reversed(parts)]
            self._pump()

    def _pump(self) -> None:
        unsent = self._unsent
        while unsent and self._writable and not self.transport.is_closing():
            part = unsent.pop()
            self.transport.write(part[:SLICE])
            if len(part) > SLICE:
                unsent.append(part[SLICE:])

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.made = self.open = True
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a host that vanished is noticed before the first deadline
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MILLISECONDS)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # nothing was asked
            self.abort()
        elif self._between and exchange.quick is not None and exchange.quick(data):
            self._received += len(data)
            exchange.touched = self.pool.time()
        elif self._between and (body := bodies(data)) is not None:
            self._received += len(data)
            exchange.touched = self.pool.time()
            exchange.sink.on_data(body)
        elif self._received or (known := self.pool.known) is None or (head := known(data)) is None:
            self._parse(exchange, data)
        else:
            self._plain(exchange, data, head)

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ProtocolBroken(self._problem or "the answer is not HTTP/1.1"))
            if isinstance(error, httptools.HttpParserCallbackError) and not self._problem:
                raise  # a mistake of the sink's, not of the server's
            return
        if self._between and not data.endswith(b"\r\n"):  # the parser may have seen a part of the next chunk's head
            self._between = False
        if self._complete:
            if self._keep and len(data) == self._received and not self._surplus:
                self._learn(data)
            self._finish()
        elif not self._status:
            if self._received > self.pool.head_bytes:
                self._fail(ProtocolBroken("the answer's head is too large"))
        elif exchange.flowing and not self._watched:
            self._watch()

    def _plain(self, exchange: Exchange, data: bytes, head: re.Match[bytes]) -> None:
        """Takes an answer under a head of a known shape at once, if it is all there and nothing else is going on."""
        pool, start = self.pool, head.end()
        if start + int(head[1]) != len(data) or start > pool.head_bytes or self._busy:
            self._parse(exchange, data)
            return
        pool.unlike = 0
        sink = exchange.sink
        if not sink.takes_whole:
            self._told(exchange, data, start)
            return
        exchange.done = True
        self.exchange = None
        pool.free(self)
        sink.on_whole(data, start)

    def _told(self, exchange: Exchange, data: bytes, start: int) -> None:
        """Tells the sink of a whole answer as if it had been parsed."""
        self._received, self._status, self._framed, self._keep = len(data), 200, True, True
        taken = False
        try:
            exchange.sink.on_head(200, headers(data[:start]))
            if self.exchange is not None:
                exchange.touched, exchange.flowing = self.pool.time(), True
                exchange.sink.on_data(data[start:])
            taken = True
        finally:
            if not taken:
                self._fail(ProtocolBroken("the answer could not be taken"))
        self._finish()

    def _learn(self, data: bytes) -> None:
        """Remembers the head of a plain answer that came in one piece; seldom, where no two are alike."""
        pool = self.pool
        pool.unlike += 1
        if self._status == 200 and (pool.unlike <= LESSONS or not pool.unlike % LESSONS):
            pool.known = shape(data[: data.find(b"\r\n\r\n") + 4]) or pool.known

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)
        del self._parser  # they know each other, and would wait for the garbage collector

    def _ended(self, error: Exception | None = None) -> None:
        exchange = self.exchange
        if exchange is None:
            self._leave(None)
        elif self._status and not self._framed and error is None:
            self._finish()
        elif self._received or not self.used or exchange.retried:
            self._fail(ClosedEarly(self._received))
        else:
            exchange.retried, exchange.connection = True, None
            exchange.touched = self.pool.time()
            self._leave(exchange)

    def _stop(self, problem: str) -> NoReturn:
        """Leaves the parser from within one of its callbacks."""
        self._problem = problem
        raise ValueError(problem)

    def _watch(self) -> None:
        """The answer began and goes on: from now on the idle deadline counts."""
        if self.exchange is not None:
            self._watched = True
            self.pool.watch(self.exchange.due())

    def _fail(self, error: HTTPError) -> None:
        if self.exchange is not None:
            self.exchange.fail(error)

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:  # cancelled by its own sink
            return
        exchange.done = True
        kept = self._keep and not self._hung and not self._surplus and not self._unsent
        if kept and not self.transport.is_closing():
            if exchange.paused:
                self.transport.resume_reading()
            self.exchange = None
            self._reset()
            self.pool.free(self)
        else:
            self.pool.forget(exchange)
            self.abort()
        exchange.sink.on_end()

    # httptools

    def on_message_begin(self) -> None:
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        status: int = self._parser.get_status_code()
        if self._complete or exchange is None:
            return
        if status < 200:
            self._headers, self._framed = [], False
            return
        if (
            self._received > self.pool.head_bytes
            and sum(map(len, itertools.chain(*self._headers))) > self.pool.head_bytes
        ):
            self._stop("the answer's head is too large")
        self._status = status
        self._framed = self._framed or status in (204, 304)
        self._keep = self._parser.should_keep_alive()
        exchange.sink.on_head(status, self._headers)

    def on_body(self, body: bytes) -> None:
        exchange = self.exchange
        if exchange is None or self._complete:
            return
        exchange.touched = self.pool.time()
        exchange.flowing = True
        exchange.sink.on_data(body)

    def on_chunk_header(self) -> None:
        self._between = False

    def on_chunk_complete(self) -> None:
        self._between = True

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True

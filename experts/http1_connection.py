"""One HTTP/1.1 client connection: callbacks only, no tasks; it carries one exchange after another."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import NamedTuple, NoReturn, Protocol, cast

import httptools

from experts.http1_exchange import ClosedEarly, Exchange, Headers, HTTPError, Pool, ProtocolBroken
from experts.http1_head import body_under, cut

SLICE = 256 * 1024
"""Bytes of a request that are handed to the transport at once."""
LESSONS = 32
"""Answers in a row with heads of their own after which they are learned but now and then."""
UNHEARD_MILLISECONDS = 20_000
"""How long the other host may leave what we sent unacknowledged."""


class Known(NamedTuple):
    """The head of the answer that came last: its bytes before and after the digits of its length, and its meaning."""

    before: bytes
    after: bytes
    status: int
    headers: Headers
    """But for the length."""


class Owner(Pool, Protocol):
    """What a connection tells its pool."""

    known: Known | None
    """The head that its server sent last."""
    unlike: int
    """How many plain answers came since one had a head that was known."""
    head_bytes: int
    """The most bytes of an answer's head."""

    def free(self, connection: Connection, exchange: Exchange) -> None:
        """The exchange is over and the connection can carry another."""
        ...

    def lost(self, connection: Connection, stale: Exchange | None) -> None:
        """The connection is gone; `stale` must be sent again on a new one."""
        ...


class Connection(asyncio.Protocol):
    """Carries one exchange after another."""

    def __init__(self, pool: Owner) -> None:
        self.pool = pool
        self.exchange: Exchange | None = None
        self.made = self.open = False
        self.used = False
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._unsent = memoryview(b"")
        self._writable = True
        self._reset()

    def _reset(self) -> None:
        self._headers: Headers = []
        self._received = 0
        self._status = 0
        self._framed = self._complete = self._surplus = self._keep = self._watched = self._hung = False
        self._problem = ""

    def carry(self, exchange: Exchange) -> None:
        """Sends the exchange's request."""
        self.exchange = exchange
        exchange.connection = self
        exchange.touched = self.pool.time()
        payload = exchange.payload
        if self.closing:
            return  # `connection_lost` comes, and has it sent again
        if len(payload) <= SLICE:
            self._transport.write(payload)
        else:
            self._unsent = memoryview(payload)
            self._pump()

    def abort(self) -> None:
        """Closes at once and leaves the pool."""
        self._leave(None)
        self._transport.abort()

    @property
    def closing(self) -> bool:
        """Whether the transport is closed; uvloop's then raises RuntimeError at every other call."""
        return self._transport.is_closing()

    def pause(self) -> None:
        if not self.closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self.closing:
            self._transport.resume_reading()

    def hang_up(self) -> bool:
        """Closes our direction alone."""
        if self.closing or not self._transport.can_write_eof():
            return False
        self._hung = True
        self._transport.write_eof()
        return True

    def _leave(self, stale: Exchange | None) -> None:
        self.exchange = None
        if self.open:
            self.open = False
            self.pool.lost(self, stale)

    def _pump(self) -> None:
        while self._unsent and self._writable and not self.closing:
            self._transport.write(self._unsent[:SLICE])
            self._unsent = self._unsent[SLICE:]

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
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
            return
        if not self._received and self._again(exchange, data):
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ProtocolBroken(self._problem or "the answer is not HTTP/1.1"))
            if isinstance(error, httptools.HttpParserCallbackError) and not self._problem:
                raise  # a mistake of the sink's, not of the server's
            return
        if self._complete:
            if self._keep and len(data) == self._received and not self._surplus:
                self._learn(data)
            self._finish()
        elif not self._status:
            if self._received > self.pool.head_bytes:
                self._fail(ProtocolBroken("the answer's head is too large"))
        elif exchange.flowing and not self._watched:
            self._watch()

    def _again(self, exchange: Exchange, data: bytes) -> bool:
        """Takes a whole answer under a head that was parsed before; whether it was one."""
        known = self.pool.known
        if known is None or not (body := body_under(known.before, known.after, data)):
            return False
        self.pool.unlike = 0
        self._received, self._status, self._framed, self._keep = len(data), known.status, True, True
        taken = False
        try:
            exchange.sink.on_head(known.status, [*known.headers, (b"content-length", b"%d" % len(body))])
            if self.exchange is not None:
                exchange.touched, exchange.flowing = self.pool.time(), True
                exchange.sink.on_data(body)
            taken = True
        finally:
            if not taken:
                self._fail(ProtocolBroken("the answer could not be taken"))
        self._finish()
        return True

    def _learn(self, data: bytes) -> None:
        """Remembers the head of a plain answer that came in one piece; seldom, where no two are alike."""
        self.pool.unlike += 1
        if self._status != 200 or (self.pool.unlike > LESSONS and self.pool.unlike % LESSONS):
            return
        length = dict(self._headers).get(b"content-length", b"")
        parts = cut(data, int(length)) if length.isdigit() and 0 < int(length) < len(data) else None
        if parts is not None:
            headers = [header for header in self._headers if header[0] != b"content-length"]
            self.pool.known = Known(*parts, self._status, headers)

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)

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
            self.pool.hurry(self.exchange)

    def _fail(self, error: HTTPError) -> None:
        if self.exchange is not None:
            self.exchange.fail(error)

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange is None:  # cancelled by its own sink
            return
        exchange.done = True
        kept = self._keep and not self._hung
        reusable = kept and not self._surplus and not self._unsent and not self.closing
        if reusable:
            if exchange.paused:
                self._transport.resume_reading()
            self.exchange = None
            self.used = True
            self._reset()
            self.pool.free(self, exchange)
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

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True

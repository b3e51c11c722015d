"""One HTTP/1.1 client connection: callbacks only, no tasks; it carries one exchange after another."""

from __future__ import annotations

import itertools
from typing import NoReturn

import httptools

from experts.http1_chunks import taken
from experts.http1_exchange import ClosedEarly, Exchange, Headers, HTTPError, Pool, ProtocolBroken
from experts.http1_head import headers
from experts.http1_wire import Wire


class Connection(Wire):
    """Carries one exchange after another."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self.exchange: Exchange | None = None
        self.since = 0.0
        """The loop's time at which it became free; 0: it never was."""
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._headers: Headers = []
        self._received = 0
        self._status = 0
        self._framed = self._complete = self._surplus = self._keep = self._watched = self._hung = False
        self._between = False  # whether the parser stands between two chunks, once it has been fed what it has not:
        self._unfed = b""  # a head that was known
        self._busy = False  # whether something is going on beside the answer: a long request, a pause, a hang-up
        self._problem = ""

    def carry(self, exchange: Exchange) -> None:
        """Sends the exchange's request."""
        self.exchange, exchange.connection = exchange, self
        payload = exchange.payload
        if isinstance(payload, tuple):
            self.push(payload)
        else:
            self.transport.write(payload)

    def abort(self) -> None:
        """Closes at once and leaves the pool."""
        self._leave(None)
        self.transport.abort()

    def _leave(self, stale: Exchange | None) -> None:
        self.exchange = None
        if self.open:
            self.open = False
            self.pool.lost(self, stale)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # nothing was asked
            self.abort()
        elif self._between:
            if exchange.quick is not None and exchange.quick(data):
                self._received += len(data)
                exchange.touched = self.pool.time()
            else:
                self._chunks(exchange, data)
        elif self._received or self._busy:
            self._parse(exchange, data)
        else:
            pool, sink = self.pool, exchange.sink
            whole = pool.whole
            head = whole.heads.get(len(data)) if sink.takes_whole else None
            if head is None or data[whole.front] != head:
                self._begins(exchange, data)
                return
            exchange.done, self.exchange = True, None
            if pool.waiting:
                pool.free(self)
            else:  # as in `free`
                time = pool.time
                self.since = time()
                pool.idle.append(self)
            sink.on_whole(data[whole.behind])

    def _begins(self, exchange: Exchange, data: bytes) -> None:
        """The first of an answer, perhaps all of it under a known head."""
        pool, sink = self.pool, exchange.sink
        if not sink.takes_whole and (start := pool.opening.of(data)):
            self._opens(exchange, data, start)
            return
        start = pool.whole.same(data) or pool.whole.like(data)
        if not start:
            self._parse(exchange, data)
        elif sink.takes_whole:
            exchange.done, self.exchange = True, None
            pool.free(self)
            sink.on_whole(data[start:])
        else:
            self._whole(exchange, data, start)

    def _opens(self, exchange: Exchange, data: bytes, start: int) -> None:
        """A stream begins under a known head, which the parser is to see only if it must see what follows."""
        if start > self.pool.head_bytes:
            self._parse(exchange, data)
            return
        opening = self.pool.opening
        self._unfed, self._between = opening.head, True
        self._received, self._status, self._framed, self._keep = start, 200, True, True
        exchange.sink.on_head(200, opening.headers)
        if start < len(data) and self.exchange is not None:
            self._chunks(exchange, data[start:])

    def _chunks(self, exchange: Exchange, data: bytes) -> None:
        """Takes whole chunks without the parser; the end of the answer, too, if that has seen nothing of it."""
        body, over = taken(data)
        if body is None or (over and not self._unfed):
            self._parse(exchange, data)
            return
        self._received += len(data)
        exchange.touched, exchange.came = self.pool.time(), over
        if body:
            exchange.flowing = True
            exchange.sink.on_data(body)
        if over:
            self._ends(exchange)
        elif not self._watched and body:
            self._watch()

    def _ends(self, exchange: Exchange) -> None:
        """The end of an answer of which the parser has seen nothing: as `_finish`, where nothing else is going on."""
        if self._busy or self.exchange is not exchange or self.transport.is_closing():
            self._finish()
            return
        exchange.done, self.exchange = True, None
        self._unfed, self._received, self._status = b"", 0, 0
        self._framed = self._keep = self._watched = self._between = False
        self.pool.free(self)
        exchange.sink.on_end()

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ProtocolBroken(self._problem or "the answer is not HTTP/1.1"))
            if isinstance(error, httptools.HttpParserCallbackError) and not self._problem:
                raise  # a mistake of the sink's, not of the server's
            return
        if self._between and not data.endswith(b"\r\n"):  # the parser may have seen a part of the next chunk's head
            self._between = False
        if self._complete:
            if self._keep and len(data) == self._received and not self._surplus:
                self.pool.whole.learn(data)
            self._finish()
        elif not self._status:
            if self._received > self.pool.head_bytes:
                self._fail(ProtocolBroken("the answer's head is too large"))
        elif exchange.flowing and not self._watched:
            self._watch()

    def _feed(self, data: bytes) -> None:
        first = not self._received
        self._received += len(data)
        if self._unfed:
            head, self._unfed = self._unfed, b""
            self._parser.feed_data(head)
        self._parser.feed_data(data)
        if first and self._keep and self._status == 200:
            self.pool.opening.learn(data)

    def _whole(self, exchange: Exchange, data: bytes, start: int) -> None:
        """Tells the sink of an answer that the parser has not seen, whose body begins at `start`."""
        self._received, self._status, self._framed, self._keep = len(data), 200, True, True
        exchange.sink.on_head(200, headers(data[:start]))
        if self.exchange is None:  # cancelled by its own sink
            return
        exchange.touched, exchange.came = self.pool.time(), True
        if start < len(data):
            exchange.flowing = True
            exchange.sink.on_data(data[start:])
        self._finish()

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
        elif self._received or not self.since or exchange.retried:
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
        if self._status or exchange is None:
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

"""Our own HTTP/1.1 protocol under uvicorn: parsed bytes go straight to the handlers, without ASGI.

It enforces what no Python server does: deadlines for half-sent heads and bodies and for clients that do not read,
caps on heads, bodies, pipelines and connections. What is refused before a handler is refused in OpenAI's form.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools

from gateway.app import App, find, raiser, request_id
from gateway.errors import APIError, overloaded
from gateway.handlers import Door
from gateway.http import Handler
from gateway.known import MOST, Known, Long, learned
from gateway.limits import AGAIN_SECONDS, JUST, PARTING_SECONDS, PIPELINE, REFUSED, Begun, Sweeper
from gateway.messages_errors import formed
from gateway.row import Row
from gateway.sink import JSON
from gateway.turn import STATUSES, Head, Turn


class Connection(Begun, asyncio.Protocol):
    """One client. uvicorn makes it, closes it, and tells it to drain."""

    __slots__ = (  # more than Python keeps close at hand without
        *("abort", "app", "between", "cap", "closing", "connections", "door", "due", "head", "known", "long", "loop"),
        *("on_writable", "parser", "paused", "piece", "quiet", "ready", "refused", "requests", "row", "send"),
        *("sweeper", "table", "tasks", "transport", "turn", "waiting", "writable"),
    )

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self.app: App = config.loaded_app
        self.door: Door = self.app.door
        self.table, self.cap = self.app.table, self.app.body_cap
        self.connections: set[Any] = server_state.connections
        self.tasks: set[asyncio.Task[None]] = server_state.tasks
        self.loop = asyncio.get_running_loop()
        self.sweeper, self.row = Sweeper.of(self.loop, self.connections), Row.of(self.loop)
        self.parser = httptools.HttpRequestParser(self)
        self.closing = self.refused = self.paused = False
        self.on_writable: Callable[[], None] | None = None
        self.turn: Turn | None = None
        self.waiting: deque[Turn] = deque()
        self.writable: asyncio.Future[None] | None = None
        self.due: float | None = None
        """The loop's time at which the connection is late; `None` while an answer is being made, JUST after one."""
        self.between = True
        """Whether no request is under way in the parser."""
        self.piece = b""
        """The beginning of a request that is under way in the parser."""
        self.ready = self.known = self.app.known
        """The head that came last; `ready`: the next request may come under it, since nothing is under way."""
        self.quiet = True
        """Whether nothing but requests under known heads has come since nothing was under way."""
        self.long: Long | None = None
        self.requests = self.door.metrics.requests
        self.head: Head
        self.begin()

    # what uvicorn and the transport tell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        self.send, self.abort = self.transport.write, self.transport.abort
        self.connections.add(self)
        self.due = self.sweeper.head()
        if len(self.connections) > self.sweeper.most:
            self.refuse(overloaded())

    def connection_lost(self, exc: Exception | None) -> None:
        del self.parser  # they know each other, and would wait for the garbage collector
        self.connections.discard(self)
        self.waiting.clear()
        self.resume_writing()
        if self.turn is not None and self.turn.by is not None:
            self.turn.by.cancel()

    def data_received(self, data: bytes) -> None:
        known = self.ready
        if known is not None and not self.door.leaving:
            start = known.start
            size = len(data) - start
            if size <= known.most and data[:start] == known.line % size:
                self.turn = turn = Turn(self, known.head, data[start:], request_id())
                self.ready = self.due = None
                self.row.begin(self, turn)
            elif not self.again(known, data):
                self.other(data)
        else:
            self.other(data)

    def other(self, data: bytes) -> None:
        """What is no request under a known head, or comes while another is under way."""
        self.quiet, self.ready = False, None
        if self.closing and self.turn is None:
            return  # what still comes is thrown away, so that the answer before it is not lost to a reset
        if self.long is not None:
            self.more(self.long, data)
            return
        if self.between:
            self.piece = data[:MOST]
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request was served as it is; on_message_complete made it the last one
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause if isinstance(cause, APIError) else REFUSED)

    def again(self, known: Known, data: bytes) -> bool:
        """Takes a request, or the beginning of one, with the last one's head but for its length; whether it was one."""
        told = known.told(data)
        if told is None or not len(data) - told[1] <= told[0] <= self.cap or not told[0]:
            return False
        self.known, self.long = known.sized(told[1], self.cap), Long(told[0], self.loop.time())
        self.url, self.between, self.quiet, self.ready = known.head.path.encode("latin-1"), False, False, None
        self.more(self.long, data[told[1] :])
        return True

    def more(self, long: Long, data: bytes) -> None:
        """A piece of a request that never saw the parser, since its head is known."""
        surplus = long.add(data)
        self.due = self.sweeper.body(long.began, long.got)
        if not long.missing and self.known is not None:
            self.long, self.url, self.between, self.due = None, b"", True, None
            self.closing = self.closing or self.door.leaving
            self.turn = turn = Turn(self, self.known.head, long.whole(), request_id())
            self.row.begin(self, turn)
            if surplus:
                self.data_received(surplus)

    def pause_writing(self) -> None:
        self.paused = True
        self.due = self.sweeper.write()

    def resume_writing(self) -> None:
        self.paused = False
        self.due = self.sweeper.idle() if self.turn is None else None
        if self.on_writable is not None:
            resume, self.on_writable = self.on_writable, None
            resume()
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)

    def shutdown(self) -> None:
        """Drains: the next head says that it is the last one; what is idle has a moment for a request on its way."""
        self.quiet, self.ready = False, None
        self.door.leaving = True
        if self.turn is not None and not self.turn.started:
            self.closing = True
        self.loop.call_later(0.0 if self.app.heirs else PARTING_SECONDS, self.part)

    def part(self) -> None:
        """Goes to an heir when nothing is under way; without one it ends, or with what is under way."""
        heirs = self.app.heirs
        if self.turn is not None:
            self.closing = self.closing or heirs is None
        elif heirs is not None and not self.closing:
            if self.between and not heirs.give(self.transport):
                self.loop.call_later(AGAIN_SECONDS, self.part)
            elif self.between:
                self.transport.abort()
        elif not self.url and not self.transport.is_closing() and not self.unread():
            self.transport.close()

    def unread(self) -> bool:
        """Whether something has come that the loop has not read yet: a request, to be answered as the last one."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    # what the parser tells

    def on_message_begin(self) -> None:
        self.begin()
        self.between = False
        if self.turn is None:
            self.due = self.sweeper.head()

    def on_headers_complete(self) -> None:
        path, _, query = self.url.decode("latin-1").partition("?")
        method = self.parser.get_method().decode("latin-1")
        try:
            handler, route = find(self.table, method, path)
        except APIError as error:
            handler, route = raiser(error), "other"
        hot, fine = self.door.hot(route, self.headers), self.door.metrics.fine[route]
        self.head = Head(method, path, self.headers, route, handler, query, hot, fine=fine)
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise APIError("unsupported_media_type", param="content-encoding")
        if int(self.headers.get(b"content-length", b"0")) > self.cap:
            raise APIError("request_too_large")
        self.body_began = self.loop.time()
        if self.headers.get(b"expect", b"").lower() == b"100-continue" and self.turn is None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.body_bytes > self.cap:
            raise APIError("request_too_large")
        self.parts.append(body)
        if self.turn is None:
            self.due = self.sweeper.body(self.body_began, self.body_bytes)

    def on_message_complete(self) -> None:
        head = self.head
        if self.parser.should_upgrade() and int(self.headers.get(b"content-length", b"0")):
            raise REFUSED  # the parser takes what follows for another protocol: this body cannot be read
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        old = self.parser.get_http_version() == "1.0"
        if old or self.door.leaving or self.parser.should_upgrade() or not self.parser.should_keep_alive():
            self.closing = True
        self.url, self.between = b"", True
        if not self.closing and head.route != "other" and self.piece and body:
            self.known = self.app.known = learned(self.piece, head) or self.known
        self.piece = b""
        turn = Turn(self, head, body, request_id(), old)
        if self.turn is None:
            self.take(turn)
        else:
            if len(self.waiting) >= PIPELINE:
                self.transport.pause_reading()
            self.waiting.append(turn)

    def take(self, turn: Turn) -> None:
        """Begins to answer: in callbacks where the door can, else in a task."""
        self.turn, self.due = turn, None
        if not self.door.now(turn):
            self.spawn(turn, turn.head.handler)

    def spawn(self, turn: Turn, handler: Handler) -> None:
        """Answers in a task, which a client that leaves cancels."""
        task = self.loop.create_task(self.door.guarded(handler, turn.call(), turn))
        turn.by = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def over(self, turn: Turn) -> None:
        """The answer is complete: the connection may take the next request."""
        if turn.status == 200:
            turn.head.fine.many += 1
        else:
            self.requests[turn.head.route, STATUSES[turn.status]] += 1
        self.turn = turn.by = None
        if self.quiet and not self.door.leaving:
            self.ready, self.due = self.known, JUST
        else:
            self.go_on()

    def go_on(self) -> None:
        """Goes on after an answer, whatever has come meanwhile."""
        if self.waiting:
            self.transport.resume_reading()
            self.take(self.waiting.popleft())
        elif self.refused:
            self.transport.write_eof()
            self.due = self.sweeper.linger()
        elif self.closing:
            self.transport.close()
        else:
            self.due = JUST
            if self.door.leaving:
                self.loop.call_later(0.0 if self.app.heirs else PARTING_SECONDS, self.part)
            elif self.between:
                self.quiet, self.ready = True, self.known

    async def drained(self) -> None:
        if self.paused:
            self.writable = self.loop.create_future()
            await self.writable

    def refuse(self, error: APIError) -> None:
        """Answers what never reached a handler, and closes: the rest of the bytes cannot be understood."""
        self.closing, self.refused, self.quiet, self.ready = True, True, False, None
        if self.turn is not None:  # an answer is under way: it stays whole, nothing follows it
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        turn = self.turn = Turn(self, Head("", path, {}, "other", raiser(error)), b"", request_id())
        error = formed(error, path, turn.id)
        self.due = None
        turn.respond(error.http_status, [*JSON, *error.all_headers()], error.encoded())

    def late(self) -> None:
        """A deadline passed: half a request is a 408, an idle or unreading client is only closed."""
        if self.due == JUST:
            self.due = self.sweeper.idle()
        elif self.paused or self.refused:
            self.transport.abort()
        elif self.turn is None and not self.url:
            self.transport.close()
        elif self.turn is None:
            self.refuse(APIError("request_timeout"))

"""What an expert's bytes become on their way to a client, in callbacks: a plain answer, or a stream."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from experts import sse
from experts.base import BrokenOff, ExpertError
from experts.card import NANO
from experts.http1_exchange import Exchange, Headers, HTTPError, Sink
from experts.openai_answer import usual
from experts.openai_errors import of_status, of_transport
from experts.openai_http import SECONDS_TO_END, OpenAIHTTP, no_stream, piece, whole
from gateway import chat
from gateway.alike import Alike
from gateway.call import says_something
from gateway.cap import LENGTH, MOST_LETTERS, beyond, room
from gateway.life import Tally
from policies.groups import Group

if TYPE_CHECKING:
    from gateway.hot import Hot

LARGEST_READ = 256 * 1024
"""Bytes that come from an expert at once, at most."""
EVENTS = b"text/event-stream"
JSON: Headers = [(b"content-type", b"application/json")]
PLAIN = b"content-type: application/json\r\nx-lyceum-expert: %b\r\nx-lyceum-decision: %b\r\nx-lyceum-cost: %d.%09d\r\n"
STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Call(Sink):
    """One expert being asked: a sink for its bytes."""

    __slots__ = ("exchange", "expert", "headers", "hot", "parts", "size", "status", "tally")

    def __init__(self, hot: Hot, expert: OpenAIHTTP) -> None:
        self.hot, self.expert = hot, expert
        self.tally = Tally(hot.life, expert, hot.life.school.clock())
        self.exchange: Exchange | None = None
        self.status = self.size = 0
        self.headers: Headers = []
        self.parts: list[bytes] = []

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        """Keeps a body that is read whole: a plain answer, or an error."""
        self.parts.append(data)
        self.size += len(data)
        if self.size > self.expert.limits.answer_bytes:
            self.drop(BrokenOff("the answer is larger than its cap", cost=self.tally.answer().cost))

    def on_end(self) -> None:
        parts = self.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if self.status != 200:
            self.failed(of_status(self.status, self.headers, body, time.time()))
            return
        try:
            self.whole(body)
        except ExpertError as error:
            self.failed(error)

    def on_error(self, error: HTTPError) -> None:
        self.failed(of_transport(error))

    def whole(self, body: bytes) -> None:
        """The body of a 200. Raises ExpertError."""
        raise AssertionError("each kind of call reads its own")

    def drop(self, error: ExpertError) -> None:
        """Gives the expert up in the middle."""
        if self.exchange is not None:
            self.exchange.cancel()
        self.failed(error)

    def fail(self, error: ExpertError) -> Group | None:
        """Notes a failure."""
        failure = self.tally.failure(error)
        self.hot.life.outcomes += (failure,)
        return self.tally.settle(failure, error.reason)

    def failed(self, error: ExpertError) -> None:
        """Notes a failure, and asks the policy for another expert."""
        self.fail(error)
        self.hot.again()


class Plain(Call):
    """A plain answer: read whole, sent in one write once it is in the ledger."""

    __slots__ = ("answered", "row")
    takes_whole = True

    def on_whole(self, data: bytes, start: int) -> None:
        body = data[start:]
        if len(body) > self.expert.limits.answer_bytes:
            self.on_data(body)
            return
        try:
            self.whole(body)
        except ExpertError as error:
            self.failed(error)

    def whole(self, body: bytes) -> None:
        tally, expert = self.tally, self.expert
        tally.note(usual(body, expert.card.price) or whole(body, expert.progress()))
        self.answered = answer = tally.answer()
        if answer.finish_reason is None:
            raise BrokenOff("the expert's answer has no end", cost=answer.cost)
        self.row = row = tally.settle(answer, "answered")
        if row is None or row.done:
            self.send()
        else:
            row.then(self.send)

    def send(self) -> None:
        """The answer to the client; an error, if it could not be recorded."""
        hot, life = self.hot, self.hot.life
        if hot.unrecorded(self.row):
            return
        request, name, cost = life.request, self.expert.name, self.answered.cost or 0
        model = name if hot.names_expert else request.model
        body = chat.whole(self.tally.last, request.id, model, int(time.time()))
        spent = cost + life.spent() if life.outcomes else cost
        hot.turn.answer(PLAIN % (name.encode(), request.id.encode(), spent // NANO, spent % NANO), body)
        hot.over()


class Stream(Call):
    """A streamed answer: held until it says something and its decision is recorded, then passed on event by event."""

    # fmt: off
    __slots__ = ("alike", "begun", "calm", "ended", "events", "held", "line", "most", "open", "progress", "quick",
                 "reader")
    # fmt: on

    def __init__(self, hot: Hot, expert: OpenAIHTTP) -> None:
        super().__init__(hot, expert)
        request = hot.life.request
        model = expert.name if hot.names_expert else request.model
        self.events = chat.Events(request, model, int(time.time()))
        self.reader = sse.Reader(expert.limits.answer_bytes)
        self.progress = expert.progress()
        self.line = hot.turn.line
        self.alike = Alike(chunked=not hot.turn.old)
        self.held: list[bytes] = []
        self.begun = self.open = self.ended = False
        self.quick = False
        """Whether the next read may go on without being parsed, if it is like one before."""
        self.calm = self.most = 0
        """Chunks, and letters, up to which an answer keeps to its cap for certain."""

    def on_head(self, status: int, headers: Headers) -> None:
        super().on_head(status, headers)
        kind = dict(headers).get(b"content-type", b"")
        cap = room(self.tally)
        self.calm = sys.maxsize if cap is None else cap
        self.most = MOST_LETTERS * self.calm
        self.open = status == 200 and kind.split(b";")[0].strip().lower() == EVENTS

    def on_data(self, data: bytes) -> None:
        tally = self.tally
        if self.quick and (out := self.alike.taken(data, tally)) is not None:
            self.line.send(out)
            if self.line.paused:
                self.slow()
        elif not self.open:
            super().on_data(data)
            return
        elif not self.ended:
            try:
                self.read(data)
            except (ExpertError, sse.TooLong) as error:
                self.drop(error if isinstance(error, ExpertError) else self.progress.broken_off(str(error)))
                return
        suspect = tally.chunks > self.calm or tally.letters > self.most or tally.usage is not None
        if suspect and not self.ended and beyond(tally):
            self.cut()

    def read(self, data: bytes) -> None:
        """The events of a piece; held back until they say something. Raises ExpertError and TooLong."""
        out: list[bytes] = []
        done = speaks = False
        try:
            events = self.reader.feed(data)
            for event in events:
                if event.data == b"[DONE]":
                    done = True
                    break
                chunk = piece(event, self.progress)
                self.tally.note(chunk)
                out.append(self.events.of(chunk))
                speaks = speaks or says_something(chunk)
        finally:  # also what came before an error: it is noted as said
            self.pass_on(out)
        if done:
            self.end()
        elif not self.begun and speaks:
            self.hot.when_durable(None, self.begin)
        elif self.begun and events:
            self.alike.learn(data, chunk, out[-1])
        self.quick = self.begun and not self.ended and self.reader.skips(LARGEST_READ)

    def begin(self) -> None:
        """The head and what was held, unless another expert has taken over since."""
        if self.begun or (self.tally.settled and not self.ended):
            return
        self.begun = True
        turn = self.hot.turn
        head = turn.open(200, [*STREAM, *self.hot.about(self.tally.expert.name)])
        turn.put(b"".join(self.held), head)
        self.held.clear()

    def pass_on(self, out: list[bytes]) -> None:
        """To the client, once it has been sent the head."""
        if not self.begun:
            self.held += out
        elif data := b"".join(out):
            self.hot.turn.put(data)
            if self.line.paused:
                self.slow()

    def slow(self) -> None:
        """A client that reads slowly slows the expert down."""
        if self.exchange is not None:
            self.exchange.pause()
            self.line.on_writable = self.exchange.resume

    def end(self) -> None:
        """The expert said that it is done. Raises ExpertError unless the answer is whole."""
        self.progress.end()
        self.ended = True
        if self.exchange is not None:
            self.exchange.hasten(SECONDS_TO_END)
        if rest := self.progress.rest():
            self.tally.note(rest)
            self.events.of(rest)
        row = self.tally.settle(self.tally.answer(), "answered")
        self.hot.when_durable(row, self.finish)

    def cut(self) -> None:
        """The expert goes on beyond what was reserved for it: the answer ends here, as if it had kept to its cap."""
        self.ended = True
        if self.exchange is not None:
            self.exchange.cancel()
        self.tally.note(LENGTH)
        last = self.events.of(LENGTH)
        if self.begun:
            self.hot.turn.put(last)
        else:
            self.held.append(last)
        self.hot.when_durable(self.tally.settle(self.tally.answer(), "answered"), self.finish)

    def finish(self) -> None:
        """What is still owed, and the end of the stream."""
        if not self.begun:
            self.begin()
        self.hot.turn.finish(self.events.end(self.hot.life.total, self.hot.life.usage))
        self.hot.over()

    def on_end(self) -> None:
        if not self.open:
            super().on_end()
        elif not self.ended:
            try:
                self.end()
            except ExpertError as error:
                self.failed(error)

    def on_error(self, error: HTTPError) -> None:
        if self.ended:
            return
        if not self.progress.begun:
            self.failed(of_transport(error))
        elif self.progress.whole:
            self.end()
        else:
            self.failed(self.progress.broken_off(str(error)))

    def whole(self, body: bytes) -> None:
        raise no_stream(body)

    def failed(self, error: ExpertError) -> None:
        """Before the first byte another expert is asked; after it others go on, or the stream ends with an error."""
        if not self.begun:
            super().failed(error)
            return
        self.hot.when_durable(self.fail(error), lambda: self.hot.resume(self, self.events, error))

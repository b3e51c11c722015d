"""A streamed answer on its way to a client, in callbacks: event by event, from an expert's bytes to a client's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from orjson import JSONDecodeError, loads

from experts import sse
from experts.base import Answer, ExpertError, Timing
from experts.http1_exchange import HTTPError
from experts.openai_answer import Progress
from experts.openai_errors import of_transport
from experts.openai_http import SECONDS_TO_END, OpenAIHTTP, no_stream
from experts.slots import slotted
from gateway import chat
from gateway.alike import TRIES, Alike
from gateway.cap import LENGTH, beyond
from gateway.familiar import NOTHING, familiar
from gateway.hearing import DONE, Hearing
from gateway.outliers import FLOOR_SECONDS, RECENT, work_of
from gateway.turn import Line
from policies.groups import Group

if TYPE_CHECKING:
    from gateway.hot import Hot

LARGEST_READ = 256 * 1024
"""Bytes that come from an expert at once, at most."""


@slotted
class Stream(Hearing, kw_only=True, eq=False):
    """A streamed answer: held until it says something and its decision is recorded, then passed on event by event."""

    line: Line
    row: Group | None = None
    begun: bool = False
    ended: bool = False
    quick: bool = False
    """Whether the next read may go on without being parsed, if it is like one before."""

    @classmethod
    def of(cls, life: Hot, expert: OpenAIHTTP, now: float) -> Stream:
        """A stream that begins."""
        request, turn = life.request, life.turn
        model = expert.name if life.door.names_expert else request.model
        events = chat.Events(request, model, int(time.time()))
        return cls(
            life,
            expert,
            now,
            events=events,
            reader=sse.Reader(expert.limits.answer_bytes),
            progress=Progress(expert.card.price, expert.counts),
            line=turn.line,
            alike=Alike(not turn.old, expert.name),
            kind=familiar(expert.name, model, events.wants_usage),
        )

    def on_data(self, data: bytes) -> None:
        if self.quick and (out := self.alike.taken(data, self)) is not None:
            self.forward(out)
        elif not self.open:
            super().on_data(data)
            return
        elif not self.ended:
            try:
                self.read(data)
            except (ExpertError, sse.TooLong) as error:
                self.drop(error if isinstance(error, ExpertError) else self.progress.broken_off(str(error)))
                return
        if self.chunks > self.calm or self.letters > self.most or self.usage is not None:
            self.suspect()

    def at_once(self, data: bytes) -> bool:
        """A read as it came: goes on if it is one chunk like the last one; whether it did."""
        alike, line = self.alike, self.line
        if data[alike.end] != alike.tail:
            return False
        frame = alike.frames.get(len(data)) or alike.frame(len(data))
        if data[frame.head] != frame.theirs:
            return False
        said = data[frame.words]
        try:
            text = loads(said)
        except JSONDecodeError:
            return False
        alike.tries = TRIES
        line.send(b"".join((frame.ours, said, alike.our_tail)))
        self.said.append(text)
        self.chunks = chunks = self.chunks + 1
        self.letters = letters = self.letters + len(text)
        if line.paused:
            self.slow()
        if chunks > self.calm or letters > self.most:
            self.suspect()
        return True

    def forward(self, data: bytes) -> None:
        """Bytes that are ready for the client."""
        self.line.send(data)
        if self.line.paused:
            self.slow()

    def suspect(self) -> None:
        """The answer may be longer than what was reserved for it."""
        if not self.ended and beyond(self):
            self.cut()

    def read(self, data: bytes) -> None:
        """The events of a piece; held back until they say something. Raises ExpertError and TooLong."""
        out: list[bytes] = []
        parts, last, letters = self.reader.whole(data), self.last, self.letters
        try:
            if parts is None:
                done = self.slowly(data, out)
            else:
                done = DONE in parts
                self.hear(parts[: parts.index(DONE)] if done else parts, out)
            if done:
                self.progress.end()
        except (ExpertError, sse.TooLong):
            self.first = self.first if self.chunks else None
            self.pass_on(out)  # what came before it is noted as said
            raise
        if done:
            self.held += out
            self.end(letters)
            return
        self.pass_on(out)
        if out and self.last is not last:
            self.learn(data, out[-1])
        if self.begun:
            self.arm()
        elif self.letters or not self.plain or self.finish_reason:  # it says more than the name of a role
            self.say()

    def arm(self) -> None:
        """The next read may go on without being parsed, if nothing waits that came before it."""
        alike = self.alike
        if not alike.before and self.names is not NOTHING:
            self.kind.meet(alike, self.names, self.sent)
        self.quick = quick = self.reader.skips(LARGEST_READ)
        if self.exchange is not None:
            self.exchange.quick = self.at_once if quick and alike.before else None

    def say(self) -> None:
        """Begins, once the decision is in the ledger."""
        life = self.life
        decided = life.recorded
        if life.gone or not decided or not decided.done or decided.error:
            life.when_durable(None, self.begin)
            return
        try:
            self.begin()
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            life.refuse(error)

    def begin(self) -> None:
        """The head and what was held, unless another expert has taken over since."""
        if self.begun or (self.settled and not self.ended):
            return
        self.begun = True
        self.life.turn.stream(self.expert.name, b"".join(self.held))
        self.held.clear()
        if not self.ended:
            self.arm()

    def pass_on(self, out: list[bytes]) -> None:
        """To the client, once it has been sent the head; after what is held."""
        self.held += out
        if self.begun and (data := b"".join(self.held)):
            self.held.clear()
            self.life.turn.put(data)
            if self.line.paused:
                self.slow()

    def slow(self) -> None:
        """A client that reads slowly slows the expert down."""
        if self.exchange is not None:
            self.exchange.pause()
            self.line.on_writable = self.exchange.resume

    def end(self, letters: int = -1) -> None:
        """The expert said that it is done, and the answer is whole; so many letters were not held back."""
        self.ended, self.quick = True, False
        exchange, life = self.exchange, self.life
        if exchange is not None:
            exchange.quick = None
            if not exchange.came:
                exchange.hasten(SECONDS_TO_END)
        if rest := self.progress.rest():
            self.note(rest)
            self.events.of(rest)
        self.row = row = self.close()
        last = row or life.recorded  # groups end in the order in which they were begun
        if last is None or last.done:
            self.recorded()
        else:
            last.then(self.recorded)
            if self.begun and (self.letters > letters or not self.plain):
                asyncio.get_running_loop().call_soon(self.let_go)  # words do not wait for a disk

    def close(self) -> Group | None:
        """Settles the answer; where there is little to look at, in few steps."""
        life, first, reason, cost = self.life, self.first, self.finish_reason, self.cost
        school = life.school
        health, clock = school.health, school.clock  # called as a method it would be looked for in the class each time
        if self.settled or not health.calm or not first or first > FLOOR_SECONDS or not reason or cost is None:
            return self.settle(self.answer(), "answered")
        usage, last, timing = self.usage, self.last, Timing(first, clock() - self.started)
        answer = Answer(self.expert.name, last.delta, reason, usage, cost, timing, last.data, last.dialect)
        self.settled, life.answered, life.usage = True, answer, usage
        life.total += cost
        watched = health.watched[answer.expert]
        del watched.waiting[self]
        told = watched.streams.told
        if len(told) < RECENT:
            told.append(first / work_of(self))
        return school.books.settled(self, answer, "answered")

    def let_go(self) -> None:
        """What is held goes to the client, if it is still there."""
        if self.begun and self.held and not self.life.gone:
            self.pass_on([])

    def recorded(self) -> None:
        """The answer is in the ledger, or cannot be."""
        row, life = self.row, self.life
        decided = life.recorded
        if not life.gone and row and not row.error and decided and not decided.error:
            try:
                self.finish()
            except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
                life.refuse(error)
            return
        if (row is not None and row.error) or (decided is not None and decided.error):
            self.let_go()
        life.durable(row, self.finish)

    def cut(self) -> None:
        """The expert goes on beyond what was reserved for it: the answer ends here, as if it had kept to its cap."""
        self.ended = True
        if self.exchange is not None:
            self.exchange.cancel()
        self.note(LENGTH)
        last = self.events.of(LENGTH)
        if self.begun:
            self.life.turn.put(last)
        else:
            self.held.append(last)
        self.life.when_durable(self.settle(self.answer(), "answered"), self.finish)

    def finish(self) -> None:
        """What is still owed, and the end of the stream."""
        life, held = self.life, self.held
        if not self.begun:
            self.begin()
        held.append(self.events.end(life.total, life.usage))
        life.turn.finish(b"".join(held))
        held.clear()
        life.over()

    def on_end(self) -> None:
        if not self.open:
            super().on_end()
        elif not self.ended:
            try:
                self.progress.end()
                self.end()
            except ExpertError as error:
                self.failed(error)
            except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
                self.life.refuse(error)

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
        self.life.when_durable(self.fail(error), lambda: self.life.hand_on(self, self.events, error))

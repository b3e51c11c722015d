"""Drives a request's life in callbacks, without a task: for experts behind OpenAI's HTTP, whose bytes pass through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from experts.base import Expert, ExpertError, Request
from experts.openai_http import OpenAIHTTP
from experts.slots import slotted
from gateway import errors
from gateway.born import born
from gateway.chat import Events
from gateway.custom_chat import NAMED
from gateway.explained import Explaining, explained
from gateway.habits import learn
from gateway.http import HTTPCall, Reply
from gateway.leaving import leave
from gateway.life import Life
from gateway.resume import resumed
from gateway.run import send
from gateway.sink import JSON, Call, Plain
from gateway.stream import Stream
from gateway.turn import Head, Turn
from policies.base import Accept, Ask
from policies.groups import Group

if TYPE_CHECKING:
    from gateway.handlers import Door
    from gateway.school import Usual


@slotted
class Hot(Life, kw_only=True, eq=False):
    """A life on its way through one or several experts to its turn."""

    turn: Turn
    door: Door
    call: Call | None = None
    gone: bool = False
    """Whether nobody waits for an answer any more."""

    def start(self, usual: Usual) -> None:
        """Decides and asks for the first time: in one go where it is known beforehand who is asked, and who pays."""
        school, expert = self.school, usual.expert
        watched, first = usual.watched, usual.first
        if expert is None or watched is None or first is None:
            self.again()
            return
        clock, dice, books = school.clock, school.draw, school.books  # as methods they would be looked for each time
        now, money, key = clock(), books.money, self.key
        try:
            payer = money.fresh.get(key)
            scoped = not books.keys.open and books.permit(key, self.request.model, usual.catalog) is not usual.catalog
            if scoped or payer is None or now >= money.stale:
                self.again()
                return
            wall, draw = payer.wall, dice()
            allowance = payer.left() if wall is None else wall.room + payer.height
            if draw < first.draw or (allowance is not None and allowance < first.needs):
                self.again(draw)
                return
            self.usual, self.step, self.payer = None, 0, payer
            self.recorded = books.foreseen(self, usual, allowance, draw)
            if self.session:
                school.sessions.keep(key, self.session, expert.name)
            call = self.call = Stream.of(self, expert, now) if self.stream else Plain(self, expert, now)
            call.promise = promise = money.grant(self, expert, payer)
            watched.waiting[call] = False
            if now >= school.health.outliers.looks or not school.health.calm:
                school.health.looked(call)
            if promise is None or promise.lease is None or promise.told is None or promise.fare.seconds is not None:
                if not self.sent(call, self.request if promise is None else promise.capped(self.request, now)):
                    self.again()
                return
            try:
                call.exchange = expert.send(self.request, call)
            except ExpertError as error:
                call.failed(error)
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            self.when_durable(None, partial(self.refuse, error))

    def again(self, drawn: float | None = None) -> None:
        """Decides and asks, until somebody is at it or the life is handed over, so that there is nothing to do but
        wait: at first, `drawn` being the die if it is cast, and when an expert has failed before the client was sent
        anything."""
        clock = self.school.clock  # called as a method it would be looked for in the class each time
        try:
            if self.usual is not None:
                now = clock()
                if self.carry(self.foreseen(self.usual, now, drawn), now):
                    return
            while not self.carry(self.next(), clock()):
                pass
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            self.when_durable(None, partial(self.refuse, error))

    def begins(self, head: Head) -> bool:
        """Whether callbacks can do what is asked for; then the life knows all that is to be known of it. Raises
        APIError."""
        born(self, head.headers)
        body = self.request.body
        if body is not None and not body.plain and NAMED in body.data:
            return False
        if self.school.encoder is not None and not self.embed_now():
            return False
        self.begin()
        learn(self, head)
        return True

    def carry(self, decision: Ask | Accept, now: float) -> bool:
        """Carries a decision out; whether that is all that can be done now. `now`: monotonic."""
        expert: Expert | None = None
        if isinstance(decision, Ask) and decision.last and decision.spare is None:
            expert = self.school.experts[decision.experts[0]]
        if not isinstance(expert, OpenAIHTTP):
            self.door.resume(self, decision, self.turn)
            return True
        call = self.call = Stream.of(self, expert, now) if self.stream else Plain(self, expert, now)
        return self.sent(call, call.promised(self.request, self.payer))

    def sent(self, call: Call, request: Request) -> bool:
        """Asks an expert as soon as the accounts allow that."""
        promise = call.promise
        if promise is not None and promise.lease is None and (pending := promise.reserve(call)) is not None:
            pending.add_done_callback(partial(self.granted, call, request))
            return True
        try:
            call.exchange = call.expert.send(request, call)
        except ExpertError as error:
            call.fail(error)
            return False
        return True

    def granted(self, call: Call, request: Request, _: Any) -> None:
        """The accounts have answered: asks the expert, or the policy for another."""
        if self.gone:
            return
        try:
            call.admit()
            call.exchange = call.expert.send(request, call)
        except ExpertError as error:
            call.failed(error)
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            self.refuse(error)

    def hand_on(self, call: Call, events: Events, error: ExpertError) -> None:
        """An expert broke off after the client had seen its beginning: others go on, in a task."""
        chunks = resumed(self, call, error)
        self.call = None

        async def handler(_: HTTPCall, reply: Reply) -> None:
            with Explaining(self):
                await send(self, events, chunks, reply)

        self.turn.line.spawn(self.turn, handler)

    def refuse(self, error: Exception) -> None:
        """Ends the turn with an error: a body, or if it has begun the last event; and whoever still answers it."""
        self.gone = True  # nothing that waits has anything to say any more
        call = self.call
        asked = "" if call is None or call.exchange is None else call.expert.name
        known = explained(self, error, asked)
        errors.log(known, error, self.turn.head.path, self.turn.id)
        if call is not None:
            leave(call)
        if self.turn.started:
            self.turn.finish(known.event())
        else:
            self.turn.respond(known.http_status, [*JSON, *known.all_headers()], known.encoded())
        self.over()

    def over(self) -> None:
        """The turn has ended: what knew each other forgets it, so that no body waits for the garbage collector."""
        if self.call is not None:
            self.call.exchange = None
            self.call = None

    def cancel(self) -> None:
        """The client went away: its expert is cancelled, and what was said is written down."""
        self.gone = True
        if self.call is not None:
            leave(self.call)

    def when_durable(self, row: Group | None, then: Callable[[], None]) -> None:
        """Calls `then` once the last decision and a row written after it are in the ledger; if they cannot be, the
        client is told, if it is still there."""
        last = row or self.recorded  # groups end in the order in which they were begun
        if last is None or last.done:
            self.durable(row, then)
        else:
            last.then(partial(self.durable, row, then))

    def durable(self, row: Group | None, then: Callable[[], None]) -> None:
        """Both have ended."""
        try:
            if not self.unrecorded(row):
                then()
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            self.refuse(error)

    def unrecorded(self, row: Group | None) -> bool:
        """Whether there is nothing to be sent: the client has gone, or is told that what it got cannot be recorded."""
        if self.gone:
            return True
        recorded = self.recorded
        error = recorded.error if recorded is not None else None
        if error is None and row is not None:
            error = row.error
        if error is not None:
            self.refuse(error)
        return error is not None

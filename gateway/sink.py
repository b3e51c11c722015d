"""One expert being asked in callbacks: what its bytes become, and a plain answer on its way to a client."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from orjson import JSONDecodeError

from experts.base import BrokenOff, ExpertError, Timing
from experts.card import NANO
from experts.http1_exchange import Exchange, Headers, HTTPError
from experts.openai_answer import usual
from experts.openai_errors import of_status, of_transport
from experts.openai_http import OpenAIHTTP, whole
from experts.slots import slotted
from gateway import chat
from gateway.outliers import FLOOR_SECONDS, RECENT, work_of
from gateway.tally import Tally
from policies.groups import Group

if TYPE_CHECKING:
    from gateway.hot import Hot

JSON: Headers = [(b"content-type", b"application/json")]


class Call(Tally, eq=False):
    """One expert being asked: a sink for its bytes."""

    takes_whole: ClassVar[bool] = False
    life: Hot
    expert: OpenAIHTTP
    exchange: Exchange | None = None
    status: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    parts: list[bytes] | None = None
    """What a body is read in that does not come whole; `size`: bytes of them."""
    size: int = 0

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        """Keeps a body that is read whole: a plain answer, or an error."""
        if self.larger(data):
            self.drop(BrokenOff("the answer is larger than its cap", cost=self.answer().cost))

    def larger(self, data: bytes) -> bool:
        """Keeps a piece of a body; whether that is larger than its cap now."""
        if self.parts is None:
            self.parts = []
        self.parts.append(data)
        self.size += len(data)
        return self.size > self.expert.limits.answer_bytes

    def came(self) -> bytes:
        """The body that was kept."""
        parts = self.parts or ()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def on_end(self) -> None:
        body = self.came()
        if self.status != 200:
            self.failed(of_status(self.status, self.headers, body, time.time()))
            return
        try:
            self.whole(body)
        except ExpertError as error:
            self.failed(error)
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            self.life.refuse(error)

    def on_error(self, error: HTTPError) -> None:
        self.failed(of_transport(error))

    def on_whole(self, body: bytes) -> None:
        """A whole answer, of which only a plain call is told."""
        raise AssertionError("only for sinks that take answers whole")

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
        failure = self.failure(error)
        self.life.outcomes += (failure,)
        return self.settle(failure, error.reason)

    def failed(self, error: ExpertError) -> None:
        """Notes a failure, and asks the policy for another expert."""
        self.fail(error)
        self.life.again()


@slotted
class Plain(Call, eq=False):
    """A plain answer: read whole, sent in one write once it is in the ledger."""

    takes_whole: ClassVar[bool] = True
    row: Group | None = None
    body: bytes = b""

    def whole(self, body: bytes) -> None:
        self.on_whole(body)

    def on_whole(self, body: bytes) -> None:
        expert, life = self.expert, self.life
        if len(body) > expert.limits.answer_bytes:
            self.on_data(body)
            return
        school = life.school
        health, clock = school.health, school.clock  # called as a method it would be looked for in the class each time
        try:
            seconds = clock() - self.started
            answer = usual(body, expert.card.price, expert.name, Timing(seconds, seconds))
            if answer is None:
                answer = self.heard(whole(body, expert.progress()))
            if self.settled or not health.calm or seconds > FLOOR_SECONDS:
                row = self.settle(answer, "answered")
            else:  # the same, where there is little to look at
                self.settled, life.answered = True, answer
                life.total += answer.cost or 0
                watched = health.watched[expert.name]
                del watched.waiting[self]
                told = watched.plain.told
                if len(told) < RECENT:
                    told.append(seconds / work_of(self, answer.usage))
                row = school.books.settled(self, answer, "answered")
            self.body, self.row = body, row
        except ExpertError as error:
            self.failed(error)
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            life.refuse(error)
        else:
            if row is None or row.done:
                self.send()
            else:  # as its own `then`
                if not row.waiting and row.hurry is not None:
                    row.hurry()
                row.waiting.append(self.send)

    def send(self) -> None:
        """The answer to the client, once it is in the ledger; an error, if it could not be recorded."""
        life, row = self.life, self.row
        recorded = life.recorded
        try:
            if (life.gone or not row or row.error or not recorded or recorded.error) and life.unrecorded(row):
                return
            expert = self.expert.name
            body = chat.renamed(self.body, expert if life.door.names_expert else life.request.model)
            turn, cost = life.turn, life.total
            line, name = turn.line, turn.id
            if cost >= NANO or line.closing or turn.old:
                turn.answer(expert, cost, body)
            else:  # the same, at once
                turn.status = 200
                head = (
                    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-lyceum-expert: {expert}\r\n"
                    f"x-lyceum-decision: {name}\r\nx-lyceum-cost: 0.{str(cost).zfill(9)}\r\n"
                    f"content-length: {len(body)}\r\nx-request-id: {name}\r\n\r\n"
                )
                write = line.send  # called as a method it would be looked for in the class each time
                write(head.encode() + body)
                line.over(turn)
            self.exchange = life.call = None  # as in `over`
        except JSONDecodeError:  # in what nobody has looked at yet
            life.refuse(BrokenOff("the expert's answer is not JSON"))
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            life.refuse(error)

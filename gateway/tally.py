"""What one expert that is being asked has said and cost so far, and what it is settled at: once, whatever ends it."""

from __future__ import annotations

from asyncio import Future
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from experts.base import Answer, BrokenOff, Chunk, Expert, ExpertError, Failure, Outcome, Request, Timing
from experts.card import Usage
from experts.catalog import CHARACTERS_PER_TOKEN
from experts.slots import slotted
from gateway.cap import room
from gateway.life import Life
from gateway.money import unavailable
from gateway.promise import Promise
from policies.batches import StoreUnavailable
from policies.groups import Group
from policies.payers import Payer

NO_CHUNK = Chunk()


@slotted
class Tally(Struct, eq=False):
    """What one expert that is being asked has said and cost so far; settled once."""

    life: Life
    expert: Expert
    started: float
    """Monotonic second."""
    promise: Promise | None = None
    first: float | None = None
    chunks: int = 0
    said: list[str] = field(default_factory=list)
    letters: int = 0
    """Of all that was said."""
    plain: bool = True
    """Whether nothing but text was said: no call of a tool, no reasoning, no refusal."""
    last: Chunk = NO_CHUNK
    usage: Usage | None = None
    cost: int | None = None
    finish_reason: str | None = None
    settled: bool = False

    def promised(self, request: Request, payer: Payer | None = None) -> Request:
        """The request as the expert is to be asked, capped by what is to be reserved for it; what the usual request of
        who is known to pay needs is granted already, if that can be done at once."""
        life, expert = self.life, self.expert
        school = life.school
        money = school.books.money
        promise = money.promise(life, expert, request) if payer is None else money.grant(life, expert, payer)
        self.promise = promise
        school.health.asked(self)
        if promise is None or (promise.told is not None and promise.fare.seconds is None):
            return request  # it says itself how long the answer may be, and its time costs nothing
        return promise.capped(request, self.started)

    def reserve(self) -> Future[Any] | None:
        """Asks for the reservation; what must be waited for before `admit`, if anything."""
        promise = self.promise
        return None if promise is None or promise.lease is not None else promise.reserve(self)

    def admit(self) -> None:
        """Takes the reservation. Raises ExpertError if a limit refuses it, and APIError if nobody can tell."""
        try:
            if self.promise is not None:
                self.promise.granted()
        except StoreUnavailable as error:
            known = unavailable()
            self.settle(Failure(self.expert.name, known.code, True, 0, self.timing()), known.code)
            raise known from error

    def note(self, chunk: Chunk) -> None:
        """Remembers what a chunk says for the ledger."""
        if self.first is None:
            self.first = self.life.school.clock() - self.started
        self.chunks += 1
        self.last = chunk
        if delta := chunk.delta:
            text = delta.get("content")
            if type(text) is str:
                self.said.append(text)
                self.letters += len(text)
            elif text:
                self.plain = False
            if len(delta) > 1 or text is None:
                others = sum(map(bool, delta.values())) - bool(text) - bool(delta.get("role"))
                self.plain = self.plain and not others  # else more than the text and a role has something in it
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.cost is not None:
            self.cost = chunk.cost
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason

    def heard(self, chunk: Chunk) -> Answer:
        """An answer in chat's form that came as one chunk. It is looked at only where it does not tell its cost or
        end. Raises BrokenOff."""
        self.last = chunk
        if chunk.cost is None or not chunk.finish_reason:
            self.note(chunk)
            answer = self.answer()
            if answer.finish_reason is None:
                raise BrokenOff("the expert's answer has no end", cost=answer.cost)
            return answer
        seconds = self.life.school.clock() - self.started
        timing, data = Timing(seconds, seconds), chunk.data
        return Answer(self.expert.name, chunk.delta, chunk.finish_reason, chunk.usage, chunk.cost, timing, data)

    def timing(self) -> Timing:
        """Until now."""
        return Timing(self.first, self.life.school.clock() - self.started)

    def answer(self) -> Answer:
        """What was said so far; tokens and cost that nobody reported are estimated, and marked so."""
        usage, cost, last = self.usage, self.cost, self.last
        if cost is None and self.chunks:
            usage = self.counted()
            price = self.expert.card.price
            cost = price.tokens(usage) + price.cpu(self.timing().total)
        return Answer(
            self.expert.name, last.delta, self.finish_reason, usage, cost, self.timing(), last.data, last.dialect
        )

    def counted(self) -> Usage:
        """The usage, with our own count where the expert told none; an explicit 0 stays 0."""
        told = self.usage or Usage()
        if told.prompt_tokens is not None and told.completion_tokens is not None:
            return told
        prompt, completion = self.life.demand.tokens, self.letters // CHARACTERS_PER_TOKEN + 1
        if self.finish_reason == "length" and (most := room(self)) is not None:
            completion = min(completion, most)  # what was cut is billed as if it had kept to its cap
        return replace(
            told,
            prompt_tokens=prompt if told.prompt_tokens is None else told.prompt_tokens,
            completion_tokens=completion if told.completion_tokens is None else told.completion_tokens,
            estimated=True,
        )

    def failure(self, error: ExpertError) -> Failure:
        """Why there is no answer, and what that cost; what was said before is estimated if nobody reported it."""
        cost, usage = error.about.get("cost"), self.usage
        if cost is None and self.chunks:
            answer = self.answer()
            cost, usage = answer.cost, answer.usage
        retryable = error.retryable or self.life.fits_another(self.expert.card, error)
        return Failure(self.expert.name, error.reason, retryable, cost, self.timing(), error, usage)

    def settle(self, outcome: Outcome, kind: str) -> Group | None:
        """Queues the outcome's row, the first time; its group ends when it is durable."""
        if self.settled:
            return None
        self.settled = True
        life, cost = self.life, outcome.cost
        school = life.school
        if cost:
            life.total += cost
        life.usage = outcome.usage
        if kind == "answered":
            life.answered = outcome  # type: ignore[assignment] # only answers are of that kind
        school.health.ended(self, outcome)
        return school.books.settled(self, outcome, kind)

    def left(self) -> None:
        """The client went away: what was said so far is written down, and nobody waits for it."""
        answer = replace(self.answer(), finish_reason=None)
        asked = self.promise is None or self.promise.pending is None
        self.settle(answer if asked else replace(answer, cost=0), "client_left")

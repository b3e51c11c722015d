"""One request's life without any I/O: what is decided next, what came of it, what the ledger is told.

Drivers act: `run` in coroutines for every expert, `hot` in callbacks for those behind OpenAI's HTTP.
"""

from __future__ import annotations

from asyncio import Future
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from experts.base import Answer, Chunk, Expert, ExpertError, Failure, Outcome, Request, Timing
from experts.card import Card, Usage
from experts.catalog import CHARACTERS_PER_TOKEN, Catalog, Demand, eligible
from gateway.cap import room
from gateway.chat import money
from gateway.errors import APIError, overloaded, refusal
from gateway.money import Promise, unavailable
from gateway.school import School
from gateway.words import sure
from policies.base import Accept, Ask, Policy, Refuse, State
from policies.batches import StoreUnavailable
from policies.groups import Group
from policies.pick import instead
from policies.resume import Resume

NOTHING = Demand(frozenset(), 0, False)
NO_CHUNK = Chunk()
SPARE_STEPS = 2
"""Rounds beyond one for each expert: a policy asks nobody twice, then must accept or refuse."""


class Life(Struct, eq=False):
    """The loop's state, and the only writer of the request's rows in the ledger."""

    school: School
    request: Request
    policy: Policy
    policy_name: str
    key: str
    demand: Demand = NOTHING
    catalog: Catalog = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    too_small: int = 0
    """The largest context, in tokens, that an expert found too small for the request."""
    step: int = -1
    stream: bool = False
    """Whether the client wants events."""
    total: int = 0
    """Nano-dollars of every outcome so far."""
    usage: Usage | None = None
    """Of the last answer, counted by us where the expert told nothing."""
    session: int = 0
    """The hash of the conversation's name; 0: it has none."""
    sticky: str | None = None
    """Who answered the conversation last."""
    answered: Answer | None = None
    """What the last decision has brought, if it is an answer for the client."""
    recorded: Group | None = None
    """Ends when the last decision is durable."""

    def begin(self) -> None:
        """Keeps the eligible experts; the request is final from here on."""
        self.stream = self.request.stream
        self.demand = Demand.of(self.request)
        self.catalog = eligible(self.demand, self.school.catalog(self.request.model, self))

    def embed_now(self) -> bool:
        """Gives the request its vector, or what does as well, if that needs no waiting."""
        known = self.school.embedded_now(self.request)
        words = self.school.words
        if known is None and words is not None:
            self.begin()
            marked = words.marked(self.request)
            catalog = self.school.books.permit(self.key, marked.model, self.catalog)
            estimates = self.school.estimates(marked, self.demand, catalog)
            state = State(marked, estimates, draw=1.0, sticky=self.sticky)  # 1.0: nothing is explored
            known = marked if estimates and sure(self.policy, state) else None
        self.request = known or self.request
        return known is not None

    async def embed(self) -> None:
        """The same, and waits for the vector if it must."""
        if not self.embed_now():
            self.request = await self.school.embedded(self.request)

    def next(self) -> Ask | Accept:
        """The next decision, its row queued. Raises APIError when nothing is left, and LedgerUnavailable."""
        self.step += 1
        if not self.catalog and not self.outcomes and (error := self.school.crowded(self)) is not None:
            raise error
        if self.step >= len(self.catalog) + SPARE_STEPS:
            raise self.refused("exhausted")
        catalog = self.catalog
        if self.too_small:
            catalog = {name: card for name, card in catalog.items() if card.context > self.too_small}
        return self.decide(self.policy, catalog, self.outcomes)

    def fits_another(self, card: Card, error: ExpertError) -> bool:
        """Whether the request is too long for an expert and there are larger ones: from now on only they are asked."""
        if error.about.get("code") != "context_length_exceeded":
            return False
        self.too_small = max(self.too_small, card.context)
        return any(other.context > self.too_small for other in self.catalog.values())

    def resume(self, able: Catalog, outcomes: tuple[Outcome, ...]) -> Ask | Accept:
        """Who of those that can goes on with the answer that broke off. Raises as `next` does."""
        self.step += 1
        return self.decide(instead(self.policy, Resume()), able, outcomes)

    def decide(self, policy: Policy, catalog: Catalog, outcomes: tuple[Outcome, ...]) -> Ask | Accept:
        """A decision, its row queued. Raises APIError if the key may ask nobody of the catalog."""
        self.answered = None
        school, request, key = self.school, self.request, self.key
        books = school.books
        money = books.money
        catalog = books.permit(key, request.model, catalog)
        estimates = school.estimates(request, self.demand, catalog, outcomes)
        state = State(request, estimates, outcomes, money.allowance(key, request), school.draw(), self.sticky)
        decision = (policy if money.steering is None else books.steered(key, request, policy)).decide(state)
        if school.encoder is not None and (remark := school.remark(request)):
            decision = replace(decision, why=f"{decision.why}{remark}".lstrip("; "))
        self.recorded = books.decided(self, state, decision)
        if isinstance(decision, Refuse):
            raise self.refused(decision.reason)
        if self.session and (isinstance(decision, Accept) or decision.last):
            chosen = decision.answer.expert if isinstance(decision, Accept) else decision.experts[0]
            school.sessions.keep(self.key, self.session, chosen)
        return decision

    def refused(self, reason: str) -> APIError:
        """What the client hears, and what was spent all the same."""
        last = self.last_error()
        crowded = reason == "exhausted" and self.outcomes and self.outcomes[-1].expert in self.school.health.crowded
        error = overloaded(last.about.get("retry_after")) if crowded and last is not None else refusal(reason, last)
        if self.total:
            error.headers["x-lyceum-cost"] = money(self.total).decode()
        return error

    def last_error(self) -> ExpertError | None:
        """The error of the last failure."""
        errors = [outcome.error for outcome in self.outcomes if isinstance(outcome, Failure)]
        return errors[-1] if errors else None

    def spent(self) -> int:
        """Nano-dollars of what was asked so far and is not the answer."""
        return sum(outcome.cost or 0 for outcome in self.outcomes)


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

    def promised(self, request: Request) -> Request:
        """The request as the expert is to be asked, capped by what is to be reserved for it."""
        life, expert = self.life, self.expert
        life.school.health.asked(self)
        promise = life.school.books.money.promise(life.key, expert.name, expert.card, request, life.demand)
        if promise is None:
            return request
        self.promise = promise
        return promise.capped(request, self.started)

    def reserve(self) -> Future[Any] | None:
        """Asks for the reservation; what must be waited for before `admit`, if anything."""
        promise = self.promise
        return None if promise is None else promise.reserve(self)

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
        delta = chunk.delta
        text = delta.get("content")
        if type(text) is str:
            self.said.append(text)
            self.letters += len(text)
        elif text:
            self.plain = False
        if sum(map(bool, delta.values())) > bool(text) + bool(delta.get("role")):
            self.plain = False  # more than the text and a role has something in it
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.cost is not None:
            self.cost = chunk.cost
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason

    def heard(self, chunk: Chunk) -> Answer:
        """An answer that came as one chunk. What it says is looked at only where it does not tell its cost or end."""
        self.last = chunk
        if chunk.cost is None or not chunk.finish_reason:
            self.note(chunk)
            return self.answer()
        seconds = self.life.school.clock() - self.started
        timing = Timing(seconds, seconds)
        return Answer(
            self.expert.name,
            chunk.delta,
            chunk.finish_reason,
            chunk.usage,
            chunk.cost,
            timing,
            chunk.data,
            chunk.dialect,
        )

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
        life = self.life
        if outcome.cost:
            life.total += outcome.cost
        life.usage = outcome.usage
        if kind == "answered":
            life.answered = outcome  # type: ignore[assignment] # only answers are of that kind
        life.school.health.ended(self, outcome)
        return life.school.books.settled(self, outcome, kind)

    def left(self) -> None:
        """The client went away: what was said so far is written down, and nobody waits for it."""
        answer = replace(self.answer(), finish_reason=None)
        asked = self.promise is None or self.promise.pending is None
        self.settle(answer if asked else replace(answer, cost=0), "client_left")

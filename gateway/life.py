"""One request's life without any I/O: what is decided next, what came of it, what the ledger is told.

Drivers act: `run` in coroutines for every expert, `hot` in callbacks for those behind OpenAI's HTTP.
"""

from __future__ import annotations

from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from experts.base import Answer, ExpertError, Failure, Outcome, Request
from experts.card import Card, Usage
from experts.catalog import Catalog, Demand, eligible
from experts.slots import slotted
from gateway.chat import money
from gateway.errors import APIError, overloaded, refusal
from gateway.school import School, Usual
from gateway.words import sure
from policies.base import Accept, Ask, Policy, Refuse, State
from policies.groups import Group
from policies.payers import Payer
from policies.pick import instead
from policies.resume import Resume

NOTHING = Demand(frozenset(), 0, False)
NO_CATALOG: Catalog = MappingProxyType({})
SPARE_STEPS = 2
"""Rounds beyond one for each expert: a policy asks nobody twice, then must accept or refuse."""


@slotted
class Life(Struct, eq=False):
    """The loop's state, and the only writer of the request's rows in the ledger."""

    school: School
    request: Request
    policy: Policy
    policy_name: str
    key: str
    demand: Demand = NOTHING
    catalog: Catalog = NO_CATALOG
    tokens: int | None = None
    """All that there is to know of a body that asks for nothing but talk in text."""
    usual: Usual | None = None
    """What is the same for others like it, if that tells the first decision; until that is made."""
    payer: Payer | None = None
    """Who pays, if that was found with a first decision that was known."""
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
    told: str = ""
    """The fingerprint of its prompt, if that is known."""
    sticky: str | None = None
    """Who answered the conversation last."""
    answered: Answer | None = None
    """What the last decision has brought, if it is an answer for the client."""
    recorded: Group | None = None
    """Ends when the last decision is durable."""

    def begin(self) -> None:
        """Keeps the eligible experts; the request is final from here on."""
        request, school, tokens = self.request, self.school, self.tokens
        options, met, model = request.options, school.cards, request.model
        if "stream" in options and options["stream"]:
            self.stream = True
        if model in met or school.supervised or not school.health.calm:
            met = school.catalog(model, self)
        if tokens is None or not school.blind or request.embedding is not None:
            self.usual, self.demand = None, Demand.of(request)
            self.catalog = eligible(self.demand, met)
            return
        known = school.latest.get(tokens)
        if known is None or known.met is not met or known.policy is not self.policy:
            known = school.known_of(request, tokens, met, self.policy)
        self.demand, self.catalog = known.demand, known.catalog
        self.usual = None if known.first is None or self.sticky is not None else known

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
        if self.usual is not None:
            return self.foreseen(self.usual, self.school.clock())
        self.step = step = self.step + 1
        catalog, outcomes = self.catalog, self.outcomes
        if not catalog and not outcomes and (error := self.school.crowded(self)) is not None:
            raise error
        if step >= len(catalog) + SPARE_STEPS:
            raise self.refused("exhausted")
        if self.too_small:
            catalog = {name: card for name, card in catalog.items() if card.context > self.too_small}
        return self.decide(self.policy, catalog, outcomes)

    def foreseen(self, usual: Usual, now: float, drawn: float | None = None) -> Ask | Accept:
        """The first decision where it is known beforehand, its row queued; `now`: monotonic, `drawn`: the die, if it is
        cast."""
        self.usual, self.step = None, 0
        school, key, first = self.school, self.key, usual.first
        books = school.books
        money, draw = books.money, school.draw() if drawn is None else drawn
        payer = money.fresh.get(key)
        if payer is None or now >= money.stale:
            allowance = money.left(self, now)
        else:
            self.payer, wall = payer, payer.wall
            if wall is None:
                allowance = payer.left()
            elif (allowance := wall.room + payer.height) < 0:
                allowance = 0
        if (
            first is None
            or draw < first.draw
            or (allowance is not None and allowance < first.needs)
            or not (books.keys.open or books.permit(key, self.request.model, usual.catalog) is usual.catalog)
        ):
            return self.decide(self.policy, usual.catalog, (), draw)
        ask = first.ask
        self.recorded = books.foreseen(self, usual, allowance, draw)
        if self.session:
            school.sessions.keep(key, self.session, ask.experts[0])
        return ask

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

    def decide(
        self, policy: Policy, catalog: Catalog, outcomes: tuple[Outcome, ...], drawn: float | None = None
    ) -> Ask | Accept:
        """A decision, its row queued. Raises APIError if the key may ask nobody of the catalog."""
        self.answered = self.payer = None
        school, request, key = self.school, self.request, self.key
        books = school.books
        catalog = books.permit(key, request.model, catalog)
        estimates = school.estimates(request, self.demand, catalog, outcomes)
        draw = school.draw() if drawn is None else drawn
        state = State(request, estimates, outcomes, books.money.allowance(key, request), draw, self.sticky)
        decision = books.steered(key, request, policy).decide(state)
        if school.encoder is not None and (remark := school.remark(request)):
            decision = replace(decision, why=f"{decision.why}{remark}".lstrip("; "))
        self.recorded = books.decided(self, state, decision)
        if isinstance(decision, Refuse):
            raise self.refused(decision.reason)
        if self.session and (isinstance(decision, Accept) or decision.last):
            chosen = decision.answer.expert if isinstance(decision, Accept) else decision.experts[0]
            school.sessions.keep(key, self.session, chosen)
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

"""What the operator's configuration makes, started and stopped together: experts, router, policies, books."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from experts.base import Expert, Outcome, Request
from experts.catalog import Catalog, Demand, eligible
from experts.openai_http import OpenAIHTTP
from gateway.encoder import Embedder, EncoderClient
from gateway.errors import APIError, overloaded
from gateway.health import Health, Tolerance
from gateway.hedges import Hedges
from gateway.outliers import Watched
from gateway.retries import Retries
from gateway.sessions import Sessions
from gateway.tiers import PRIORITY, SPREADS, Tiers
from gateway.words import Words
from policies.affinity import staying
from policies.base import Policy
from policies.first import First, first
from policies.pick import Threshold, instead
from routers.base import Estimates, Router

if TYPE_CHECKING:
    from gateway.books import Books
    from gateway.habits import Habit
    from gateway.life import Life


Value = TypeVar("Value")
MOST, PARTS = 2048, 256
"""How much is remembered of lengths, and of parts of the experts."""


class Recent(Generic[Value]):
    """The values of the keys seen last, at most `most`; the oldest makes room. Keys are hashes: no prompt is kept."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.known: OrderedDict[Hashable, Value] = OrderedDict()
        self.get = self.known.get

    def put(self, key: Hashable, value: Value) -> Value:
        """Keeps a value."""
        if len(self.known) >= self.most:
            self.known.popitem(last=False)
        self.known[key] = value
        return value


class Usual(Struct, frozen=True):
    """What is the same for all plain requests of a length, for as long as the same experts may be met."""

    met: Catalog
    policy: Policy
    demand: Demand
    catalog: Catalog
    """Those of them that are eligible."""
    estimates: Estimates
    first: First | None
    """What the policy asks first."""
    expert: OpenAIHTTP | None
    """Whom that is, if its answer goes straight to the client and its bytes pass through."""
    watched: Watched | None = None
    """How that one has been doing."""


@dataclass(slots=True)
class School:
    """Everything a request can meet. Clock and randomness are passed in, so that a fault replays by its seed."""

    experts: Mapping[str, Expert]
    router: Router
    policy: Policy
    books: Books
    policies: Mapping[str, Policy] = field(default_factory=dict)
    encoder: Embedder | None = None
    words: Words | None = None
    """Decides without the encoder where it is sure."""
    continues: bool = True
    """Whether an answer that breaks off may be continued by another expert."""
    clock: Callable[[], float] = time.monotonic
    vectors: Recent[Any] = field(default_factory=Recent)
    known: Recent[Estimates] = field(default_factory=Recent)
    """First estimates: a router is pure, so the same prompt, length and experts give the same ones; of a blind router,
    which looks at no words, every prompt of that length."""
    tolerance: Tolerance = field(default_factory=Tolerance)
    """What leaves an expert out for a while."""
    tiers: Tiers = field(default_factory=Tiers)
    """Who comes first where there is not room for all."""
    health: Health = field(init=False)
    cards: Catalog = field(init=False)
    alone: Mapping[str, Catalog] = field(init=False)
    """Of each expert a catalog of its own."""
    dials: dict[str, tuple[str, Policy]] = field(init=False, default_factory=dict)
    """By model what it dials, and its name."""
    errands: Policy = field(init=False)
    """For what clients ask for themselves."""
    some: dict[tuple[str, ...], Catalog] = field(init=False, default_factory=dict)
    """Catalogs of a part of the experts; the same ones each time."""
    usual: dict[tuple[int, int, int], Usual] = field(init=False, default_factory=dict)
    """By catalog, tokens and policy, which are kept with it."""
    latest: dict[int, Usual] = field(init=False, default_factory=dict)
    """Of those of each length the one that was met last."""
    blind: bool = field(init=False)
    """Whether the router looks at no words."""
    supervised: Mapping[str, Any] = field(init=False)
    """Those that say whether they are ready."""
    draw: Callable[[], float] = field(default_factory=lambda: random.Random().random)

    sessions: Sessions = field(default_factory=Sessions)
    """Who answered which conversation."""

    retries: Retries = field(init=False)
    """Answers that could not be delivered."""
    habits: dict[int, Habit] = field(init=False, default_factory=dict)
    """By the options that they are of."""
    hedges: Hedges = field(default_factory=Hedges)
    """Second experts that were asked for who had to wait."""

    def __post_init__(self) -> None:
        self.retries = Retries(lambda: self.clock())
        self.health = Health(lambda: self.clock(), self.tolerance)
        self.policy = staying(self.policy)
        self.errands = instead(self.policy, Threshold(0.0))
        self.cards = {name: expert.card for name, expert in self.experts.items()}
        self.alone = {name: {name: card} for name, card in self.cards.items()}
        self.blind = getattr(self.router, "by_length", False)
        self.supervised = {name: expert for name, expert in self.experts.items() if hasattr(expert, "ready")}

    def catalog(self, model: str, life: Life | None = None) -> Catalog:
        """The cards of the experts that a request for `model` may meet: all that are ready, well and have room for one
        of its life's rank, or the one it names. If all fail all the time, the one that is due first: no answer is ruled
        out, no load piled up."""
        health, cards = self.health, self.cards
        if model in cards:
            return {} if health.crowded and health.full(model, self.rank(life)) else self.alone[model]
        if not (self.supervised or health.records or health.grey or health.crowded):
            return cards
        asleep = [name for name, expert in self.supervised.items() if not expert.ready]
        awake = self.part([name for name in cards if name not in asleep]) if asleep else cards
        if health.records or health.grey:
            failing = health.left_out(awake)
            awake = self.part([name for name in awake if name not in failing] or health.soonest(awake))
        if not health.crowded:
            return awake
        rank = self.rank(life)
        return self.part([name for name in awake if not health.full(name, rank)])

    def rank(self, life: Life | None) -> int:
        """Of a request that comes while an expert is crowded."""
        if life is None:
            return PRIORITY  # a dry run takes nobody's seat
        rank = self.tiers.rank(self.books.money.who(life.key), life.request)
        self.health.crowds.came[rank] = self.clock()
        return rank

    def part(self, names: Sequence[str]) -> Catalog:
        """The cards of some experts."""
        known = self.some.get(tuple(names))
        if known is None:
            if len(self.some) >= PARTS:
                self.some.clear()
            known = self.some[tuple(names)] = {name: self.cards[name] for name in names}
        return known

    def crowded(self, life: Life) -> APIError | None:
        """What a request hears if experts that could take it have no room for it now."""
        if not self.health.crowded:
            return None
        cards, rank = self.alone.get(life.request.model, self.cards), self.rank(life)
        full = any(self.health.full(name, rank) for name in eligible(life.demand, cards))
        return overloaded(spread=SPREADS[rank]) if full else None

    def embedded_now(self, request: Request) -> Request | None:
        """The request as the router wants it, if that needs no waiting: nobody reads vectors, or this one is known."""
        if self.encoder is None or request.embedding is not None or request.model in self.experts:
            return request
        vector = self.vectors.get(hash(request.prompt))
        return None if vector is None else replace(request, embedding=vector)

    async def embedded(self, request: Request) -> Request:
        """The request with its vector; without one if that cannot be had in time."""
        known = self.embedded_now(request)
        if known is not None or self.encoder is None:
            return known or request
        vector = await self.encoder.embed(request.prompt)
        self.books.metrics.vectors["late" if vector is None else "made",] += 1
        if vector is None:
            return request
        return replace(request, embedding=self.vectors.put(hash(request.prompt), vector))

    def remark(self, request: Request) -> str:
        """What its decision says if it was made without the vector that the router would have liked to have."""
        if self.encoder is None or request.model in self.experts:
            return ""
        if request.embedding is None:
            return "; its vector would have come too late"
        return "; its words alone decide" if self.words is not None and self.words.meant(request) else ""

    def estimates(
        self, request: Request, demand: Demand, catalog: Catalog, outcomes: Sequence[Outcome] = ()
    ) -> Estimates:
        """What the router expects of each expert."""
        by_words = self.words is not None and self.words.meant(request)
        router = self.words if self.words is not None and by_words else self.router
        if outcomes:
            return router.estimate(request, catalog, outcomes)
        words = None if getattr(router, "by_length", False) else hash(request.prompt)
        key = (words, demand.tokens, request.embedding is None, by_words, *catalog)
        known = self.known.get(key)
        return known or self.known.put(key, router.estimate(request, catalog, ()))

    def known_of(self, request: Request, tokens: int, met: Catalog, policy: Policy) -> Usual:
        """What is the same for all plain requests of a length."""
        known = self.usual.get((id(met), tokens, id(policy)))
        if known is None:
            known = self.remember(request, Demand.of(request), met, policy)
        self.latest[tokens] = known
        return known

    def remember(self, request: Request, demand: Demand, met: Catalog, policy: Policy) -> Usual:
        """What is found for a plain request, for those of its length to come."""
        catalog = eligible(demand, met)
        estimates = self.estimates(request, demand, catalog)
        if len(self.usual) >= MOST:
            self.usual.clear()
            self.latest.clear()
        settled = self.encoder is None and self.books.money.steering is None  # else a decision says or meets more
        foreseen = first(policy, estimates) if settled else None
        expert = self.straight(foreseen)
        watched = None if expert is None else self.health.watch(expert.name)
        known = Usual(met, policy, demand, catalog, estimates, foreseen, expert, watched)
        self.usual[id(met), demand.tokens, id(policy)] = known
        return known

    def straight(self, foreseen: First | None) -> OpenAIHTTP | None:
        """Whom a decision asks, if its answer goes straight to the client and its bytes pass through."""
        ask = None if foreseen is None else foreseen.ask
        asked = None if ask is None or not ask.last or ask.spare is not None else self.experts[ask.experts[0]]
        return asked if isinstance(asked, OpenAIHTTP) else None

    async def start(self) -> None:
        """Starts every expert that has something to start, side by side."""
        await asyncio.gather(*(expert.start() for expert in self.experts.values() if hasattr(expert, "start")))

    async def stop(self) -> None:
        """Stops them all, then closes the books."""
        await self.hedges.close()
        await asyncio.gather(*(expert.stop() for expert in self.experts.values() if hasattr(expert, "stop")))
        if isinstance(self.encoder, EncoderClient):
            await self.encoder.attend(None)
        await self.books.close()

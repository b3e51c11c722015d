"""What the operator's configuration makes, started and stopped together: experts, router, policies, books."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec.structs import replace

from experts.base import Expert, Outcome, Request
from experts.catalog import Catalog, Demand, eligible
from gateway.encoder import Embedder, EncoderClient
from gateway.errors import APIError, overloaded
from gateway.health import Health, Tolerance
from gateway.hedges import Hedges
from gateway.retries import Retries
from gateway.sessions import Sessions
from gateway.tiers import PRIORITY, SPREADS, Tiers
from gateway.words import Words
from policies.affinity import staying
from policies.base import Policy
from routers.base import Estimates, Router

if TYPE_CHECKING:
    from gateway.books import Books
    from gateway.life import Life


Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values of the keys seen last, at most `most`; the oldest makes room. Keys are hashes: no prompt is kept."""

    def __init__(self, most: int = 2048) -> None:
        self.most = most
        self.known: OrderedDict[Hashable, Value] = OrderedDict()
        self.get = self.known.get

    def put(self, key: Hashable, value: Value) -> Value:
        """Keeps a value."""
        if len(self.known) >= self.most:
            self.known.popitem(last=False)
        self.known[key] = value
        return value


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
    supervised: Mapping[str, Any] = field(init=False)
    """Those that say whether they are ready."""
    draw: Callable[[], float] = field(default_factory=lambda: random.Random().random)

    sessions: Sessions = field(default_factory=Sessions)
    """Who answered which conversation."""

    retries: Retries = field(init=False)
    """Answers that could not be delivered."""
    hedges: Hedges = field(default_factory=Hedges)
    """Second experts that were asked for who had to wait."""

    def __post_init__(self) -> None:
        self.retries = Retries(lambda: self.clock())
        self.health = Health(lambda: self.clock(), self.tolerance)
        self.policy = staying(self.policy)
        self.cards = {name: expert.card for name, expert in self.experts.items()}
        self.supervised = {name: expert for name, expert in self.experts.items() if hasattr(expert, "ready")}

    def catalog(self, model: str, life: Life | None = None) -> Catalog:
        """The cards of the experts that a request for `model` may meet: all that are ready, well and have room for one
        of its life's rank, or the one it names. If all fail all the time, the one that is due first: no answer is ruled
        out, no load piled up."""
        if model in self.cards:
            full = self.health.crowded and self.health.full(model, self.rank(life))
            return {} if full else {model: self.cards[model]}
        asleep = [name for name, expert in self.supervised.items() if not expert.ready]
        awake = {name: card for name, card in self.cards.items() if name not in asleep} if asleep else self.cards
        health = self.health
        if health.records or health.grey:
            failing = health.left_out(awake)
            well = {name: card for name, card in awake.items() if name not in failing}
            awake = well or {name: awake[name] for name in health.soonest(awake)}
        if not health.crowded:
            return awake
        rank = self.rank(life)
        return {name: card for name, card in awake.items() if not health.full(name, rank)}

    def rank(self, life: Life | None) -> int:
        """Of a request that comes while an expert is crowded."""
        rank = PRIORITY if life is None else self.tiers.rank(self.books.money.who(life.key), life.request)
        self.health.crowds.came[rank] = self.clock()
        return rank

    def crowded(self, life: Life) -> APIError | None:
        """What a request hears if experts that could take it have no room for it now."""
        if not self.health.crowded:
            return None
        model, rank = life.request.model, self.rank(life)
        cards = {model: self.cards[model]} if model in self.cards else self.cards
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
        words = None if getattr(router, "blind", False) else hash(request.prompt)
        key = (words, demand.tokens, request.embedding is None, by_words, *catalog)
        known = self.known.get(key)
        return known or self.known.put(key, router.estimate(request, catalog, ()))

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

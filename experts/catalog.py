"""The experts by name, and which of them are eligible for a request: allowed and able, before any optimization."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from experts.base import CHAT, Request
from experts.card import Card
from experts.reading import LAST, look
from experts.reading import TEXT as TEXT

Catalog = Mapping[str, Card]
"""What routers and policies know of the experts."""

TALK = frozenset({CHAT})
CHARACTERS_PER_TOKEN = 4
"""A low guess of length for plain English; experts count exactly and refuse what does not fit."""


class Demand(Struct, frozen=True):
    """What a request asks of whoever takes it. `tokens` is a low estimate of the prompt's length."""

    modalities: frozenset[str]
    tokens: int
    tools: bool
    dialects: frozenset[str] = TALK
    """Of these an expert must speak one."""

    @classmethod
    def of(cls, request: Request) -> Demand:
        """What the conversation is, and what it brings along."""
        found = LAST[0]
        if found.messages is not request.messages:
            found = look(request.messages)
        tools = "tools" in request.options and bool(request.options["tools"])
        dialects = TALK if request.dialect == CHAT else _dialects(request)
        return cls(found.kinds, found.letters // CHARACTERS_PER_TOKEN, tools, dialects)


def _dialects(request: Request) -> frozenset[str]:
    return frozenset({request.dialect}) if request.untold else TALK | {request.dialect}


def eligible(demand: Demand, catalog: Catalog) -> Catalog:
    """The experts that can take a request: context, tools, modalities and dialect; the same ones for as long as the
    catalog is the same."""
    known = ABLE.get((id(catalog), demand.modalities, demand.tools, demand.dialects))
    _, able, shortest = _able(demand, catalog) if known is None else known
    if demand.tokens < shortest:
        return able
    return {name: card for name, card in able.items() if demand.tokens < card.context}


def _able(demand: Demand, catalog: Catalog) -> tuple[Catalog, Catalog, float]:
    """A catalog, the experts of it that can take a request but for its length, and the shortest context of them."""
    able = {
        name: card
        for name, card in catalog.items()
        if (card.tools or not demand.tools)
        and demand.modalities <= card.modalities
        and not demand.dialects.isdisjoint(card.dialects)
    }
    if len(ABLE) >= KNOWN:
        ABLE.clear()
    known = catalog, able, min((card.context for card in able.values()), default=0)
    ABLE[id(catalog), demand.modalities, demand.tools, demand.dialects] = known
    return known


KNOWN = 256
ABLE: dict[tuple[int, frozenset[str], bool, frozenset[str]], tuple[Catalog, Catalog, float]] = {}
"""By catalog, which is kept so that no other can take its place in memory, and demand."""

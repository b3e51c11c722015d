"""The experts by name, and which of them are eligible for a request: allowed and able, before any optimization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from experts.base import CHAT, Request, text
from experts.card import Card

Catalog = Mapping[str, Card]
"""What routers and policies know of the experts."""

TEXT = frozenset({"text"})
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
        """Reads every message once."""
        size, kinds = 0, TEXT
        for message in request.messages:
            content = message.get("content")
            if isinstance(content, str):
                size += len(content)
            elif isinstance(content, list):
                size += len(text(content))
                kinds = kinds.union(map(_modality, content))
        return cls(kinds, size // CHARACTERS_PER_TOKEN, bool(request.options.get("tools")), _dialects(request))


def _dialects(request: Request) -> frozenset[str]:
    if request.dialect == CHAT:
        return TALK
    return frozenset({request.dialect}) if request.untold else TALK | {request.dialect}


def _modality(part: Any) -> str:
    kind = str(part.get("type", "text")) if isinstance(part, dict) else "text"
    return {"image_url": "image", "input_image": "image", "input_audio": "audio", "file": "file"}.get(kind, "text")


def eligible(demand: Demand, catalog: Catalog) -> Catalog:
    """The experts that can take a request: context, tools, modalities and dialect."""
    able, shortest = _able(demand, catalog)
    if demand.tokens < shortest:
        return able
    return {name: card for name, card in able.items() if demand.tokens < card.context}


def _able(demand: Demand, catalog: Catalog) -> tuple[Catalog, float]:
    """The experts that can take a request but for its length, and the shortest context among them; the same ones for
    as long as the catalog is the same."""
    key = (id(catalog), demand.modalities, demand.tools, demand.dialects)
    known = ABLE.get(key)
    if known is None:
        able = {
            name: card
            for name, card in catalog.items()
            if (card.tools or not demand.tools)
            and demand.modalities <= card.modalities
            and not demand.dialects.isdisjoint(card.dialects)
        }
        if len(ABLE) >= KNOWN:
            ABLE.clear()
        known = ABLE[key] = catalog, able, min((card.context for card in able.values()), default=0)
    return known[1:]


KNOWN = 256
ABLE: dict[tuple[int, frozenset[str], bool, frozenset[str]], tuple[Catalog, Catalog, float]] = {}
"""By catalog, which is kept so that no other can take its place in memory, and demand."""

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
    return {
        name: card
        for name, card in catalog.items()
        if demand.tokens < card.context
        and (card.tools or not demand.tools)
        and demand.modalities <= card.modalities
        and not demand.dialects.isdisjoint(card.dialects)
    }

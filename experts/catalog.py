"""The experts by name, and which of them are eligible for a request: allowed and able, before any optimization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.base import Request, text
from experts.card import Card

Catalog = Mapping[str, Card]
"""What routers and policies know of the experts."""

CHARACTERS_PER_TOKEN = 4
"""A low guess of length for plain English; experts count exactly and refuse what does not fit."""


def needs(request: Request) -> frozenset[str]:
    """The modalities that the request's messages carry."""
    kinds = {"text"}
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, list):
            kinds.update(_modality(part) for part in content)
    return frozenset(kinds)


def _modality(part: Any) -> str:
    kind = str(part.get("type", "text")) if isinstance(part, dict) else "text"
    return {"image_url": "image", "input_image": "image", "input_audio": "audio", "file": "file"}.get(kind, "text")


def least_tokens(request: Request) -> int:
    """A low estimate of the prompt's tokens."""
    return sum(len(text(message.get("content"))) for message in request.messages) // CHARACTERS_PER_TOKEN


def eligible(request: Request, catalog: Catalog) -> Catalog:
    """The experts that can take the request: context, tools and modalities."""
    modalities, length = needs(request), least_tokens(request)
    tools = bool(request.options.get("tools"))
    return {
        name: card
        for name, card in catalog.items()
        if modalities <= card.modalities and length < card.context and (card.tools or not tools)
    }

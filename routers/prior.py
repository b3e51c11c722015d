"""What is expected of an expert of which there is no record: a wide guess, and the price on its card."""

from __future__ import annotations

from experts.card import Card, Usage
from experts.catalog import CHARACTERS_PER_TOKEN
from routers.base import Estimate

QUALITY, STD = 0.5, 0.25
SECONDS = 10.0
TOKENS, TOKENS_HIGH = 250, 1500
"""Completion tokens of an answer: about the median and the 95th percentile of chat traffic."""

Usual = tuple[float, float]
"""Quality and seconds of the experts on record, on average."""


def estimate(name: str, card: Card, length: int, usual: Usual = (QUALITY, SECONDS)) -> Estimate:
    """`length` is in characters. An unknown expert is taken to be like the others, with a wide doubt."""
    quality, seconds = usual
    cost, high = (_cost(card, length, tokens, seconds) for tokens in (TOKENS, TOKENS_HIGH))
    return Estimate(name, quality, STD, cost, high, seconds)


def _cost(card: Card, length: int, tokens: int, seconds: float) -> int:
    completion = min(tokens, card.max_output) if card.max_output else tokens
    usage = Usage(length // CHARACTERS_PER_TOKEN + 1, completion)
    return card.price.tokens(usage) + card.price.cpu(seconds * tokens / TOKENS)

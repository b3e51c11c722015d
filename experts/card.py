"""What is known of an expert before it is asked: what it takes, what it costs, what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from msgspec import Struct

NANO = 1_000_000_000
"""Nano-dollars in a dollar. Money is an integer of nano-dollars inside, dollars at the edges."""


def nano(dollars: float) -> int:
    """Dollars to nano-dollars, rounded to the nearest."""
    return round(dollars * NANO)


def dollars(amount: int) -> float:
    """Nano-dollars to dollars, for people and the wire."""
    return amount / NANO


class Usage(Struct, frozen=True):
    """Tokens of one answer, as the expert reported them; `None` is unknown, which is not 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False


@lru_cache
def _rates(prompt: float, cached: float | None, completion: float) -> tuple[int, int, int]:
    """Nano-dollars per million tokens: fresh and cached ones of the prompt, and those of the answer."""
    return nano(prompt), nano(prompt if cached is None else cached), nano(completion)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, and per hour of CPU for experts on this machine."""

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    cpu_hour: float = 0.0

    def tokens(self, usage: Usage) -> int:
        """Nano-dollars that `usage` costs, rounded up; unknown counts are taken as 0."""
        prompt, cached, completion = usage.prompt_tokens or 0, usage.cached_tokens or 0, usage.completion_tokens or 0
        fresh_price, cached_price, completion_price = _rates(self.prompt, self.cached, self.completion)
        cost = prompt * fresh_price + completion * completion_price
        if cached:
            cost += min(cached, prompt) * (cached_price - fresh_price)
        return -(-cost // 1_000_000)

    def most(self, prompt: int, completion: int) -> int:
        """Nano-dollars that as many tokens can cost at most, rounded up."""
        fresh_price, cached_price, completion_price = _rates(self.prompt, self.cached, self.completion)
        return -(-(prompt * max(fresh_price, cached_price) + completion * completion_price) // 1_000_000)

    def cpu(self, seconds: float) -> int:
        """Nano-dollars that `seconds` of CPU cost, rounded up."""
        return -int(-seconds * self.cpu_hour * NANO // 3600)


@dataclass(frozen=True, slots=True)
class Card:
    """What an expert declares of itself. `domain` is a free word that reports group by."""

    description: str = ""
    domain: str = "general"
    context: int = 8192
    max_output: int | None = None
    tools: bool = False
    modalities: frozenset[str] = frozenset({"text"})
    price: Price = Price()
    dialects: frozenset[str] = frozenset({"chat"})
    """What an expert behind HTTP is asked in: chat, completions, responses, messages."""

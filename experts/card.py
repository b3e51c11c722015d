"""What is known of an expert before it is asked: what it takes, what it costs, what it is for."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from msgspec import Struct

NANO = 1_000_000_000
"""Nano-dollars in a dollar. Money is an integer of nano-dollars inside, dollars at the edges."""


def nano(dollars: float) -> int:
    """Dollars to nano-dollars, rounded to the nearest."""
    return round(dollars * NANO)


def dollars(amount: int) -> float:
    """Nano-dollars to dollars, for people and the wire."""
    return amount / NANO


class Usage(Struct, frozen=True, gc=False):
    """Tokens of one answer, as the expert reported them; `None` is unknown, which is not 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    written_tokens: int | None = None
    """Of the prompt, written to a cache; cached ones are read from it. Audio and images are of the prompt, too."""
    audio_tokens: int | None = None
    image_tokens: int | None = None
    spoken_tokens: int | None = None
    """Of the answer, audio."""


Parts = tuple[tuple[int | None, float | None], ...]
"""Tokens of one kind and their own price, if they have one."""

PRICED = ("prompt", "completion", "cached", "cpu_hour", "cache_write", "audio", "image", "reasoning", "speech")
"""What has a price."""


@lru_cache
def _dearest(*prices: float | None) -> int:
    """Nano-dollars per million tokens of the dearest kind."""
    return max(nano(price or 0.0) for price in prices)


def _apart(total: int, rate: int, parts: Parts) -> int:
    """What those of `total` tokens that have a price of their own cost beyond the rate of all; none counts twice."""
    more = 0
    for tokens, price in parts:
        if tokens and price is not None:
            taken = min(tokens, total)
            total -= taken
            more += taken * (nano(price) - rate)
    return more


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, and per hour of CPU for experts on this machine. Kinds of tokens whose price is
    not told cost as much as the others of the prompt or of the answer; a price of 0 is free."""

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    """Read from a cache."""
    cpu_hour: float = 0.0
    cache_write: float | None = None
    """Written to a cache: the dearest kind that is used."""
    audio: float | None = None
    """Heard in the prompt."""
    image: float | None = None
    """Seen in the prompt."""
    reasoning: float | None = None
    """Of the answer, thought and not said."""
    speech: float | None = None
    """Of the answer, audio."""
    rates: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)
    """Nano-dollars per million tokens of the prompt and of the answer that have no price of their own."""
    least: tuple[int, int, int] = field(default=(0, 0, 1), init=False, repr=False, compare=False)
    """The same in lowest terms, and for how many tokens that is."""
    told: bytes = field(default=b"", init=False, repr=False, compare=False)
    """As JSON, the kinds whose price is told."""
    version: str = field(default="", init=False, repr=False, compare=False)
    """A short name of these prices, the checksum of that: others have another."""

    def __post_init__(self) -> None:
        told = {kind: getattr(self, kind) for kind in PRICED if getattr(self, kind) is not None}
        object.__setattr__(self, "rates", rates := (nano(self.prompt), nano(self.completion)))
        common = math.gcd(*rates, 1_000_000)
        object.__setattr__(self, "least", (rates[0] // common, rates[1] // common, 1_000_000 // common))
        object.__setattr__(self, "told", orjson.dumps(told))
        object.__setattr__(self, "version", f"{zlib.crc32(self.told):08x}")

    @property
    def per_token(self) -> bool:
        """Whether any token costs anything."""
        return bool(self.prompt or self.completion or any(self._special_prompt) or self.reasoning or self.speech)

    @property
    def _special_prompt(self) -> tuple[float | None, ...]:
        return self.audio, self.image, self.cache_write, self.cached

    def tokens(self, usage: Usage) -> int:
        """Nano-dollars that `usage` costs, rounded up; unknown counts are taken as 0."""
        prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
        fresh, said = self.rates
        cost = prompt * fresh + completion * said
        if usage.cached_tokens or usage.written_tokens or usage.audio_tokens or usage.image_tokens:
            kinds = usage.audio_tokens, usage.image_tokens, usage.written_tokens, usage.cached_tokens
            cost += _apart(prompt, fresh, tuple(zip(kinds, self._special_prompt, strict=True)))
        if usage.reasoning_tokens or usage.spoken_tokens:
            parts = (usage.spoken_tokens, self.speech), (usage.reasoning_tokens, self.reasoning)
            cost += _apart(completion, said, parts)
        return -(-cost // 1_000_000)

    def most(self, prompt: int, completion: int) -> int:
        """Nano-dollars that as many tokens can cost at most, rounded up."""
        read = _dearest(self.prompt, self.cached, self.cache_write, self.audio, self.image)
        said = _dearest(self.completion, self.reasoning, self.speech)
        return -(-(prompt * read + completion * said) // 1_000_000)

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

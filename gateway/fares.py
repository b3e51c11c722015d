"""The most that asking an expert can cost: what its card and the operator's terms say, and how long the request is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import gcd
from typing import Any, NamedTuple

import orjson
from msgspec import Raw, Struct

from experts.base import Request
from experts.card import Card
from experts.catalog import TEXT, Demand
from gateway.terms import Accounts as Terms
from policies.lines import closed
from policies.rows import Line

GIVEN = ("max_completion_tokens", "max_tokens")
"""How clients say how long an answer may be; a request that says nothing is told the latter."""
NATIVE = {"responses": "max_output_tokens", "messages": "max_tokens"}
TEMPLATE_TOKENS = 64
"""What a chat template adds to what the client sent, at most; one for each message is in the JSON around it."""
MILLION = 1_000_000


class Bound(NamedTuple):
    """The most that a call can cost (nano-dollars), and the tokens that its answer is cut at."""

    amount: int
    cap: int
    told: int | None
    """The longest answer that the client wants, in tokens."""


class Fare(Struct, eq=False):
    """What is the same for every call of an expert; and what the last usual request said, for others like it."""

    card: Card
    version: str
    """A short name for its price: another price has another."""
    read: int
    """What a token of the prompt costs at most, `unit` of them a nano-dollar; `said`: of the answer."""
    said: int
    unit: int
    """So that both are whole numbers, and small ones are quick to reckon with."""
    context: int
    longest: int
    """Tokens of an answer whose client does not say how long it may be."""
    cpu: int
    """Nano-dollars of the processor time that a call may take."""
    seconds: float | None
    """How long it may take; `None`: its time costs nothing."""
    base: int
    """What every call may cost, and what rounds all of it up; counted as tokens are."""
    widest: int
    """The bytes of a body that fits into the context for certain."""
    closed: Raw
    """The end of an outcome's line in the ledger."""
    options: Mapping[str, Any] | None = None
    """Of that request; `told` and `cap` as of a bound, `rest` the most that its call can cost but for what it reads,
    counted as tokens are."""
    told: int | None = None
    cap: int = 0
    rest: int = 0
    gathered: list[Line] | None = None
    """Of the metrics, its answers that are still to be added."""

    @classmethod
    def of(cls, card: Card, terms: Terms) -> Fare:
        """What a card and the operator's terms say."""
        price, context = card.price, max(card.context, 1)
        read, said = price.most(MILLION, 0), price.most(0, MILLION)
        cpu, common = price.cpu(terms.call_seconds * (os.cpu_count() or 1)), gcd(read, said, MILLION)
        read, said, unit = read // common, said // common, MILLION // common
        return cls(
            card,
            price.version,
            read,
            said,
            unit,
            context,
            min(card.max_output or terms.answer_tokens, terms.answer_tokens, context),
            cpu,
            terms.call_seconds if price.cpu_hour else None,
            (cpu + 1) * unit - 1 + TEMPLATE_TOKENS * read,
            context - TEMPLATE_TOKENS,
            closed(price.version),
        )

    def usual(self, options: Mapping[str, Any]) -> bool:
        """Learns what the options of a request say whose body was read; whether that is all that there is to know."""
        if "max_completion_tokens" in options or "n" in options:
            return False
        told, context = options.get("max_tokens"), self.context  # a positive whole number, if any
        self.cap = self.longest if told is None else told if told < context else context
        self.options, self.told, self.rest = options, told, self.base + self.cap * self.said
        return True

    def bound(self, request: Request, asked: Demand) -> Bound:
        """The most that a call can cost: its bytes are at least as many as its tokens."""
        options, native, prompt = request.options, request.native is not None, self.context
        told: Any = options.get("max_tokens")
        if native or told is not None and (type(told) is not int or told <= 0) or "max_completion_tokens" in options:
            told = given(request)
        if asked.modalities == TEXT and not native:
            prompt = min(sent(request) + TEMPLATE_TOKENS, prompt)
        cap = self.longest if told is None else told if told < self.context else self.context
        amount = self.cpu - (-prompt * self.read - cap * choices(request) * self.said) // self.unit
        return Bound(amount, cap, told)


def sent(request: Request) -> int:
    """The bytes of what a model is to read; of a client's own body all, rather than to write it again."""
    body, tools = request.body, request.options.get("tools")
    if body is not None and body.messages is request.messages and body.options.get("tools") is tools:
        return body.size
    return len(orjson.dumps((request.messages, tools), default=str))


def choices(request: Request) -> int:
    """How many answers a client wants."""
    return 1 if "n" not in request.options else max(int(request.options["n"] or 1), 1)


def given(request: Request) -> int | None:
    """The longest answer that the client wants, in tokens."""
    least = None
    for key in GIVEN:
        value = request.options.get(key)
        if value is not None:
            least = _less(least, value)
    if request.native is not None and request.dialect in NATIVE:
        least = _less(least, request.native.get(NATIVE[request.dialect]))
    return least


def _less(least: int | None, value: Any) -> int | None:
    if not isinstance(value, int) or value <= 0:
        return least
    return value if least is None else min(least, value)

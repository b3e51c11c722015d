"""What an operator allows: budgets over a scope and period, and rates; and which of them one request meets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from experts.card import nano
from policies.periods import Period

Scopes = Mapping[str, str]
"""Who asks and who is asked: `org`, `team`, `key`, `user`, `expert` to a name."""

KINDS = ("org", "team", "key", "user", "expert")
PLAIN = re.compile(r"[\w.@-]{1,64}", re.ASCII)
MINUTE = 60_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget. `scope` names what it covers: `team:ml`; `user:*` gives each user a budget of their own; several
    must all hold; none covers everything. A hard budget is never exceeded; a soft one raises `alarms` at shares."""

    name: str
    usd: float
    scope: tuple[str, ...] = ()
    period: Period = field(default_factory=Period)
    hard: bool = True
    alarms: tuple[float, ...] = (0.8, 1.0)
    steer: bool = False
    """Whether it sets the price of quality, so that it lasts for its period."""

    def __post_init__(self) -> None:
        _check(self.name, self.scope)
        if self.steer and self.period.kind == "total":
            raise ValueError(f"budget {self.name}: a total has no time to last for; steer needs another period")
        if self.usd < 0:
            raise ValueError(f"budget {self.name}: usd must be at least 0")

    @property
    def amount(self) -> int:
        """Nano-dollars."""
        return nano(self.usd)


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a scope may ask. Each minute gives back a whole minute's worth; what is unused does not add up."""

    name: str
    scope: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None

    def __post_init__(self) -> None:
        _check(self.name, self.scope)
        if any(limit is not None and limit < 1 for limit in self.limits):
            raise ValueError(f"rate {self.name}: every limit must be at least 1")

    @property
    def limits(self) -> tuple[int | None, int | None, int | None]:
        return self.requests_per_minute, self.tokens_per_minute, self.concurrent


@dataclass(frozen=True, slots=True)
class Charge:
    """One account that a call is booked on, with what the account allows."""

    bucket: str
    start: int
    """When its period began, in Unix seconds; 0 for rates and totals."""
    end: int | None = None
    limit: Limit | None = None
    rate: Rate | None = None
    account: tuple[str, int] = field(init=False, compare=False, repr=False)
    amount: int = field(init=False, compare=False, repr=False)
    """Nano-dollars of the budget; 0 for a rate."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "account", (self.bucket, self.start))  # the only way into a frozen one
        object.__setattr__(self, "amount", 0 if self.limit is None else self.limit.amount)

    @property
    def token_interval(self) -> int:
        """Microseconds that one token takes of the rate; 0 if tokens are not limited."""
        return MINUTE // self.rate.tokens_per_minute if self.rate and self.rate.tokens_per_minute else 0


Charges = tuple[Charge, ...]


def charges(limits: Sequence[Limit], rates: Sequence[Rate], scopes: Scopes, now: float) -> Charges:
    """All accounts of a call, in the order in which they are locked."""
    found = []
    for limit in limits:
        bucket = bucket_of(limit.name, limit.scope, scopes)
        if bucket is not None:
            found.append(Charge(bucket, limit.period.start(now), limit.period.end(now), limit=limit))
    for rate in rates:
        bucket = bucket_of(rate.name, rate.scope, scopes)
        if bucket is not None:
            found.append(Charge(f"~{bucket}", 0, rate=rate))
    return tuple(sorted(found, key=lambda charge: charge.account))


def bucket_of(name: str, patterns: Sequence[str], scopes: Scopes) -> str | None:
    """The name of the account, with one for each value where a pattern ends in `*`; `None` if it does not apply."""
    parts = [name]
    for pattern in patterns:
        kind, _, wanted = pattern.partition(":")
        value = scopes.get(kind)
        if not value or wanted not in ("*", value):
            return None
        if wanted == "*":
            parts.append(f"{kind}:{_plain(value)}")
    return " ".join(parts)


def _plain(value: str) -> str:
    """Names that clients choose may be long or strange; then their hash stands for them."""
    if PLAIN.fullmatch(value):
        return value
    return "#" + hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _check(name: str, scope: Sequence[str]) -> None:
    if not PLAIN.fullmatch(name):
        raise ValueError(f"limit {name!r}: use letters, digits, '.', '-', '_' and '@'")
    for pattern in scope:
        kind, _, wanted = pattern.partition(":")
        if kind not in KINDS or not wanted:
            raise ValueError(f"limit {name}: scope {pattern!r} should be such as team:NAME or user:*")

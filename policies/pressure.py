"""Steers spending before a budget blocks: what is left of it and the time to its reset set the price of quality.

Pure. The price of money is a dual variable: it rises while more is spent than the rest of the budget would bear if it
were spread evenly over the rest of the period, and falls while less is (primal-dual pacing with a receding target).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from math import exp, expm1
from typing import Any

from policies.base import Policy

AIM = 0.985
"""The share of what is left that is aimed at: the wall behind it stays untouched."""
STEEPEST = 4.0
"""The price of quality stays within e to this power of the policy's own."""
HORIZON = 0.02
"""Spending at twice the aim for this share of the period lowers the price of quality e-fold."""
SMOOTH = 0.005
"""What is spent is averaged over this share of the period: single calls are no trend."""
HASTY, PATIENT = 4.0, 0.5
"""How many times as fast the price falls at most, and how fast it rises when nothing is spent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in its period at a moment. Money in nano-dollars, times in Unix seconds."""

    amount: int
    spent: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Pressure:
    """Where the controller of one budget stands."""

    at: float
    spent: int
    rate: float = 0.0
    """Nano-dollars a second."""
    level: float = 0.0
    """The logarithm of the factor on the price of quality."""

    @property
    def factor(self) -> float:
        """What the price of quality is multiplied by: below 1, thriftier; above 1, more generous."""
        return exp(self.level)

    def after(self, now: float, standing: Standing) -> Pressure:
        """The next state, from what was spent since."""
        elapsed = now - self.at
        if elapsed <= 0:
            return self
        period = standing.end - standing.start
        aim = AIM * max(standing.amount - self.spent, 0) / max(standing.end - self.at, elapsed)
        rate = max(standing.spent - self.spent, 0) / elapsed
        rate = self.rate + (rate - self.rate) * -expm1(-elapsed / (SMOOTH * period))
        error = min(rate / aim - 1.0, HASTY) if rate < HASTY * 2 * aim else HASTY
        step = min(elapsed / (HORIZON * period), 1.0) * max(error, -PATIENT)
        return Pressure(now, standing.spent, rate, max(-STEEPEST, min(STEEPEST, self.level - step)))


def steered(policy: Policy, factor: float) -> Policy:
    """The same policy with its price of quality multiplied, inside whatever wraps it; unchanged if it has none."""
    if not is_dataclass(policy) or isinstance(policy, type):
        return policy
    names = {field.name for field in fields(policy)}
    about: dict[str, Any] = {}
    if "usd_per_quality" in names:
        about["usd_per_quality"] = policy.usd_per_quality * factor
    if "inner" in names:
        about["inner"] = steered(policy.inner, factor)
    return replace(policy, **about) if about else policy

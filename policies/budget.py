"""Keeps any policy within what may be spent: it sees only experts that are affordable, and its sums are checked."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from experts.card import nano
from policies.base import Ask, Decision, Policy, Refuse, State


@dataclass(frozen=True, slots=True)
class Budget:
    """`inner` within the allowance of the state, and within `usd_per_request` over all that one request asks.

    `usd_per_day` is not looked at here: whoever keeps the accounts turns it into the allowance. What an expert may
    cost is the high end of its estimate, and an `Ask` of several costs their sum.
    """

    inner: Policy
    usd_per_day: float | None = None
    usd_per_request: float | None = None

    def __post_init__(self) -> None:
        if any(limit is not None and limit < 0 for limit in (self.usd_per_day, self.usd_per_request)):
            raise ValueError("usd_per_day and usd_per_request must be at least 0")

    def decide(self, state: State) -> Decision:
        left = self._left(state)
        if left is None:
            return self.inner.decide(state)
        asked = {outcome.expert for outcome in state.outcomes}
        payable = {name: each for name, each in state.estimates.items() if name in asked or 0 <= each.cost_high <= left}
        decision = self.inner.decide(replace(state, estimates=payable, allowance=left))
        if isinstance(decision, Ask):
            return _fitted(decision, state, left)
        if isinstance(decision, Refuse) and len(payable) < len(state.estimates) and decision.reason != "rejected":
            return Refuse("budget", "no expert that is left is within the budget")
        return decision

    def _left(self, state: State) -> int | None:
        """Nano-dollars that may still be spent; `None` is no limit."""
        limits = [] if state.allowance is None else [state.allowance]
        if self.usd_per_request is not None:
            limits.append(nano(self.usd_per_request) - _spent(state))
        return min(limits, default=None)


def _spent(state: State) -> int:
    """What the request has cost so far; an unknown cost counts as the most that was expected."""
    total = 0
    for outcome in state.outcomes:
        estimate = state.estimates.get(outcome.expert)
        high = estimate.cost_high if estimate else 0
        total += high if outcome.cost is None else outcome.cost
    return total


def _fitted(ask: Ask, state: State, left: int) -> Ask:
    """As many of the experts asked, in their order, as can be paid together; each alone can."""
    names = []
    for name in ask.experts:
        high = state.estimates[name].cost_high
        if high <= left:
            names.append(name)
            left -= high
    return ask if len(names) == len(ask.experts) else replace(ask, experts=tuple(names))

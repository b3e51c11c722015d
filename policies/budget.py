"""Keeps any policy within what may be spent: it sees only experts that are affordable, and its sums are checked."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from msgspec.structs import replace

from experts.card import nano
from policies.base import Ask, Decision, Policy, Refuse, State
from policies.first import First, first
from routers.base import Estimates


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
        if not state.outcomes and left >= dearest(state.estimates):
            return self._among_all(state, left)
        asked = {outcome.expert for outcome in state.outcomes}
        payable = {name: each for name, each in state.estimates.items() if name in asked or 0 <= each.cost_high <= left}
        decision = self.inner.decide(replace(state, estimates=payable, allowance=left))
        if isinstance(decision, Ask):
            return _fitted(decision, state, left)
        if isinstance(decision, Refuse) and len(payable) < len(state.estimates) and decision.reason != "rejected":
            return Refuse("budget", "no expert that is left is within the budget")
        return decision

    def first(self, estimates: Estimates) -> First | None:
        """What `inner` asks first, where every expert alone can be paid."""
        known, needs = first(self.inner, estimates), dearest(estimates)
        limit = inf if self.usd_per_request is None else nano(self.usd_per_request)
        if known is None or limit < needs:
            return None
        return First(known.ask, known.draw, max(known.needs, needs))

    def _among_all(self, state: State, left: int) -> Decision:
        """The first decision, when every expert alone can be paid."""
        decision = self.inner.decide(replace(state, allowance=left))
        if isinstance(decision, Ask) and len(decision.experts) > 1:
            return _fitted(decision, state, left)
        return decision

    def _left(self, state: State) -> int | None:
        """Nano-dollars that may still be spent; `None` is no limit."""
        if self.usd_per_request is None:
            return state.allowance
        left = nano(self.usd_per_request)
        if state.outcomes:
            left -= _spent(state)
        return left if state.allowance is None or left < state.allowance else state.allowance


def dearest(estimates: Estimates) -> float:
    """The most that the dearest expert may cost, in nano-dollars; no sum is enough where an estimate is negative."""
    costs = [each.cost_high for each in estimates.values()]
    return max(costs, default=0) if min(costs, default=0) >= 0 else inf


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

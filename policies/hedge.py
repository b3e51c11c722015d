"""Asks a second expert as well where the first keeps the client waiting far longer than was expected."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from experts.base import Failure
from policies.affinity import pending
from policies.base import Ask, Decision, Policy, Spare, State


@dataclass(frozen=True, slots=True)
class Hedge:
    """`inner`; and if nothing has come after `times` the estimated latency, and at least `seconds`, the expert that
    would be asked if the first had failed. The first whole answer, or the first words of a stream, are the client's.

    At most the `share` of requests is hedged, and none while more than `under_way` requests are under way in a process
    or an expert has no room. Both experts together must be within what may be spent; while a tool's result is pending
    nobody else is asked.
    """

    inner: Policy
    times: float = 3.0
    seconds: float = 1.0
    share: float = 0.02
    under_way: int = 16

    def __post_init__(self) -> None:
        if min(self.times, self.seconds) < 0 or not 0 <= self.share <= 1 or self.under_way < 1:
            raise ValueError("times and seconds must be at least 0, share between 0 and 1, under_way at least 1")

    def decide(self, state: State) -> Decision:
        decision = self.inner.decide(state)
        if not isinstance(decision, Ask) or not decision.last or state.outcomes or pending(state.request.messages):
            return decision
        spare = self._spare(state, decision.experts[0])
        if spare is None:
            return decision
        why = f"{decision.why}; {spare.expert} as well after {spare.after:.1f} s"
        return replace(decision, spare=spare, why=why.lstrip("; "))

    def _spare(self, state: State, first: str) -> Spare | None:
        """Whom `inner` asks if the first has failed and cost as much as it may."""
        estimate = state.estimates[first]
        left = None if state.allowance is None else state.allowance - estimate.cost_high
        failed = Failure(first, "unavailable", cost=estimate.cost_high)
        second = self.inner.decide(replace(state, outcomes=(failed,), allowance=left, sticky=None))
        if not isinstance(second, Ask) or not second.last:
            return None
        if left is not None and state.estimates[second.experts[0]].cost_high > left:
            return None
        after = max(self.seconds, self.times * estimate.latency)
        return Spare(second.experts[0], after, self.share, self.under_way)

"""Asks a cheap expert first and defers to a better one if the answer looks poor and the better one is worth it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from experts.base import Answer
from experts.card import NANO
from policies.base import Accept, Ask, Decision, State
from policies.pick import ended, quality
from routers.base import Estimate

WHOLE = frozenset({None, "stop", "tool_calls", "function_call"})
"""Finish reasons of an answer that was not cut."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Accepts an answer whose quality, estimated again now that it is there, reaches `threshold`.

    A cheap expert goes first only if it pays: its chance to be accepted times what the best expert costs must exceed
    its own cost. `usd_per_quality` is what raising the quality of one answer from 0 to 1 is worth, in dollars; without
    it any gain in quality is worth its cost. At most `longest` experts answer.
    """

    threshold: float = 0.7
    usd_per_quality: float | None = None
    longest: int = 3

    def __post_init__(self) -> None:
        if self.longest < 1 or not 0 <= self.threshold <= 1:
            raise ValueError("threshold must be between 0 and 1, longest at least 1")

    def decide(self, state: State) -> Decision:
        if not state.answers:
            return ended(state) or self._ask(state, state.untried.values())
        best = max(state.answers, key=lambda answer: _worth(state, answer))
        if _worth(state, best) >= self.threshold:
            return Accept(best, "good enough")
        better = [each for each in state.untried.values() if self._pays(each, _worth(state, best))]
        if not better or len(state.answers) >= self.longest:
            return Accept(best, "no other expert is worth asking")
        return self._ask(state, better)

    def _ask(self, state: State, candidates: Iterable[Estimate]) -> Ask:
        by_cost = sorted(candidates, key=lambda each: (each.cost, each.expert))
        target = max(by_cost, key=self._value)
        if len(state.answers) + 1 < self.longest:
            for each in by_cost:
                if each.cost < target.cost and each.quality * target.cost > each.cost:
                    return Ask((each.expert,), why=f"cheap first; {target.expert} if the answer is poor")
        return Ask((target.expert,), last=True, why="deferred to the best" if state.answers else "the best at once")

    def _value(self, estimate: Estimate) -> float:
        if self.usd_per_quality is None:
            return estimate.quality
        return estimate.quality * self.usd_per_quality * NANO - estimate.cost

    def _pays(self, estimate: Estimate, reached: float) -> bool:
        gain = estimate.quality - reached
        return gain > 0 if self.usd_per_quality is None else gain * self.usd_per_quality * NANO > estimate.cost


def _worth(state: State, answer: Answer) -> float:
    """The estimated quality of an answer; one that was cut is worth nothing, so that it is only the last resort."""
    return quality(state, answer.expert) if answer.finish_reason in WHOLE else 0.0

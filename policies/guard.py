"""Never worse than trivial: a router's opinion of a prompt counts only as far as it is sure of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot

from experts.card import NANO
from policies.base import Decision, State
from policies.pick import cheapest, ended, explored
from routers.base import Estimate


@dataclass(frozen=True, slots=True)
class Guard:
    """The expert with the most quality for the money where that is sure; else what one would ask unseen.

    `usd_per_quality` is what raising the quality of one answer from 0 to 1 is worth, in dollars. The zero router's
    action is the expert with the highest `usual` quality for that money: the best choice that does not look at the
    prompt. Another must gain more than `confidence` standard errors over it, or it is not asked; one that is sure
    gives way to a cheaper one within `tie` of its quality. The errors of two experts are added as if they were
    independent, which overstates: hence the small `confidence`. `explore` is as in Utility.
    """

    usd_per_quality: float
    confidence: float = 0.1
    tie: float = 0.003
    explore: float = 0.0

    def __post_init__(self) -> None:
        if min(self.usd_per_quality, self.confidence, self.tie) < 0 or not 0 <= self.explore <= 1:
            raise ValueError("usd_per_quality, confidence and tie must be at least 0, explore between 0 and 1")

    def decide(self, state: State) -> Decision:
        if end := ended(state):
            return end
        candidates = state.untried.values()
        usual, best = self._best(candidates, blind=True), self._best(candidates)
        if best is usual or self._worth(best) - self._worth(usual) > self.confidence * self._doubt(best, usual):
            least = best.quality - self.tie
            near = [each for each in candidates if each.cost < best.cost and each.quality >= least]
            why = f"most quality for the money at ${self.usd_per_quality:g} for quality 1"
            return explored(state, self.explore, cheapest([best, *near]).expert, why)
        return explored(state, self.explore, usual.expert, f"the best on average; {best.expert} is not surely better")

    def _best(self, estimates: Iterable[Estimate], blind: bool = False) -> Estimate:
        return min(estimates, key=lambda each: (-self._worth(each, blind), each.cost, each.expert))

    def _worth(self, each: Estimate, blind: bool = False) -> float:
        """Nano-dollars that asking this expert is worth."""
        quality = each.usual if blind and each.usual is not None else each.quality
        return quality * self.usd_per_quality * NANO - each.cost

    def _doubt(self, one: Estimate, other: Estimate) -> float:
        """The standard error of the difference in worth, in nano-dollars."""
        return hypot(one.std, other.std) * self.usd_per_quality * NANO

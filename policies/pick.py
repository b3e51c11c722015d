"""Policies that choose one expert by its estimate and stream its answer; a failed one gives way to the next best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from math import hypot
from typing import Any

from msgspec import structs

from experts.base import Request
from experts.card import NANO
from policies.base import Accept, Ask, Decision, Policy, Refuse, State
from policies.first import First
from routers.base import Estimate, Estimates


def ended(state: State) -> Accept | Refuse | None:
    """The decision if nothing is left to choose: there is an answer, a rejection, or nobody to ask."""
    if state.answers:
        return Accept(best_answer(state), "the best answer so far")
    rejection = next((outcome for outcome in state.outcomes if not getattr(outcome, "retryable", True)), None)
    if rejection is not None:
        return Refuse("rejected", f"{rejection.expert} rejects the request itself")
    if state.untried:
        return None
    return Refuse("exhausted", "every eligible expert failed") if state.outcomes else Refuse("no_expert")


def best_answer(state: State) -> Any:
    """The answer of the expert with the highest estimated quality; the earlier one of equals."""
    return max(state.answers, key=lambda answer: quality(state, answer.expert))


def quality(state: State, expert: str) -> float:
    """The estimated quality; 0 for an expert that is no longer eligible."""
    estimate = state.estimates.get(expert)
    return estimate.quality if estimate else 0.0


def cheapest(estimates: Iterable[Estimate]) -> Estimate:
    """The one with the lowest cost; of equals the better, then the first by name."""
    return min(estimates, key=lambda each: (each.cost, -each.quality, each.expert))


def explored(state: State, explore: float, best: str, why: str) -> Ask:
    """Asks `best`; with chance `explore`, if nobody was asked yet, any expert instead, all equally likely."""
    chance, chosen = 0.0 if state.outcomes else explore, best
    if state.draw < chance:
        names = sorted(state.untried)
        chosen, why = names[min(int(state.draw / chance * len(names)), len(names) - 1)], "explored"
    probability = chance / len(state.untried) + (1 - chance if chosen == best else 0.0)
    return Ask((chosen,), last=True, probability=probability, why=why)


@dataclass(frozen=True, slots=True)
class Only:
    """Always one expert, by name."""

    expert: str

    def decide(self, state: State) -> Decision:
        if not state.answers and self.expert not in state.estimates:
            return Refuse("no_expert", f"{self.expert} is not eligible")
        mine = {self.expert: state.estimates[self.expert]} if self.expert in state.estimates else {}
        return ended(structs.replace(state, estimates=mine)) or Ask(
            (self.expert,), last=True, why="the only expert allowed"
        )


@dataclass(frozen=True, slots=True)
class Threshold:
    """The cheapest expert whose estimated quality reaches `quality`; if none does, the best."""

    quality: float

    def decide(self, state: State) -> Decision:
        if end := ended(state):
            return end
        good = [each for each in state.untried.values() if each.quality >= self.quality]
        if good:
            return Ask((cheapest(good).expert,), last=True, why=f"the cheapest of quality {self.quality:g} or more")
        best = min(state.untried.values(), key=lambda each: (-each.quality, each.cost, each.expert))
        return Ask((best.expert,), last=True, why=f"the best; none reaches quality {self.quality:g}")


NOBODY = Request(())
"""A choice among estimates alone does not look at what is asked."""


@dataclass(frozen=True, slots=True)
class Utility:
    """The expert with the most quality for the money: quality x `usd_per_quality` - cost.

    `usd_per_quality` is what raising the quality of one answer from 0 to 1 is worth, in dollars. `caution` is how
    many standard errors better than a cheaper expert the winner must be. With chance `explore` the first choice is
    any expert, all equally likely, so that the log can be learned from.
    """

    usd_per_quality: float
    explore: float = 0.0
    caution: float = 0.0

    def __post_init__(self) -> None:
        if self.usd_per_quality < 0 or self.caution < 0 or not 0 <= self.explore <= 1:
            raise ValueError("usd_per_quality and caution must be at least 0, explore between 0 and 1")

    def decide(self, state: State) -> Decision:
        return ended(state) or self._choice(state)

    def first(self, estimates: Estimates) -> First | None:
        """The same for every draw with which nothing is explored."""
        return First(self._choice(State(NOBODY, estimates, draw=1.0)), self.explore) if estimates else None

    def _choice(self, state: State) -> Ask:
        why = f"most quality for the money at ${self.usd_per_quality:g} for quality 1"
        return explored(state, self.explore, self._best(state.untried), why)

    def _best(self, untried: Mapping[str, Estimate]) -> str:
        worth = self.usd_per_quality

        def rank(each: Estimate) -> tuple[float, int, str]:  # nano-dollars that asking loses
            return (each.cost - each.quality * worth * NANO, each.cost, each.expert)

        best = min(untried.values(), key=rank)
        if not self.caution:
            return best.expert
        rivals = [each for each in untried.values() if each.cost < best.cost and self._close(best, each)]
        return min(rivals, key=rank, default=best).expert

    def _close(self, best: Estimate, rival: Estimate) -> bool:
        return best.quality - rival.quality < self.caution * hypot(best.std, rival.std)


def dialled(policy: Policy, usd_per_quality: float) -> Policy:
    """The same policy at another price of quality, inside whatever wraps it; unchanged if it has none."""
    if not is_dataclass(policy) or isinstance(policy, type):
        return policy
    names = {field.name for field in fields(policy)}
    if "inner" in names:
        return replace(policy, inner=dialled(getattr(policy, "inner"), usd_per_quality))  # noqa: B009 - any wrapper
    return replace(policy, usd_per_quality=usd_per_quality) if "usd_per_quality" in names else policy


def instead(policy: Policy, inner: Policy) -> Policy:
    """`inner` inside whatever wraps the policy: a budget holds for a chosen expert as well."""
    wraps = is_dataclass(policy) and any(field.name == "inner" for field in fields(policy))
    return replace(policy, inner=instead(getattr(policy, "inner"), inner)) if wraps else inner  # type: ignore[type-var] # noqa: B009 - any wrapper

"""Chooses who goes on with an answer that broke off after the client had seen its beginning."""

from __future__ import annotations

from dataclasses import dataclass

from policies.base import Ask, Decision, Refuse, State


@dataclass(frozen=True, slots=True)
class Resume:
    """The best of the experts in the estimates, which are those that can go on; what others said before is no answer
    any more, and a rejection only means that this expert cannot."""

    def decide(self, state: State) -> Decision:
        if not state.untried:
            return Refuse("exhausted", "nobody is left to go on with the answer")
        best = min(state.untried.values(), key=lambda each: (-each.quality, each.cost, each.expert))
        return Ask((best.expert,), last=True, why="goes on with an answer that broke off")

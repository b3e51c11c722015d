"""Asks several experts at once and replies with what most of them say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experts.base import Answer, text
from policies.base import Accept, Ask, Decision, State
from policies.pick import ended, quality

SHORT = 80
"""Characters up to which an answer can be compared word for word."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The `size` experts of the highest estimated quality, or of the `experts` named. Short answers vote, each with
    its expert's quality; without an agreement of two the answer of the best expert wins."""

    size: int = 3
    experts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")

    def decide(self, state: State) -> Decision:
        if agreed := _agreed(state):
            return Accept(max(agreed, key=lambda answer: quality(state, answer.expert)), f"{len(agreed)} agree")
        if end := ended(state):
            return end
        names = self._members(state)
        return Ask(names, last=len(names) == 1, why=f"the best {len(names)} at once")

    def _members(self, state: State) -> tuple[str, ...]:
        untried = state.untried.values()
        named = [each for each in untried if each.expert in self.experts]
        ranked = sorted(named or untried, key=lambda each: (-each.quality, each.cost, each.expert))
        return tuple(each.expert for each in ranked[: self.size])


def _agreed(state: State) -> Sequence[Answer]:
    """The answers that say the same, at least two, with the most quality behind them; else none."""
    camps: dict[str, list[Answer]] = {}
    for answer in state.answers:
        if said := normalised(answer):
            camps.setdefault(said, []).append(answer)
    agreeing = [camp for camp in camps.values() if len(camp) > 1]
    return max(agreeing, key=lambda camp: sum(quality(state, each.expert) for each in camp), default=())


def normalised(answer: Answer) -> str:
    """A short answer without case, marks of emphasis, spaces and final punctuation; empty if it is long or none."""
    said = text(answer.message.get("content")).strip()
    if len(said) > SHORT:
        return ""
    return re.sub(r"[\s*_`$\"']+", " ", said).strip(" .!?").casefold()

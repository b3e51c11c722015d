"""How many requests at once an expert takes, learned from those that it refuses: the rest is turned away.

An expert at its limit is not ill. It goes on answering what it has taken, and the next is admitted as soon as one of
those ends, not after a pause; so it stays as busy as it can be, however many want it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from experts.base import Failure, Outcome
from gateway.tiers import PRIORITY, RANKS

QUIET_SECONDS = 10.0
"""So long after the last refusal its limit is forgotten: it may have grown."""
REFUSALS = 3
"""One or two in that time are an accident and no limit."""
FULL = frozenset({429, 503, 529})
"""Statuses of a server, or of our own queue before it, that has no room now."""
KEPT = 0.1
"""The share of an expert's seats that is kept free of those who yield, for each higher rank that came lately: seats
that are free for a moment and not more than that, so the expert stays busy."""


class Crowd(Struct):
    """What an expert takes at once: as many as it had when it last refused one, and one more for so many answers."""

    most: float
    until: float
    refusals: int = 0


class Crowds:
    """The experts that refused somebody lately, in this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.known: dict[str, Crowd] = {}
        self.came = [-QUIET_SECONDS for _ in RANKS]
        """When a request of each rank last came while somebody was crowded."""

    def note(self, outcome: Outcome, others: int) -> bool:
        """Learns from how one of an expert's requests ended, with so many `others` under way there. Whether it was
        refused for their sake."""
        if isinstance(outcome, Failure):
            if not others or not refused(outcome):
                return False  # alone it was not refused for others' sake
            before = self.known.get(outcome.expert)
            refusals = 1 if before is None else before.refusals + 1
            self.known[outcome.expert] = Crowd(float(others), self.clock() + QUIET_SECONDS, refusals)
            return True
        crowd = self.known.get(outcome.expert)
        if crowd is not None and others + 1 >= int(crowd.most):  # else it tells nothing of how many it would take
            crowd.most += 1 / crowd.most
        return False

    def full(self, name: str, under_way: int, rank: int = PRIORITY) -> bool:
        """Whether an expert would refuse one more, or has room for higher ranks alone."""
        crowd = self.known.get(name)
        if crowd is None:
            return False
        now = self.clock()
        if now >= crowd.until:
            del self.known[name]
            return False
        above = sum(now - came < QUIET_SECONDS for came in self.came[rank + 1 :])
        return crowd.refusals >= REFUSALS and under_way >= int(crowd.most) - above * int(KEPT * crowd.most)


def refused(failure: Failure) -> bool:
    """Whether an expert said that it has no room now."""
    return failure.error is not None and failure.error.about.get("status") in FULL

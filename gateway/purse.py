"""What one gateway may still spend today: held before an expert is asked, charged after, new at midnight UTC.

It guards the `usd_per_day` of a budget policy in one process; the ledger tells what was spent before a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from experts.card import nano
from policies.base import Ask
from routers.base import Estimate

DAY = 86_400


class Purse:
    """A limit of nano-dollars a day; `spend(since, until)` is the ledger's sum. `None` is no limit."""

    def __init__(self, limit: int | None, spend: Callable[[float, float], int], clock: Callable[[], float]) -> None:
        self.limit, self.clock = limit, clock
        self.day = self._today()
        self.spent = 0 if limit is None else spend(self.day * DAY, (self.day + 1) * DAY)
        self.held = 0

    def allowance(self) -> int | None:
        """What may still be promised."""
        if self.limit is None:
            return None
        if self._today() != self.day:
            self.day, self.spent = self._today(), 0
        return max(0, self.limit - self.spent - self.held)

    def hold(self, ask: Ask, estimates: Mapping[str, Estimate]) -> dict[str, int]:
        """Sets aside the high end of what each expert asked may cost, in the same breath as the decision."""
        amounts = {name: estimates[name].cost_high for name in ask.experts}
        self.held += sum(amounts.values())
        return amounts

    def settle(self, held: int, cost: int | None) -> None:
        """Charges what it cost; an unknown cost is what was held."""
        self.held -= held
        self.spent += held if cost is None else cost

    def _today(self) -> int:
        return int(self.clock() // DAY)


def limit_of(policy: Any) -> int | None:
    """The nano-dollars a day of a policy or of what it wraps."""
    found = []
    while policy is not None:
        if (usd := getattr(policy, "usd_per_day", None)) is not None:
            found.append(nano(usd))
        policy = getattr(policy, "inner", None)
    return min(found, default=None)

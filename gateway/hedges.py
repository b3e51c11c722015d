"""How many requests may be hedged: a small share of them, and none while many are under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.health import Health
from policies.base import Spare

BURST = 10.0
"""Hedges that may follow each other at once after a long time without any."""
DUST = 1e-9


@dataclass(slots=True)
class Hedges:
    """How many more requests may be hedged in this process: each one that might be adds its share."""

    credit: float = 0.0
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def earn(self, spare: Spare) -> None:
        """One more request that might be hedged."""
        self.credit = min(self.credit + spare.share, BURST)

    def grant(self, spare: Spare, health: Health) -> bool:
        """Whether one may be now: not beyond its share, and not while others would wait longer for it."""
        busy = health.crowded or health.under_way_in_all() > spare.under_way
        if busy or self.credit < 1 - DUST:
            return False
        self.credit -= 1
        return True

    async def close(self) -> None:
        """Ends what still runs; what it said is booked."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

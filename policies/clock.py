"""The clock of budgets: follows the wall's slowly, so that a step of it gives nobody a fresh period."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LOOK_SECONDS = 0.25
"""Between two looks at the wall's clock."""
SLEWED = 1.0
"""Seconds that a clock which is being corrected smoothly may gain or lose between two looks."""


running: Callable[[], float] = partial(time.clock_gettime, CLOCK)
"""Seconds that only ever go forward; asleep machines count too where the system can tell."""


class SteadyClock:
    """Unix seconds. A step of the wall's clock while the process runs is ignored until it starts again."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = running) -> None:
        self._wall, self._steady = wall, steady
        now = steady()
        self._offset, self._look = wall() - now, now + LOOK_SECONDS

    def __call__(self) -> float:
        now = self._steady()
        if now < self._look:
            return now + self._offset
        self._look = now + LOOK_SECONDS
        drift = self._wall() - now - self._offset
        if abs(drift) < SLEWED:
            self._offset += drift
        return now + self._offset

"""An expert that is down for a while, then well: served all the time, hardly asked while it is down, and soon back.

Requests come in rounds, each over before the next begins, so that what is judged does not hang on how fast the machine
is: once the outage is over and no request of it is under way, the longest pause ends the expert's absence; one request
of the round after that may be its trial, and the round after that is all its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.faults_caller import View

ROUNDS = 20
"""In one and a half times the outage."""
BACK_SECONDS = 5.0
"""How long an expert that is well again may stay away."""
TRIES = 4
"""Beyond one for each request of a round: five failures in a row, then it is known to be down."""


@dataclass(frozen=True, slots=True)
class Flap:
    """An outage of so many seconds; clock and sleep are passed in, so that a slow machine can be played."""

    outage: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def rounds(self, ask: Callable[[int], Awaitable[Sequence[View]]]) -> list[Sequence[View]]:
        """What every round saw; the last one tells whether the expert came back. `ask` takes a round's number."""
        began, over, after = self.clock(), 0.0, 0
        rounds: list[Sequence[View]] = []
        while after < 2:
            asked = self.clock() - began
            rounds.append(await ask(len(rounds)))
            ended = self.clock() - began
            if over and back(rounds[-1]):
                break
            after += bool(over) and asked >= over + BACK_SECONDS
            over = over or (ended if ended >= self.outage else 0.0)
            await self.sleep(1.5 * self.outage / ROUNDS)
        return rounds

    def most(self, requests: int) -> int:
        """The most calls that may reach an expert while it is down, with so many requests a round: a few until that is
        known, then one a second."""
        return requests + TRIES + int(self.outage)


def back(views: Sequence[View]) -> bool:
    """Whether all of a round were answered by the expert that had been down."""
    return all(view.model == "faulty" for view in views)

"""The case of an expert that is down for a while: judged the same on a slow machine, and able to fail. Row 14."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial

import pytest

from bench.faults_caller import View
from bench.faults_flap import BACK_SECONDS, Flap, back
from gateway.health import FAILURES, LONGEST_PAUSE, Health
from tests.gateway.asked import Asked, Clock

OUTAGE = 6.0


class Playing:
    """The gateway's own breaker before an expert that is down for a while, in a clock's time; each call takes as long
    as `delay` says."""

    def __init__(self, delay: Callable[[], float], requests: int = 2) -> None:
        self.clock, self.delay, self.requests = Clock(), delay, requests
        self.began = self.clock.now
        self.health = Health(self.clock)
        self.calls: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    def left_out(self) -> bool:
        return bool(self.health.left_out(["faulty", "sound"]))

    async def ask(self, number: int) -> list[View]:
        """A round: all decide before the first is answered."""
        return list(await asyncio.gather(*(self.one() for _ in range(self.requests))))

    async def one(self) -> View:
        if self.left_out():
            await asyncio.sleep(0)
            self.clock.now += self.delay()
            return View(model="sound")
        asked, second = Asked(self.health, "faulty"), self.clock.now - self.began
        self.calls.append(second)
        await asyncio.sleep(0)
        self.clock.now += self.delay()
        well = second >= OUTAGE
        asked.answers(0.1) if well else asked.fails()
        return View(model="faulty" if well else "sound")


async def played(playing: Playing) -> bool:
    """Whether it came back."""
    flap = Flap(OUTAGE, playing.clock, playing.sleep)
    return back((await flap.rounds(playing.ask))[-1])


@pytest.mark.parametrize("requests", [1, 2, 3, 20])
@pytest.mark.parametrize("longest", [0.0, 0.1, 1.0, 10.0])
async def test_a_slow_machine_changes_no_verdict_row_14(requests, longest):
    for seed in range(50):
        chance = random.Random(seed)
        playing = Playing(partial(chance.uniform, 0.0, longest), requests)
        assert await played(playing), f"seed {seed}"
        during = sum(second < OUTAGE for second in playing.calls)
        assert during <= Flap(OUTAGE).most(requests)


class Forgets(Playing):
    """Never asks again whom it has left out."""

    def left_out(self) -> bool:
        return len(self.calls) >= FAILURES


class Hammers(Playing):
    """Leaves nobody out."""

    def left_out(self) -> bool:
        return False


async def test_an_expert_that_is_never_asked_again_fails_row_14():
    assert not await played(Forgets(lambda: 0.01))


async def test_a_gateway_that_asks_again_and_again_is_counted_row_14():
    playing = Hammers(lambda: 0.01, requests=20)
    assert await played(playing)
    assert sum(second < OUTAGE for second in playing.calls) > Flap(OUTAGE).most(20)


def test_what_is_promised_is_what_the_breaker_keeps():
    assert BACK_SECONDS == LONGEST_PAUSE

"""The case of a hedge: what its verdict counts, and that it can fail. Row 17."""

from __future__ import annotations

from typing import Any

import pytest

from bench.faults_caller import View
from bench.faults_hedge import STORM, judged, talks
from bench.wall_talk import ANSWER
from bench.wall_times import CALM

SOUND = View(status=200, text=ANSWER, reason="stop", done=True, usage=True, seconds=0.6)
VIEWS = [SOUND] * (CALM + STORM)


def call(number: int, model: str = "R17", cost: int = 5, ended: float = 1.0) -> dict[str, Any]:
    return {"model": model, "prompt": f"request {number}", "cost": cost, "ended": ended}


def bill(*hedged: int, lost: int = 0) -> list[dict[str, Any]]:
    """Every request at the first, those that are hedged at the second; the loser charges `lost`."""
    first = [call(number, cost=lost if number in hedged else 5, ended=1.004) for number in range(CALM + STORM)]
    return [*first, *(call(number, "ok") for number in hedged)]


def test_a_few_hedges_in_calm_times_pass_and_tell_their_milliseconds_row_17():
    why = "2 of 400 hedged, answered in 0.60 s, losers ended 4 ms later"
    assert judged(VIEWS, bill(7, 27), "R17", 0) == ("pass", why)


WRONG = {
    "nothing was hedged": (VIEWS, bill(), 0),
    "9 of 400": (VIEWS, bill(*range(9)), 0),
    "1 were hedged under load": (VIEWS, bill(7, CALM), 0),
    "went on to its end": (VIEWS, bill(7, lost=3), 0),
    "12 nano-dollars": (VIEWS, bill(7), 12),
    "not every answer": ([*VIEWS[1:], View(status=502, error={"code": "x"})], bill(7), 0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_it_can_fail_row_17(wrong):
    views, calls, gap = WRONG[wrong]
    verdict, why = judged(views, calls, "R17", gap)
    assert verdict == "fail"
    assert wrong in why


async def test_calm_requests_come_before_the_storm():
    asked: list[int] = []

    async def ask(number: int) -> View:
        asked.append(number)
        return SOUND

    assert len(await talks(ask)) == len(asked) == CALM + STORM
    assert sorted(asked[:CALM]) == list(range(CALM))

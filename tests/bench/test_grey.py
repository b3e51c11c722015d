"""The case of an expert that turns grey: requests are counted, and the verdict can fail. Row 15."""

from __future__ import annotations

import pytest

from bench import faults_grey
from bench.faults_caller import View
from bench.faults_grey import RATE, WINDOW, fate, traffic
from bench.wall_talk import ANSWER
from bench.wall_times import WELL_FOR

SIZE = int(RATE * WINDOW)
SOUND = View(status=200, text=ANSWER, reason="stop", done=True, usage=True, model="sound", seconds=0.1)


def billed(numbers: list[int], cost: int = 5) -> list[dict[str, object]]:
    """Calls of the grey expert: the well ones, then these."""
    return [{"model": "R15-slow", "prompt": f"request {number}", "cost": cost} for number in numbers]


def views(count: int = 3 * SIZE) -> list[View]:
    return [SOUND] * count


WELL = list(range(WELL_FOR))


def test_an_expert_that_rests_soon_passes_row_15():
    bill = billed([*WELL, *range(SIZE, SIZE + 30), 2 * SIZE + 10])
    fared = fate(views(), bill, "R15-slow")
    assert (fared.verdict[0], fared.met, fared.asked) == ("pass", 1, SIZE)


@pytest.mark.parametrize(
    "wrong, bill, seen",
    [
        ("suffered", [*WELL, *range(SIZE, 3 * SIZE, 8)], views()),
        ("never met", WELL[:-1], views()),
        ("no whole answer", [*WELL, SIZE], [View(status=502, error={"code": "x"}), *views(3 * SIZE - 1)]),
        ("no whole answer", [*WELL, SIZE], [View(status=200, text="a", reason="stop"), *views(3 * SIZE - 1)]),
    ],
)
def test_it_can_fail_row_15(wrong, bill, seen):
    verdict, why = fate(seen, billed(bill), "R15-slow").verdict
    assert verdict == "fail"
    assert wrong in why


def test_of_an_expert_that_fails_at_times_only_its_failures_are_suffered():
    bill = [*billed(WELL), *billed(list(range(2 * SIZE, 2 * SIZE + 100)))]
    for call in bill:
        call["model"] = "R15-errors"
    assert fate(views(), [*bill, *bill], "R15-errors").met == 0
    for call in bill:
        call["cost"] = 0
    assert fate(views(), bill, "R15-errors").verdict[0] == "fail"


async def test_traffic_goes_on_for_two_windows_after_the_expert_has_turned(monkeypatch):
    monkeypatch.setattr(faults_grey, "RATE", 200.0)
    monkeypatch.setattr(faults_grey, "WINDOW", 0.1)
    asked = []

    async def ask(number: int) -> View:
        asked.append(number)
        return SOUND

    async def calls() -> int:
        return len(asked) // 5

    seen = await traffic(ask, calls)
    assert len(seen) == len(asked) == 200 + 2 * 20

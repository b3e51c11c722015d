"""The case of five times too many requests: what its verdict holds against whom, and that it can fail. Row 30."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.faults_caller import View
from bench.faults_overload import MANY, SECONDS, TIMES, busy, goodput, judged, judged_ranks, tier
from bench.wall_talk import ANSWER
from bench.wall_times import SEATS, SERVICE

SERVED = View(status=200, text=ANSWER, reason="stop", done=True, usage=True, seconds=SERVICE + 0.05)
AWAY = [
    View(status=503, error={"code": "server_is_overloaded"}, retry_after=str(wait), seconds=0.02) for wait in (1, 2)
]
VIEWS = [SERVED] * 50 + AWAY * 100


def bill(seats: int = SEATS, refused: int = 5) -> list[dict[str, float]]:
    """Seats that are taken all the time, and some who found none."""
    turns = range(int(SECONDS / SERVICE))
    taken = [{"second": turn * SERVICE, "ended": (turn + 1) * SERVICE, "cost": 5} for turn in turns] * seats
    return [*taken, *({"second": 2.0, "ended": 2.0, "cost": 0} for _ in range(refused))]


def test_an_expert_that_stays_busy_while_others_are_turned_away_passes_row_30():
    assert judged(VIEWS, bill())[0] == "pass"
    assert busy(bill()) == pytest.approx(1.0)
    assert busy(bill(SEATS // 2)) == pytest.approx(0.5)
    assert busy([]) == 0.0


WRONG = {
    "busy for": (VIEWS, bill(SEATS - 1)),
    "refused 20 of": (VIEWS, bill(refused=20)),
    "nobody was turned away": ([SERVED] * 50, bill()),
    "another error": ([*VIEWS, View(status=502, error={"code": "all_experts_failed"})], bill()),
    "another error than": ([*VIEWS, replace(AWAY[0], retry_after="")], bill()),
    "at the same time": ([SERVED] * 50 + AWAY[:1] * 200, bill()),
    "truncated": ([*VIEWS, replace(SERVED, text="a gateway")], bill()),
    "who was admitted waited": ([replace(SERVED, seconds=3 * SERVICE)] * 50 + AWAY * 100, bill()),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_it_can_fail_row_30(wrong):
    verdict, why = judged(*WRONG[wrong])
    assert verdict == "fail"
    assert wrong in why


def test_a_slow_machine_is_not_held_against_whoever_waited():
    slow = [replace(SERVED, seconds=3 * SERVICE)] * 50 + [replace(view, seconds=2 * SERVICE) for view in AWAY] * 100
    assert judged(slow, bill())[0] == "pass"


def evening(first: int, usual: int, flex: int) -> list[View]:
    """As many of ten requests of each rank are answered."""
    served = {"auto": first, "default": usual, "flex": flex}
    least = round(TIMES * MANY.seats / MANY.service * SECONDS)
    views = []
    for number in range(least):
        answered = number // 10 % 10 < served[tier(number)]
        views.append(replace(SERVED, seconds=MANY.service) if answered else AWAY[number % 2])
    return views


def taken(seats: int) -> list[dict[str, float]]:
    turns = range(int(SECONDS / MANY.service))
    return [{"second": t * MANY.service, "ended": (t + 1) * MANY.service, "cost": 5} for t in turns] * seats


def test_those_who_come_first_are_answered_more_often_than_others_row_30():
    views = evening(9, 2, 1)
    assert [goodput(views, name) for name in ("auto", "default", "flex")] == [0.9, 0.2, 0.1]
    verdict, why = judged_ranks(views, taken(MANY.seats))
    assert verdict == "pass"
    assert "first 90%, of others 20%, of those who can wait 10%" in why


@pytest.mark.parametrize(
    ("views", "seats", "wrong"),
    [
        (evening(2, 2, 1), 20, "ranks do not count"),
        (evening(9, 2, 2), 20, "ranks do not count"),
        (evening(9, 2, 1), 16, "busy for 80%"),
    ],
)
def test_ranks_that_do_not_count_or_cost_too_much_fail_row_30(views, seats, wrong):
    verdict, why = judged_ranks(views, taken(seats))
    assert verdict == "fail"
    assert wrong in why

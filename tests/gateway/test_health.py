"""An expert that fails in a row is left out, tried now and then, and taken back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import Answer, Failure, Unavailable
from gateway.health import FAILURES, LONGEST_PAUSE, Health, Tolerance
from tests.gateway.asked import Asked, Clock, out
from tests.gateway.conftest import make_door, scripted, serving

DOWN, WELL = Failure("a", "unavailable"), Answer("a", {}, "stop")


def failing(times: int = FAILURES) -> tuple[Health, Clock]:
    clock = Clock()
    health = Health(clock)
    for _ in range(times):
        health.note(DOWN)
    return health, clock


def test_a_few_failures_are_forgiven():
    health, _ = failing(FAILURES - 1)
    assert out(health) == []


def test_after_five_in_a_row_it_is_left_out_and_one_request_tries_it_after_a_pause_row_14():
    health, clock = failing()
    assert out(health) == ["a"]
    clock.now += 1.01
    assert out(health) == []
    Asked(health)
    assert out(health) == ["a"], "one request at a time"


def test_a_request_that_might_have_asked_it_and_did_not_is_no_try_row_14():
    health, clock = failing()
    clock.now += 1.01
    for _ in range(100):
        assert out(health) == [], "it waits for a request that really asks it"


def test_one_good_answer_takes_it_back():
    health, clock = failing()
    clock.now += 1.01
    Asked(health).ends(WELL)
    assert out(health) == []
    assert health.records == {}


def test_pauses_grow_to_five_seconds():
    health, clock = failing()
    for _ in range(10):
        clock.now += LONGEST_PAUSE
        assert out(health) == []
        Asked(health).ends(DOWN)
    clock.now += LONGEST_PAUSE - 0.1
    assert out(health) == ["a"]
    clock.now += 0.2
    assert out(health) == []


@pytest.mark.parametrize("seconds", [6.0, 60.0])
def test_after_an_outage_it_is_back_within_the_longest_pause_and_was_asked_once_a_second_at_most_row_14(seconds):
    """Two requests every 0.45 s: three seconds after an outage of six it may still rest, after five it does not."""
    clock = Clock()
    health, began, tries, back = Health(clock), clock.now, 0, 0.0
    while not back and clock.now < began + seconds + 2 * LONGEST_PAUSE:
        for _ in range(2):
            if out(health):
                continue
            well = clock.now >= began + seconds
            tries, back = tries + 1, clock.now - began if well else 0.0
            Asked(health).ends(WELL if well else DOWN)
        clock.now += 0.45

    assert seconds < back <= seconds + LONGEST_PAUSE + 0.45
    assert tries <= FAILURES + seconds


def test_failures_that_were_under_way_lengthen_nothing():
    health, clock = failing(200)
    clock.now += 1.01
    assert out(health) == []


def test_its_own_retry_after_is_kept():
    health, clock = failing(FAILURES - 1)
    health.note(Failure("a", "unavailable", error=Unavailable("busy", retry_after=7.0)))
    clock.now += 6.9
    assert out(health) == ["a"]
    clock.now += 0.2
    assert out(health) == []


def test_rejections_and_clients_that_left_say_nothing():
    health, _ = failing()
    health.note(Answer("a", {}, None))
    assert out(health) == ["a"]
    health = Health(Clock())
    for _ in range(100):
        Asked(health).ends(Failure("a", "rejected", retryable=False))
        Asked(health).ends(Answer("a", {}, None))
    assert out(health) == []


@given(st.lists(st.sampled_from(["down", "well", "tick", "ask"])))
def test_whatever_happens_it_comes_back_within_the_longest_pause(events):
    clock = Clock()
    health = Health(clock, Tolerance(share=0.0))
    for event in events:
        if event == "tick":
            clock.now += 0.5
        elif event == "ask":
            if not out(health):
                Asked(health)
        else:
            health.note(DOWN if event == "down" else WELL)
    clock.now += LONGEST_PAUSE
    assert out(health) == []


async def test_a_dead_expert_is_asked_a_few_times_and_no_more_and_the_others_serve_row_14(tmp_path):
    experts = [scripted("dead", fail=Unavailable("down")), scripted("sound", "here")]
    door = make_door(tmp_path, experts)
    door.school.clock = Clock()
    async with serving(door) as served:
        for _ in range(30):
            assert (await served.ask()).status_code == 200
        outcomes = served.ledger("outcomes")

    assert sum(row["expert"] == "dead" for row in outcomes) == FAILURES


@pytest.mark.parametrize("sound", [True, False])
async def test_a_storm_of_failures_is_not_made_worse_row_16(tmp_path, sound):
    """100 % errors of one expert, or of all: at most a tenth more calls than requests."""
    experts = [scripted(f"dead{number}", fail=Unavailable("down")) for number in range(3)]
    if sound:
        experts.append(scripted("sound"))
    door = make_door(tmp_path, experts)
    door.school.clock = Clock()
    async with serving(door) as served:
        client, body = served.http(), {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(20):
            await client.post("/v1/chat/completions", json=body)
        await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(180)))
        calls = len(served.ledger("outcomes"))

    assert calls <= 220


async def test_when_all_fail_one_is_tried_and_an_answer_is_not_ruled_out_row_7(tmp_path):
    up = False

    def answer(request):
        if not up:
            raise Unavailable("down")
        return "back"

    async with serving(make_door(tmp_path, [scripted("a", answer), scripted("b", answer)])) as served:
        for _ in range(2 * FAILURES):
            assert (await served.ask()).status_code == 503
        up = True
        assert (await served.ask()).status_code == 200

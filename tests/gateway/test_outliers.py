"""An expert that is neither dead nor well rests, is tried, and taken back; and never more than half of them. Row 15."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import Answer, Failure
from gateway.health import FAILURES, Health, Tolerance
from gateway.outliers import LONGEST_REST, RECENT, REST, SETTLED, TRIALS
from tests.gateway.asked import SPARE, Asked, Clock, out


def usual(health: Health, names: list[str], seconds: float = 1.0, stream: bool = False, times: int = SETTLED) -> None:
    """Answers as they always are."""
    for _ in range(times):
        for name in names:
            Asked(health, name, stream).answers(seconds)


def well(health: Health, name: str = "a") -> None:
    """As many good trials as it takes, one after the other."""
    for _ in range(TRIALS):
        assert name not in out(health)
        Asked(health, name).answers(0.5)
    assert name not in health.grey


def grey(health: Health, name: str = "a", times: int = 5) -> None:
    """Bad answers among good ones."""
    for _ in range(times):
        Asked(health, name).answers(0.5)
        Asked(health, name).answers(0.5)
        Asked(health, name).fails()


def test_an_expert_that_fails_three_times_in_ten_rests_row_15():
    health = Health(Clock())
    grey(health, times=4)
    assert out(health) == [], "four of the last twelve"
    grey(health, times=1)
    assert out(health) == ["a"]


def test_one_that_fails_now_and_then_or_is_at_its_limit_does_not():
    health = Health(Clock())
    for number in range(1000):
        Asked(health).answers(0.5) if number % 6 else Asked(health).fails()
        Asked(health, "b").answers(0.5) if number % 2 else Asked(health, "b").fails(status=429)
    assert out(health) == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_expert_that_is_twenty_times_slower_than_usual_rests_row_15(stream):
    health = Health(Clock())
    usual(health, ["a", "b"], stream=stream)
    usual(health, ["a"], 20.0, stream, times=4)
    assert out(health) == []
    usual(health, ["a"], 20.0, stream, times=1)
    assert out(health) == ["a"]


def test_a_long_answer_is_not_slow_and_a_large_model_is_not_slow_beside_a_small_one():
    health = Health(Clock())
    usual(health, ["a"], 0.1)
    usual(health, ["b"], 20.0)
    for _ in range(RECENT):
        Asked(health).answers(4.0, tokens=4000)
    assert out(health) == []


def test_what_is_slow_for_good_becomes_usual():
    health, clock = Health(Clock()), Clock()
    health = Health(clock)
    usual(health, ["a"])
    usual(health, ["a"], 20.0, times=5)
    assert out(health) == ["a"]
    for _ in range(100):
        clock.now += LONGEST_REST
        Asked(health).answers(20.0)
    usual(health, ["a"], 20.0, times=2 * RECENT)
    assert out(health) == []


def test_streams_that_still_wait_are_seen_before_they_end_row_15():
    """A frozen expert: nothing ends, and still it rests."""
    clock = Clock()
    health = Health(clock)
    usual(health, ["a", "b"], 0.2, stream=True)
    waiting = [Asked(health, "a", stream=True) for _ in range(5)]
    clock.now += 10.0
    Asked(health, "b", stream=True)
    assert out(health) == ["a"]
    for asked in waiting:
        asked.fails()
    assert out(health) == ["a"], "now for having failed five times in a row"
    assert health.grey == {}
    clock.now += 1.01
    Asked(health, "a", stream=True).answers(0.2)
    assert out(health) == []


def test_plain_answers_that_still_wait_are_left_to_their_deadline():
    clock = Clock()
    health = Health(clock)
    usual(health, ["a", "b"], 0.2)
    for _ in range(5):
        Asked(health, "a")
    clock.now += 10.0
    Asked(health, "b")
    assert out(health) == []


def test_what_takes_less_than_half_a_second_is_never_slow():
    health = Health(Clock())
    usual(health, ["a"], 0.001)
    usual(health, ["a"], 0.4, times=RECENT)
    assert out(health) == []


def test_it_is_tried_by_one_request_and_good_answers_in_a_row_take_it_back_row_15():
    clock = Clock()
    health = Health(clock)
    late = Asked(health)
    grey(health)
    late.answers(0.5)
    assert out(health) == ["a"], "a good answer to what was asked before says nothing"
    clock.now += REST + 0.1
    assert out(health) == []
    trial = Asked(health)
    assert out(health) == ["a"], "one request at a time"
    trial.answers(0.5)
    for _ in range(TRIALS - 1):
        assert health.grey, "one good answer is not enough"
        trial = Asked(health)
        assert out(health) == ["a"]
        trial.answers(0.5)
    assert health.grey == {}


def test_a_client_that_leaves_in_a_trial_leaves_the_next_one_to_another():
    clock = Clock()
    health = Health(clock)
    grey(health)
    clock.now += REST + 0.1
    Asked(health).ends(Answer("a", {}, None))
    assert out(health) == ["a"]
    clock.now += REST + 0.1
    well(health)


def test_rests_grow_while_trials_fail_and_when_it_falls_ill_again_row_15():
    clock = Clock()
    health = Health(clock)
    grey(health)
    rest = REST
    for _ in range(6):
        clock.now += rest - 0.1
        assert out(health) == ["a"]
        clock.now += 0.2
        Asked(health).fails(status=500)
        health.records.clear()
        rest = min(2 * rest, LONGEST_REST)
    assert rest == LONGEST_REST
    clock.now += rest + 0.1
    well(health)
    clock.now += LONGEST_REST / 2
    grey(health)
    clock.now += LONGEST_REST - 1
    assert out(health) == ["a"], "it was well for too short a time"
    clock.now += 2
    well(health)
    clock.now += LONGEST_REST + 1
    grey(health)
    clock.now += REST + 1
    assert out(health) == []


def test_half_may_rest_and_if_it_were_more_nobody_does_row_15():
    health = Health(Clock())
    grey(health, "a")
    grey(health, "b")
    assert out(health) == ["a", "b"]
    grey(health, "c")
    assert out(health) == [], "panic: it is not they that are ill"


def test_those_that_are_dead_count_among_the_half_and_stay_out_row_15():
    health = Health(Clock())
    for name in ("a", "b"):
        for _ in range(FAILURES):
            health.note(Failure(name, "unavailable"))
    grey(health, "c")
    assert out(health) == ["a", "b"]


def test_in_a_panic_only_the_trial_says_how_an_expert_is():
    clock = Clock()
    health = Health(clock)
    for name in ("a", "b", "c"):
        grey(health, name)
    for _ in range(10):
        Asked(health, "a").answers(0.5)
    assert sorted(health.grey) == ["a", "b", "c"]
    clock.now += REST
    for _ in range(TRIALS):
        Asked(health, "a").answers(0.5)
    assert sorted(health.grey) == ["b", "c"]


@pytest.mark.parametrize("tolerance", [Tolerance(share=0.0), Tolerance(failures=0)])
def test_the_operator_can_turn_it_off(tolerance):
    health = Health(Clock(), tolerance)
    usual(health, ["a"])
    grey(health, times=20)
    usual(health, ["a"], 20.0)
    assert out(health) == []


def test_slowness_alone_can_be_turned_off():
    health = Health(Clock(), Tolerance(slow=0.0))
    usual(health, ["a"])
    usual(health, ["a"], 20.0, times=100)
    assert out(health) == []
    grey(health)
    assert out(health) == ["a"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["good", "slow", "down", "tick", "look"])), max_size=300)
)
def test_whatever_happens_at_most_half_rest_and_all_come_back(events):
    clock = Clock()
    health = Health(clock)
    usual(health, ["a", "b", "c"])
    for name, event in events:
        if event == "tick":
            clock.now += 1.0
        elif event == "look":
            assert len(health.outliers.left_out(["a", *SPARE], frozenset())) <= 2
        elif event == "down":
            Asked(health, name).fails()
        else:
            Asked(health, name).answers(1.0 if event == "good" else 30.0)
    clock.now += LONGEST_REST
    assert out(health) == []
    assert not any(watched.waiting for watched in health.outliers.watched.values())


@pytest.mark.parametrize("stream", [False, True])
def test_of_many_quick_answers_between_two_looks_the_first_tell_what_is_usual(stream):
    clock = Clock()
    health = Health(clock)
    usual(health, ["a"], 0.1, stream, times=1000)
    watched = health.watched["a"]
    assert len(watched.plain.told) + len(watched.streams.told) == RECENT
    clock.now += 1.0
    Asked(health, "a", stream)
    assert (watched.streams if stream else watched.plain).seen == RECENT
    assert list(watched.recent) == [False] * RECENT


def test_an_expert_that_was_dead_begins_anew_without_the_trial_of_before():
    clock = Clock()
    health = Health(clock)
    grey(health)
    clock.now += REST + 0.1
    trial = Asked(health)
    for _ in range(FAILURES):
        Asked(health).fails()
    assert health.grey == {}
    assert health.watched["a"].trial is None
    trial.answers(0.5)
    assert health.under_way_in_all() == 0

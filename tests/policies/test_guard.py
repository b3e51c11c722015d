"""The guard: a router's opinion counts only as far as it is sure."""

import pytest
from msgspec.structs import replace

from policies.base import Accept, Ask, Refuse
from policies.guard import Guard
from policies.pick import Utility, dialled


@pytest.fixture
def known(school):
    """The school, where the medium expert is the best on average by far."""
    usual = {"small": 0.5, "medium": 0.8, "large": 0.81}
    estimates = {name: each._replace(usual=usual[name]) for name, each in school.estimates.items()}
    return replace(school, estimates=estimates)


def asked(decision):
    assert isinstance(decision, Ask)
    assert decision.last
    return decision.experts[0]


def test_what_is_surely_better_is_asked(decide, known):
    assert asked(decide(Guard(0.1, confidence=0.5), known)) == "large"


def test_what_is_not_surely_better_gives_way_to_the_best_on_average(decide, known):
    decision = decide(Guard(0.1, confidence=2.0), known)
    assert asked(decision) == "medium"
    assert "large is not surely better" in decision.why


def test_the_best_on_average_is_the_best_for_the_money(decide, known):
    assert asked(decide(Guard(10.0, confidence=1e9), known)) == "large"
    assert asked(decide(Guard(0.0, confidence=1e9), known)) == "small"


def test_a_near_tie_goes_to_the_cheaper(decide, known):
    estimates = {**known.estimates, "medium": known.estimates["medium"]._replace(quality=0.899)}
    near = replace(known, estimates=estimates)
    assert asked(decide(Guard(100.0, confidence=0.0), near)) == "medium"
    assert asked(decide(Guard(100.0, confidence=0.0, tie=0.0), near)) == "large"


def test_an_expert_without_a_record_stands_by_its_estimate(decide, school):
    assert asked(decide(Guard(0.1, confidence=1e9), school)) == "large"


def test_without_doubt_and_ties_the_guard_is_the_utility(decide, known):
    for price in (0.0, 0.001, 0.015, 0.02, 1.0):
        assert asked(decide(Guard(price, 0.0, 0.0), known)) == asked(decide(Utility(price), known))


def test_exploring_says_how_likely_it_was(decide, known):
    policy = Guard(0.1, explore=0.3)
    assert decide(policy, replace(known, draw=0.9)).probability == pytest.approx(0.8)
    other = decide(policy, replace(known, draw=0.25))
    assert (other.why, other.probability) == ("explored", pytest.approx(0.1))


def test_an_answer_ends_it_and_a_failed_expert_gives_way(decide, known, after, says, fails):
    assert isinstance(decide(Guard(0.1), after(known, says("small"))), Accept)
    assert asked(decide(Guard(0.1), after(known, fails("large")))) == "medium"
    assert isinstance(decide(Guard(0.1), replace(known, estimates={})), Refuse)


def test_the_dial_reaches_it():
    assert dialled(Guard(0.1), 0.7) == Guard(0.7)


@pytest.mark.parametrize("wrong", [{"confidence": -1.0}, {"tie": -0.1}, {"explore": 2.0}])
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError):
        Guard(0.1, **wrong)

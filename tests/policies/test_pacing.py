"""A stream of requests that keeps to its budget."""

import pytest
from msgspec.structs import replace

from policies.base import Ask, Refuse
from policies.pacing import Paced, paced
from policies.pick import Utility

POLICY = Paced(Utility(0.0), usd_per_request=0.004, usd_per_quality=0.012, horizon=10)
BROKE = Paced(Utility(0.0), 0.004, 0.012, broke="cheapest")


def asked(decision):
    assert isinstance(decision, Ask)
    return decision.experts[0]


def test_on_plan_the_price_is_the_planned_one(decide, school):
    assert asked(decide(POLICY, school)) == asked(decide(Utility(0.012), school)) == "small"


def test_what_was_saved_is_spent(decide, school):
    assert asked(decide(POLICY, replace(school, allowance=30_000_000))) == "medium"
    assert asked(decide(POLICY, replace(school, allowance=120_000_000))) == "large"


def test_nobody_is_asked_for_whom_there_is_no_reserve(decide, school):
    rich = Paced(Utility(0.0), usd_per_request=0.004, usd_per_quality=1.0)
    assert asked(decide(rich, replace(school, allowance=20_000_000))) == "large"
    assert asked(decide(rich, replace(school, allowance=19_000_000))) == "medium"
    assert asked(decide(rich, replace(school, allowance=2_000_000))) == "small"


@pytest.mark.parametrize("allowance", [0, -5_000_000])
def test_a_stream_in_debt_is_refused_or_asks_the_cheapest(decide, school, allowance):
    poor = replace(school, allowance=allowance)
    refused = decide(POLICY, poor)
    assert isinstance(refused, Refuse)
    assert refused.reason == "budget"
    assert asked(decide(BROKE, poor)) == "small"


def test_where_nobody_is_eligible_there_is_no_cheapest(decide, school):
    assert decide(BROKE, replace(school, estimates={}, allowance=0)) == Refuse("no_expert")


def test_the_price_moves_by_a_bounded_factor():
    assert paced(1.0, 0.0, 10, 10) == 1.0
    assert paced(1.0, 100.0, 10, 10) == pytest.approx(2.71828, rel=1e-4)
    assert paced(1.0, -1e18, 10, 10) == pytest.approx(0.0498, rel=1e-2)
    assert paced(1.0, 1e18, 10, 10) == pytest.approx(20.1, rel=1e-2)


@pytest.mark.parametrize(
    "wrong",
    [{"usd_per_request": 0.0}, {"usd_per_quality": -1.0}, {"horizon": 0.0}, {"reserve": 0.0}, {"broke": "wait"}],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError):
        Paced(Utility(0.0), **{"usd_per_request": 1.0, "usd_per_quality": 1.0, **wrong})

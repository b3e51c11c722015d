"""A policy within what may be spent."""

import pytest
from msgspec.structs import replace

from experts.card import nano
from policies.base import Ask
from policies.budget import Budget
from policies.ensemble import Ensemble
from policies.pick import Only, Utility


def test_two_experts_of_a_dollar_are_not_asked_together_under_a_dollar(decide, school):
    dear = {name: each._replace(cost_high=nano(1)) for name, each in school.estimates.items()}
    decision = decide(Budget(Ensemble(2)), replace(school, estimates=dear, allowance=nano(1)))
    assert decision == Ask(("large",), why="the best 2 at once")


def test_an_expert_that_cannot_be_paid_is_not_seen(decide, school):
    assert decide(Budget(Utility(1.0)), replace(school, allowance=nano(0.005))).experts == ("medium",)


def test_when_nothing_can_be_paid_the_budget_is_the_reason(decide, school):
    assert decide(Budget(Utility(1.0)), replace(school, allowance=0)).reason == "budget"
    assert decide(Budget(Only("large")), replace(school, allowance=nano(0.005))).reason == "budget"


def test_a_rejection_stays_a_rejection(decide, school, after, fails):
    state = replace(after(school, fails("small", retryable=False)), allowance=nano(0.005))
    assert decide(Budget(Utility(1.0)), state).reason == "rejected"


def test_all_that_one_request_asks_is_within_its_limit(decide, school, after, fails):
    policy = Budget(Utility(1.0), usd_per_request=0.012)
    assert decide(policy, school).experts == ("large",)
    assert decide(policy, after(school, fails("large", cost=nano(0.009)))).experts == ("small",)
    assert decide(policy, after(school, fails("large", cost=0))).experts == ("medium",)


def test_an_unknown_cost_counts_as_the_most_it_may_have_been(decide, school, after, fails):
    policy = Budget(Utility(1.0), usd_per_request=0.012)
    assert decide(policy, after(school, fails("large"))).experts == ("small",)
    assert decide(policy, after(school, fails("gone"))).experts == ("large",)


def test_a_free_expert_is_within_an_empty_budget(decide, school):
    free = school.estimates["small"]._replace(cost=0, cost_high=0)
    state = replace(school, estimates={**school.estimates, "small": free}, allowance=0)
    assert decide(Budget(Utility(1.0)), state).experts == ("small",)


def test_a_negative_limit_is_an_error():
    with pytest.raises(ValueError, match="usd_per_day"):
        Budget(Only("small"), usd_per_day=-1)

"""What is asked first is foreseen from the estimates alone, and is what the policy then decides."""

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from experts.card import nano
from policies.affinity import Affinity
from policies.budget import Budget
from policies.cascade import Cascade
from policies.first import first
from policies.pick import Only, Threshold, Utility
from routers.base import Estimate
from tests.policies.test_laws import every_policy, states

KNOWN = {
    "large": Estimate("large", 0.9, 0.1, nano(0.01), nano(0.02), 1.0),
    "small": Estimate("small", 0.8, 0.1, nano(0.001), nano(0.002), 1.0),
}


@every_policy
@settings(max_examples=60, deadline=None)
@given(state=states())
def test_what_a_policy_says_it_asks_first_it_asks_first(policy, state):
    state = replace(state, outcomes=(), sticky=None)
    known = first(policy, state.estimates)
    if known is None or state.draw < known.draw:
        return
    if state.allowance is None or state.allowance >= known.needs:
        assert policy.decide(state) == known.ask


def test_a_price_of_quality_foresees_its_choice_wherever_it_does_not_explore():
    known = first(Utility(1.0, explore=0.25), KNOWN)
    assert known is not None
    assert (known.ask.experts, known.ask.probability, known.draw, known.needs) == (("large",), 0.875, 0.25, 0.0)
    assert first(Utility(1.0), {}) is None


@pytest.mark.parametrize("policy", [Cascade(), Threshold(0.5), Only("small"), Affinity(Cascade()), Budget(Cascade())])
def test_other_policies_foresee_nothing(policy):
    assert first(policy, KNOWN) is None


def test_a_budget_needs_as_much_as_the_dearest_expert_may_cost():
    known = first(Budget(Affinity(Utility(0.0))), KNOWN)
    assert known is not None
    assert (known.ask.experts, known.needs) == (("small",), nano(0.02))
    assert first(Budget(Utility(0.0), usd_per_request=0.02), KNOWN) == known
    assert first(Budget(Utility(0.0), usd_per_request=0.019), KNOWN) is None
    assert first(Budget(Utility(0.0), usd_per_request=0.0), KNOWN) is None


def test_a_negative_estimate_is_never_foreseen_within_a_limit():
    odd = KNOWN | {"odd": Estimate("odd", 0.5, 0.1, -1, -1, 1.0)}
    known = first(Budget(Utility(0.0)), odd)
    assert known is not None
    assert known.needs == float("inf")

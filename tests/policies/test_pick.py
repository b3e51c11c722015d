"""Choosing one expert by its estimate."""

import pytest
from msgspec.structs import replace

from policies.base import Accept, Ask, Decision, Refuse
from policies.budget import Budget
from policies.cascade import Cascade
from policies.pick import Only, Threshold, Utility, dialled, instead


def asked(decision: Decision) -> str:
    assert isinstance(decision, Ask)
    assert decision.last
    return decision.experts[0]


def test_only_asks_its_expert_and_nobody_else_when_it_fails(decide, school, after, fails):
    assert asked(decide(Only("medium"), school)) == "medium"
    assert decide(Only("medium"), after(school, fails("medium"))).reason == "exhausted"
    assert decide(Only("nobody"), school).reason == "no_expert"


def test_the_answer_of_another_is_accepted_even_if_the_only_expert_is_not_eligible(decide, school, after, says):
    decision = decide(Only("nobody"), after(school, says("small")))
    assert isinstance(decision, Accept)
    assert decision.answer.expert == "small"


def test_the_threshold_takes_the_cheapest_that_is_good_enough(decide, school):
    assert asked(decide(Threshold(0.6), school)) == "medium"
    assert asked(decide(Threshold(0.0), school)) == "small"


def test_the_threshold_takes_the_best_if_none_is_good_enough(decide, school):
    assert asked(decide(Threshold(0.95), school)) == "large"


@pytest.mark.parametrize(
    "usd_per_quality, expert", [(0.0, "small"), (0.010, "small"), (0.020, "medium"), (0.1, "large")]
)
def test_utility_buys_quality_at_its_price(decide, school, usd_per_quality, expert):
    assert asked(decide(Utility(usd_per_quality), school)) == expert


def test_utility_prefers_the_cheaper_of_equals(decide, school):
    large = school.estimates["large"]
    equal = replace(school, estimates={"large": large, "same": large._replace(expert="same", cost=large.cost - 1)})
    assert asked(decide(Utility(0.0), equal)) == "same"


def test_a_cautious_utility_does_not_pay_for_a_gain_within_the_error(decide, school):
    assert asked(decide(Utility(0.1, caution=1.0), school)) == "large"
    unsure = {name: each._replace(std=0.3) for name, each in school.estimates.items()}
    assert asked(decide(Utility(0.1, caution=1.0), replace(school, estimates=unsure))) == "medium"


def test_exploring_asks_any_expert_and_says_how_likely_that_was(decide, school):
    policy = Utility(0.1, explore=0.3)
    choices = {draw: decide(policy, replace(school, draw=draw)) for draw in (0.05, 0.15, 0.25, 0.9)}
    assert {draw: asked(choice) for draw, choice in choices.items()} == {
        0.05: "large",
        0.15: "medium",
        0.25: "small",
        0.9: "large",
    }
    assert choices[0.05].probability == choices[0.9].probability == pytest.approx(0.8)
    assert choices[0.15].probability == pytest.approx(0.1)
    assert choices[0.15].why == "explored"


def test_a_fallback_does_not_explore(decide, school, after, fails):
    decision = decide(Utility(0.1, explore=1.0), after(replace(school, draw=0.0), fails("large")))
    assert asked(decision) == "medium"
    assert decision.probability == 1


@pytest.mark.parametrize("policy", [Threshold(0.6), Utility(0.1)], ids=str)
def test_a_failed_expert_gives_way_to_the_next_best_until_none_is_left(decide, school, after, fails, policy):
    state, order = school, []
    for _ in range(3):
        order.append(asked(decide(policy, state)))
        state = after(state, fails(order[-1]))
    assert len(set(order)) == 3
    assert decide(policy, state) == Refuse("exhausted", "every eligible expert failed")


def test_a_request_that_an_expert_rejects_is_refused(decide, school, after, fails):
    assert decide(Utility(0.1), after(school, fails("large", retryable=False))).reason == "rejected"


def test_without_eligible_experts_there_is_no_expert(decide, school):
    assert decide(Utility(0.1), replace(school, estimates={})).reason == "no_expert"


def test_an_answer_that_is_there_is_accepted(decide, school, after, says):
    decision = decide(Utility(0.1), after(school, says("small"), says("medium")))
    assert decision.answer.expert == "medium"


@pytest.mark.parametrize("arguments", [{"usd_per_quality": -1}, {"usd_per_quality": 1, "explore": 2}])
def test_senseless_settings_are_errors(arguments):
    with pytest.raises(ValueError, match="at least 0"):
        Utility(**arguments)


def test_the_dial_turns_the_price_of_quality_inside_any_wrapper():
    assert dialled(Budget(Utility(0.1, explore=0.2), usd_per_day=5), 0.02) == Budget(Utility(0.02, 0.2), usd_per_day=5)
    assert dialled(Cascade(), 0.02) == Cascade(usd_per_quality=0.02)
    assert dialled(Only("small"), 0.02) == Only("small")


def test_a_chosen_expert_stays_inside_what_wraps_the_policy():
    assert instead(Budget(Budget(Utility(0.1)), usd_per_day=5), Only("small")) == Budget(
        Budget(Only("small")), usd_per_day=5
    )
    assert instead(Utility(0.1), Only("small")) == Only("small")


def test_the_dial_leaves_a_policy_that_is_not_a_dataclass_alone(decide, school):
    class Mine:
        def decide(self, state):
            return Refuse("no_expert")

    mine = Mine()
    assert dialled(mine, 0.02) is mine
    assert decide(mine, school).reason == "no_expert"

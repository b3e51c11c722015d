"""Cheap first, deferring when the answer is poor."""

import pytest
from msgspec.structs import replace

from policies.base import Accept, Ask, State
from policies.cascade import Cascade


def regraded(state: State, **qualities: float) -> State:
    """The state after the router looked at the answers again."""
    new = {name: state.estimates[name]._replace(quality=quality) for name, quality in qualities.items()}
    return replace(state, estimates={**state.estimates, **new})


def test_the_cheapest_is_asked_first_and_not_for_the_client_yet(decide, school):
    decision = decide(Cascade(), school)
    assert decision == Ask(("small",), why="cheap first; large if the answer is poor")


def test_a_good_answer_is_accepted(decide, school, after, says):
    decision = decide(Cascade(0.7), regraded(after(school, says("small")), small=0.8))
    assert isinstance(decision, Accept)
    assert decision.answer.expert == "small"


def test_a_poor_answer_defers_step_by_step_to_the_best(decide, school, after, says):
    policy, state = Cascade(0.7), regraded(after(school, says("small")), small=0.2)
    assert decide(policy, state).experts == ("medium",)
    state = regraded(after(state, says("medium")), medium=0.3)
    assert decide(policy, state) == Ask(("large",), last=True, why="deferred to the best")


def test_the_last_of_the_longest_chain_is_streamed(decide, school, after, says):
    state = regraded(after(school, says("small")), small=0.2)
    assert decide(Cascade(0.7, longest=2), state) == Ask(("large",), last=True, why="deferred to the best")
    assert decide(Cascade(0.7, longest=1), school) == Ask(("large",), last=True, why="the best at once")


def test_after_the_longest_chain_the_best_answer_is_accepted(decide, school, after, says):
    state = regraded(after(school, says("small"), says("medium")), small=0.3, medium=0.2)
    decision = decide(Cascade(0.95, longest=2), state)
    assert decision.answer.expert == "small"


def test_a_cheap_expert_that_is_hardly_ever_accepted_is_skipped(decide, school):
    assert decide(Cascade(), regraded(school, small=0.05)).experts == ("medium",)
    assert decide(Cascade(), regraded(school, small=0.05, medium=0.1)) == Ask(
        ("large",), last=True, why="the best at once"
    )


def test_an_answer_that_was_cut_is_not_good_enough_but_better_than_none(decide, school, after, says, fails):
    state = regraded(after(school, says("small", finish_reason="length")), small=1.0)
    assert decide(Cascade(), state).experts == ("medium",)
    decision = decide(Cascade(), after(state, fails("medium"), fails("large")))
    assert decision.answer.finish_reason == "length"


def test_a_deferral_that_is_not_worth_its_money_is_not_made(decide, school, after, says):
    state = regraded(after(school, says("small")), small=0.6)
    decision = decide(Cascade(0.95, usd_per_quality=0.005), state)
    assert decision.answer.expert == "small"
    assert decision.why == "no other expert is worth asking"
    assert isinstance(decide(Cascade(0.95, usd_per_quality=1.0), state), Ask)


def test_failures_give_way_and_a_rejection_ends_it(decide, school, after, fails):
    assert decide(Cascade(), after(school, fails("small"))).experts == ("medium",)
    assert decide(Cascade(), after(school, fails("small", retryable=False))).reason == "rejected"


@pytest.mark.parametrize("arguments", [{"longest": 0}, {"threshold": 1.5}])
def test_senseless_settings_are_errors(arguments):
    with pytest.raises(ValueError, match="threshold must be"):
        Cascade(**arguments)

"""Several experts at once."""

import pytest

from policies.base import Accept, Ask
from policies.ensemble import Ensemble, normalised


def test_the_best_are_asked_at_once(decide, school):
    assert decide(Ensemble(2), school) == Ask(("large", "medium"), why="the best 2 at once")


def test_an_ensemble_of_one_streams(decide, school):
    assert decide(Ensemble(1), school) == Ask(("large",), last=True, why="the best 1 at once")


def test_named_members_are_asked_and_others_only_when_they_have_failed(decide, school, after, fails):
    policy = Ensemble(2, experts=("small", "medium"))
    assert decide(policy, school).experts == ("medium", "small")
    assert decide(policy, after(school, fails("small"), fails("medium"))).experts == ("large",)


def test_short_answers_vote(decide, school, after, says):
    state = after(school, says("large", "41"), says("medium", "**42.**"), says("small", " 42 "))
    decision = decide(Ensemble(3), state)
    assert isinstance(decision, Accept)
    assert (decision.answer.expert, decision.why) == ("medium", "2 agree")


def test_without_agreement_the_best_expert_wins(decide, school, after, says):
    state = after(school, says("small", "41"), says("medium", "42"), says("large", "43"))
    assert decide(Ensemble(3), state).answer.expert == "large"


def test_long_answers_are_not_compared_word_for_word(decide, school, after, says):
    essay = "word " * 40
    state = after(school, says("small", essay), says("medium", essay), says("large", "43"))
    assert decide(Ensemble(3), state).answer.expert == "large"


def test_answers_of_those_who_did_not_fail_are_enough(decide, school, after, says, fails):
    assert decide(Ensemble(3), after(school, fails("large"), says("small"))).answer.expert == "small"


@pytest.mark.parametrize("said", ["Paris", "paris.", "  **Paris** ", "`PARIS`!", '"Paris"'])
def test_the_same_short_answer_in_other_dress_is_the_same(says, said):
    assert normalised(says("small", said)) == "paris"


def test_an_ensemble_of_nobody_is_an_error():
    with pytest.raises(ValueError, match="size"):
        Ensemble(0)

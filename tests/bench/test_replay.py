"""A replay is the gateway's loop over recorded outcomes: failures are replaced, every call is paid."""

import numpy as np
import pytest

from bench.replay import Recording, Row, complete, replay
from experts.base import Answer, Failure
from policies.base import Accept, Ask, Refuse, State
from tests.bench.table import Fixed, table

NAN = float("nan")
ROUTER = Fixed({"e0": 0.5, "e1": 0.9}, {"e0": 10, "e1": 40})


def recorded(score, cost) -> Recording:
    return Recording(table(score, cost))


class BestUntried:
    """Asks the best expert that was not asked, as a tail call."""

    def decide(self, state: State) -> Ask | Refuse:
        if not state.untried:
            return Refuse("exhausted")
        return Ask((max(state.untried, key=lambda name: state.untried[name].quality),), last=True)


class BothThenFirst:
    """Asks everyone at once and accepts the first answer."""

    def decide(self, state: State) -> Ask | Accept | Refuse:
        if state.untried:
            return Ask(tuple(state.untried))
        return Accept(state.answers[0]) if state.answers else Refuse("exhausted")


class WithinAllowance:
    """Asks the dear expert while the allowance lasts, then refuses."""

    def decide(self, state: State) -> Ask | Refuse:
        if state.allowance is None or state.allowance < 40:
            return Refuse("budget")
        return Ask(("e1",), last=True)


def test_the_policys_choice_earns_its_recorded_score_and_cost():
    replayed = replay(BestUntried(), ROUTER, recorded([[0, 1.0], [1, 0.0]], [10, 40]))
    assert replayed.experts == ("e1", "e1")
    assert replayed.score.tolist() == [1.0, 0.0]
    assert replayed.cost.tolist() == [40.0, 40.0]


def test_an_expert_without_an_answer_is_a_failure_and_the_policy_is_asked_again():
    replayed = replay(BestUntried(), ROUTER, recorded([[1.0, NAN]], [[10, 7]]))
    assert replayed.experts == ("e0",)
    assert (replayed.score.tolist(), replayed.cost.tolist(), replayed.calls.tolist()) == ([1.0], [17.0], [2])


def test_a_failure_that_cost_something_declined_and_one_that_did_not_was_never_asked():
    declined, missing = recorded([[1.0, NAN]], [[10, 7]]), recorded([[1.0, NAN]], [[10, NAN]])
    assert Row(declined, 0)("e1") == Failure("e1", "declined", retryable=True, cost=7)
    assert Row(missing, 0)("e1") == Failure("e1", "unavailable", retryable=True, cost=None)
    assert isinstance(Row(declined, 0)("e0"), Answer)


def test_a_refusal_scores_nothing_but_its_calls_are_paid():
    replayed = replay(BestUntried(), ROUTER, recorded([[NAN, NAN]], [[3, 7]]))
    assert replayed.experts == (None,)
    assert (replayed.score.tolist(), replayed.cost.tolist()) == ([0.0], [10.0])


def test_an_ensemble_pays_for_all_it_asks():
    replayed = replay(BothThenFirst(), ROUTER, recorded([[0.25, 1.0]], [10, 40]))
    assert (replayed.experts, replayed.cost.tolist(), replayed.score.tolist()) == (("e0",), [50.0], [0.25])


def test_the_allowance_shrinks_with_what_is_spent():
    replayed = replay(WithinAllowance(), ROUTER, recorded([[0, 1.0]] * 4, [10, 40]), budget=100)
    assert replayed.experts == ("e1", "e1", None, None)


def test_a_replay_repeats_by_its_seed():
    outcomes = recorded(np.random.default_rng(0).random((20, 2)), [10, 40])

    class Coin:
        def decide(self, state: State) -> Ask:
            return Ask(("e0" if state.draw < 0.5 else "e1",), last=True, probability=0.5)

    first, again = replay(Coin(), ROUTER, outcomes, seed=3), replay(Coin(), ROUTER, outcomes, seed=3)
    assert first.experts == again.experts
    assert set(first.experts) == {"e0", "e1"}


def test_the_words_of_the_request_are_the_recorded_prompt():
    seen = []

    class Listening(Fixed):
        def estimate(self, request, catalog, outcomes):
            seen.append((request.prompt, request.embedding))
            return super().estimate(request, catalog, outcomes)

    vectors = np.eye(2, dtype=np.float32)
    replay(BestUntried(), Listening(ROUTER.quality, ROUTER.cost), Recording(table([[1, 1.0]] * 2, [1, 1]), vectors))
    assert [prompt for prompt, _ in seen] == ["prompt 0", "prompt 1"]
    assert seen[1][1] == pytest.approx(vectors[1])


def test_complete_prompts_have_every_score_and_cost():
    assert complete(table([[1, NAN], [1, 1.0]], [1, 1])).prompts == ("prompt 1",)


def test_a_failure_that_the_table_names_is_replaced_though_it_has_a_score():
    outcomes = table([[1.0, 0.0]], [10, 7])
    recording = Recording(outcomes, failures={("prompt 0", "e1"): "declined"})
    assert replay(BestUntried(), ROUTER, recording).experts == ("e0",)


def test_policies_read_the_recorded_words():
    recording = Recording(table([[1.0, 0.0]], [10, 7]), words={("prompt 0", "e0"): "42"})
    answer = Row(recording, 0)("e0")
    assert isinstance(answer, Answer)
    assert answer.message["content"] == "42"

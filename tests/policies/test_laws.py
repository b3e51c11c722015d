"""The laws that every policy of the room keeps, whatever it is asked."""

import importlib
import inspect
import pkgutil
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import policies
from experts.base import Answer, Failure, Outcome, Request
from policies.affinity import Affinity
from policies.base import Accept, Ask, Refuse, State
from policies.budget import Budget
from policies.cascade import Cascade
from policies.ensemble import Ensemble
from policies.guard import Guard
from policies.hedge import Hedge
from policies.pacing import Paced
from policies.pick import Only, Threshold, Utility
from policies.resume import Resume
from routers.base import Estimate

NAMES = ("ada", "bob", "cyd", "dan", "eve")
REASONS = {"no_expert", "exhausted", "rejected", "budget"}

EXAMPLES = [
    Only("bob"),
    Threshold(0.6),
    Utility(0.000_002),
    Utility(0.000_002, explore=0.3, caution=1.0),
    Utility(0.0, explore=1.0),
    Cascade(),
    Cascade(0.9, usd_per_quality=0.000_001, longest=2),
    Ensemble(3),
    Ensemble(2, experts=("ada", "eve")),
    Budget(Ensemble(3), usd_per_request=0.000_001),
    Budget(Utility(0.000_002, explore=0.5), usd_per_day=1.0),
    Budget(Budget(Cascade())),
    Budget(Only("ada")),
    Guard(0.000_002, explore=0.5),
    Budget(Guard(1.0, confidence=3.0), usd_per_day=1.0),
    Paced(Utility(0.0), 0.000_001, 0.000_002),
    Resume(),
    Budget(Resume(), usd_per_request=0.000_001),
    Affinity(Utility(0.000_002, explore=0.3), margin=0.2),
    Affinity(Cascade()),
    Budget(Affinity(Ensemble(3))),
    Hedge(Utility(0.000_002, explore=0.3)),
    Budget(Hedge(Affinity(Utility(0.000_002)))),
    Hedge(Cascade()),
]
every_policy = pytest.mark.parametrize("policy", EXAMPLES, ids=str)


@st.composite
def estimates(draw):
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    made = {}
    for name in names:
        cost = draw(st.integers(0, 1500))
        made[name] = Estimate(
            name,
            quality=draw(st.floats(0, 1)),
            std=draw(st.floats(0, 0.5)),
            cost=cost,
            cost_high=cost + draw(st.integers(0, 500)),
            latency=1.0,
        )
    return made


def outcome_of(expert: str, kind: str, cost: int | None = None) -> Outcome:
    if kind == "rejected":
        return Failure(expert, "rejected", retryable=False, cost=cost)
    if kind == "unavailable":
        return Failure(expert, "unavailable", cost=cost)
    return Answer(expert, {"role": "assistant", "content": kind}, finish_reason="stop", cost=cost)


kinds = st.sampled_from(["rejected", "unavailable", "unavailable", "unavailable", "42", "42.", "41", "long " * 30, ""])
costs = st.none() | st.integers(0, 2000)


@st.composite
def states(draw):
    asked = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return State(
        Request(({"role": "user", "content": "hello"},)),
        draw(estimates()),
        tuple(outcome_of(expert, draw(kinds), draw(costs)) for expert in asked),
        allowance=draw(st.none() | st.integers(-100, 4000)),
        draw=draw(st.floats(0, 1, exclude_max=True)),
        sticky=draw(st.none() | st.sampled_from(NAMES)),
    )


def test_every_policy_of_the_room_is_examined():
    found = {
        value
        for module in pkgutil.iter_modules(policies.__path__)
        for value in vars(importlib.import_module(f"policies.{module.name}")).values()
        if inspect.isclass(value) and hasattr(value, "decide") and not getattr(value, "_is_protocol", False)
    }
    assert found == {type(policy) for policy in EXAMPLES}


@every_policy
@settings(max_examples=60, deadline=None)
@given(state=states())
def test_a_policy_decides_in_every_state_and_the_same_each_time(policy, state):
    decision = policy.decide(state)
    assert decision == policy.decide(state)
    match decision:
        case Ask(names, last, probability):
            assert names
            assert len(set(names)) == len(names)
            assert set(names) <= set(state.untried)
            assert 0 < probability <= 1
            assert len(names) == 1 or not last
            assert decision.spare is None or decision.spare.expert in set(state.untried) - set(names)
        case Accept(answer):
            assert answer in state.answers
        case Refuse(reason):
            assert reason in REASONS
            answers_count = not isinstance(getattr(policy, "inner", policy), Resume)  # what broke off is no answer
            assert not (answers_count and state.answers)


@every_policy
@settings(max_examples=60, deadline=None)
@given(state=states(), data=st.data())
def test_every_request_settles_and_no_expert_is_asked_twice(policy, state, data):
    state = replace(state, outcomes=())
    asked: list[str] = []
    for _ in range(len(state.estimates) + 2):
        decision = policy.decide(state)
        if not isinstance(decision, Ask):
            break
        asked += decision.experts
        outcomes = tuple(outcome_of(name, data.draw(kinds), data.draw(costs)) for name in decision.experts)
        state = replace(state, outcomes=state.outcomes + outcomes)
        if decision.last and isinstance(outcomes[0], Answer):
            break
    else:
        pytest.fail("it does not settle")
    assert len(set(asked)) == len(asked)


@every_policy
@settings(max_examples=60, deadline=None)
@given(state=states())
def test_a_budget_around_a_policy_never_asks_for_more_than_the_allowance_row_42(policy, state):
    decision = Budget(policy).decide(state)
    if isinstance(decision, Ask) and state.allowance is not None:
        names = (*decision.experts, *((decision.spare.expert,) if decision.spare else ()))
        assert sum(state.estimates[name].cost_high for name in names) <= state.allowance


@every_policy
@settings(max_examples=60, deadline=None)
@given(state=states())
def test_a_budget_that_nothing_can_break_changes_nothing(policy, state):
    rich = replace(state, allowance=None)
    assert Budget(policy).decide(rich) == policy.decide(rich)


@pytest.mark.parametrize(
    "policy", [policy for policy in EXAMPLES if "explore=0.0" not in str(policy) and "explore" in str(policy)], ids=str
)
def test_the_probability_of_a_choice_is_how_often_it_is_made(policy):
    chance = random.Random(7)
    given_ = {
        name: Estimate(name, quality=0.2 * place, std=0.1, cost=100 * place, cost_high=200 * place, latency=1.0)
        for place, name in enumerate(NAMES)
    }
    drawn: Counter[tuple[str, ...]] = Counter()
    stated: dict[tuple[str, ...], float] = {}
    times = 20_000
    for _ in range(times):
        decision = policy.decide(State(Request(()), given_, draw=chance.random()))
        drawn[decision.experts] += 1
        stated.setdefault(decision.experts, decision.probability)
        assert stated[decision.experts] == decision.probability
    assert sum(stated.values()) == pytest.approx(1)
    for choice, probability in stated.items():
        assert drawn[choice] / times == pytest.approx(probability, abs=4 * (0.25 / times) ** 0.5)

"""A conversation stays with its expert while that is as good as any, and always while a tool's result is pending."""

import pytest
from msgspec.structs import replace

from experts.base import Request
from policies.affinity import Affinity, pending, staying
from policies.base import Ask
from policies.budget import Budget
from policies.pick import Threshold, Utility

CALL = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
RESULT_A, RESULT_B = ({"role": "tool", "tool_call_id": each, "content": "x"} for each in "ab")
HUMAN = {"role": "user", "content": "and now?"}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), False),
        ((HUMAN,), False),
        ((HUMAN, CALL), True),
        ((HUMAN, CALL, RESULT_A), True),
        ((HUMAN, CALL, RESULT_A, RESULT_B), True),
        ((HUMAN, CALL, RESULT_A, HUMAN), True),
        ((HUMAN, CALL, RESULT_A, RESULT_B, HUMAN), False),
        ((CALL, {"role": "assistant", "content": "done"}, HUMAN), False),
        (({"role": "function", "content": "x"},), True),
        (({"role": "assistant", "tool_calls": ["odd"]}, HUMAN), True),
        (({"role": "assistant", "tool_calls": "odd"}, HUMAN), False),
    ],
)
def test_a_tool_is_pending_until_every_call_has_its_result_and_somebody_answered(messages, expected):
    assert pending(messages) is expected


def test_the_expert_stays_while_a_tools_result_is_pending_however_much_better_another_is(decide, school):
    state = replace(school, request=Request((HUMAN, CALL, RESULT_A)), sticky="small")
    decision = decide(Affinity(Threshold(0.9), margin=0.0), state)

    assert isinstance(decision, Ask)
    assert decision.experts == ("small",)
    assert decision.last


@pytest.mark.parametrize(("margin", "expected"), [(0.0, "large"), (0.1, "large"), (0.25, "medium"), (0.5, "medium")])
def test_the_expert_stays_while_the_best_is_better_by_no_more_than_the_margin(decide, school, margin, expected):
    decision = decide(Affinity(Threshold(0.9), margin), replace(school, sticky="medium"))

    assert decision.experts == (expected,)


def test_an_expert_that_failed_or_is_gone_is_let_go(decide, school, after, fails):
    policy = Affinity(Threshold(0.9), margin=1.0)
    sticky = replace(school, sticky="medium")

    assert decide(policy, after(sticky, fails("medium"))).experts == ("large",)
    assert decide(policy, replace(school, sticky="gone")).experts == ("large",)
    assert decide(policy, school).experts == ("large",)


def test_affinity_never_spends_what_a_budget_forbids(decide, school):
    policy = staying(Budget(Threshold(0.0)))
    state = replace(school, request=Request((HUMAN, CALL)), sticky="large", allowance=2_000_000)

    assert decide(policy, state).experts == ("small",)


def test_affinity_stands_inside_budgets_and_once():
    policy = staying(Budget(Budget(Utility(1.0)), usd_per_day=1.0))

    assert policy == Budget(Budget(Affinity(Utility(1.0))), usd_per_day=1.0)
    assert staying(policy) == policy
    with pytest.raises(ValueError, match="margin"):
        Affinity(Utility(1.0), margin=-1)

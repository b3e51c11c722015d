"""A second expert beside one that keeps the client waiting: who, when, and within what may be spent. Row 17."""

import pytest
from msgspec.structs import replace

from experts.base import Request
from policies.affinity import staying
from policies.base import Ask, Refuse
from policies.budget import Budget
from policies.cascade import Cascade
from policies.ensemble import Ensemble
from policies.hedge import Hedge
from policies.pick import Only, Utility, instead

BEST = Utility(usd_per_quality=1.0)
TOOL = ({"role": "user", "content": "and?"}, {"role": "tool", "content": "42"})


def test_the_spare_is_whom_the_policy_would_ask_if_the_first_had_failed_row_17(decide, school):
    decision = decide(Hedge(BEST), school)
    assert decision.experts == ("large",)
    assert decision.spare.expert == "medium"
    assert "medium as well after 3.0 s" in decision.why


def test_it_is_asked_after_so_many_times_the_estimated_latency_and_not_at_once_row_17(decide, school):
    assert decide(Hedge(BEST, times=5.0), school).spare.after == 5.0
    assert decide(Hedge(BEST, times=0.1, seconds=0.5), school).spare.after == 0.5


def test_the_gateway_is_told_how_many_may_be_hedged_row_17(decide, school):
    spare = decide(Hedge(BEST, share=0.01, under_way=4), school).spare
    assert (spare.share, spare.under_way) == (0.01, 4)


def test_both_together_are_within_the_allowance_row_17(decide, school):
    """large costs 0.010, medium 0.004, small 0.001. A budget inside finds one that fits; one outside leaves it."""
    allowed = [(0.014, "medium", "medium"), (0.0139, "small", None), (0.0109, None, None)]
    for dollars, inside, outside in allowed:
        state = replace(school, allowance=round(dollars * 1e9))
        for policy, expert in ((Hedge(Budget(BEST)), inside), (Budget(Hedge(BEST)), outside)):
            spare = decide(policy, state).spare
            assert (spare and spare.expert) == expert


def test_a_limit_of_the_request_inside_or_outside_holds_for_both_row_17(decide, school):
    inside, outside = Hedge(Budget(BEST, usd_per_request=0.012)), Budget(Hedge(BEST), usd_per_request=0.012)
    assert decide(inside, school).spare.expert == "small"
    assert decide(outside, school).spare is None


@pytest.mark.parametrize("inner", [Cascade(0.95), Ensemble(2), Only("large")])
def test_what_is_no_tail_call_or_has_no_other_is_left_as_it_is(decide, school, inner):
    decision = decide(Hedge(inner), school)
    assert decision == inner.decide(school)
    assert decision.spare is None


def test_a_spare_that_would_not_be_the_last_is_none(decide, school):
    class Odd:
        def decide(self, state):
            return Ask(("small",) if state.outcomes else ("large",), last=not state.outcomes)

    assert decide(Hedge(Odd()), school).spare is None


def test_after_a_failure_and_while_a_tools_result_is_pending_nobody_else_is_asked(decide, school, after, fails):
    assert decide(Hedge(BEST), after(school, fails("large"))).spare is None
    assert decide(Hedge(BEST), replace(school, request=Request(TOOL))).spare is None


def test_a_conversation_stays_with_its_expert_and_is_hedged_by_another(decide, school):
    thrifty = staying(Hedge(Utility(usd_per_quality=0.01)))
    assert decide(thrifty, school).experts == ("small",)
    decision = decide(thrifty, replace(school, sticky="large"))
    assert (decision.experts, decision.spare.expert) == (("large",), "small")


def test_who_asks_for_one_expert_gets_no_other(decide, school):
    assert decide(instead(Hedge(BEST), Only("small")), school).spare is None


def test_a_refusal_stays_one(decide, school):
    assert isinstance(decide(Hedge(BEST), replace(school, estimates={})), Refuse)


@pytest.mark.parametrize("about", [{"times": -1}, {"seconds": -1}, {"share": 1.1}, {"share": -0.1}, {"under_way": 0}])
def test_what_makes_no_sense_is_refused(about):
    with pytest.raises(ValueError, match="times and seconds"):
        Hedge(BEST, **about)

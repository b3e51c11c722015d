"""Budget pressure: on the outcome table that comes with us, spending lands on its target without a cliff."""

import random
from collections import defaultdict
from math import exp, pi, sin
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import routers
from experts.base import Request
from policies.base import Ask, State
from policies.budget import Budget
from policies.pick import Only, Threshold, Utility
from policies.pressure import PATIENT, STEEPEST, Pressure, Standing, steered
from routers.base import Estimate

TABLE = Path(routers.__file__).parent / "data" / "outcomes.parquet"
DAY = 86_400.0
REQUEST = Request(({"role": "user", "content": "?"},))


@pytest.fixture(scope="module")
def prompts():
    """Each prompt's estimates (the means of its kind) and what its experts truly cost."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(TABLE, columns=["prompt_id", "group", "expert", "score", "cost"]).to_pylist()
    kinds = defaultdict(list)
    for row in rows:
        kinds[row["group"], row["expert"]].append(row)
    found: dict[str, dict[str, tuple[Estimate, int]]] = defaultdict(dict)
    for row in rows:
        kind = kinds[row["group"], row["expert"]]
        quality = sum(each["score"] for each in kind) / len(kind)
        cost = round(sum(each["cost"] for each in kind) / len(kind))
        estimate = Estimate(row["expert"], quality, 0.1, cost, cost, 1.0)
        found[row["prompt_id"]][row["expert"]] = (estimate, row["cost"])
    return list(found.values())


def cost_of(prompt, policy):
    decision = policy.decide(State(REQUEST, {name: estimate for name, (estimate, _) in prompt.items()}))
    assert isinstance(decision, Ask)
    return prompt[decision.experts[0]][1]


def mean_cost(prompts, price):
    policy = Utility(price)
    return sum(cost_of(prompt, policy) for prompt in prompts) / len(prompts)


def planned(prompts, budget):
    """The price of quality at which a request costs `budget` nano-dollars in the mean, by bisection on past prompts."""
    low, high = 1e-8, 1.0
    for _ in range(30):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if mean_cost(prompts, middle) < budget else (low, middle)
    return low


def a_day(prompts, amount, price, requests, steers=True):
    """Spends a budget through a day of uneven traffic; what each hour cost, and how many requests met the wall."""
    chance = random.Random(7)
    times = sorted(t for t in (chance.random() * DAY for _ in range(4 * requests)) if chance.random() < _busy(t))
    times = times[:: max(len(times) // requests, 1)]
    pressure, spent, refused, hours = Pressure(0.0, 0), 0, 0, [0] * 24
    for now in times:
        if steers and now - pressure.at >= 5.0:
            pressure = pressure.after(now, Standing(amount, spent, 0.0, DAY))
        cost = cost_of(chance.choice(prompts), steered(Utility(price), pressure.factor))
        if spent + cost > amount:
            refused += 1
            continue
        spent += cost
        hours[int(now // 3600)] += cost
    return hours, refused


def _busy(time):
    return 0.5 + 0.45 * sin(2 * pi * (time / DAY - 0.3))


@pytest.mark.parametrize(("surprise", "misjudged"), [(1.0, 1.0), (2.0, 1.0), (1.0, 10.0), (1.6, 0.1)])
def test_a_day_s_spending_lands_on_its_budget_without_a_cliff(prompts, surprise, misjudged):
    """Right plans, twice the traffic that was planned for, and prices that are ten times off."""
    cheap, dear = mean_cost(prompts, 1e-8), mean_cost(prompts, 1.0)
    requests, each = 6_000, cheap + 0.6 * (dear - cheap)
    amount = round(each * requests)
    price = planned(prompts, each)
    hours, refused = a_day(prompts, amount, price * misjudged, round(requests * surprise))
    assert refused == 0
    assert 0.9 * amount <= sum(hours) <= amount
    assert max(hours) < 4 * amount / 24
    assert min(hours[8:-2]) > 0.6 * amount / 24


def test_without_pressure_the_same_day_runs_into_the_wall(prompts):
    cheap, dear = mean_cost(prompts, 1e-8), mean_cost(prompts, 1.0)
    each = cheap + 0.6 * (dear - cheap)
    hours, refused = a_day(prompts, round(each * 6_000), planned(prompts, each) * 10, 12_000, steers=False)
    assert refused > 1_000
    assert hours[-1] < 0.01 * sum(hours)


STANDINGS = st.builds(
    Standing, st.integers(0, 10**12), st.integers(0, 10**12), st.just(0.0), st.floats(1.0, 1e7, allow_nan=False)
)


@given(STANDINGS, st.integers(0, 10**12), st.floats(0, 1e7), st.floats(0, 1e7), st.floats(-STEEPEST, STEEPEST))
def test_the_price_stays_within_its_bounds_and_moves_against_the_error(standing, spent, at, now, level):
    before = Pressure(at, spent, 0.0, level)
    after = before.after(now, standing)
    assert exp(-STEEPEST) <= after.factor <= exp(STEEPEST)
    if now <= at:
        assert after == before
    elif spent >= standing.amount:
        assert after.level <= level
    else:
        assert after.level - level <= PATIENT


def test_a_policy_is_steered_inside_whatever_wraps_it():
    assert steered(Budget(Utility(2.0), usd_per_day=1.0), 0.5) == Budget(Utility(1.0), usd_per_day=1.0)
    assert steered(Threshold(0.5), 0.5) == Threshold(0.5)
    assert steered(Only("a"), 2.0) == Only("a")
    assert steered(Utility(3.0), 1.0) == Utility(3.0)
    plain = type("Plain", (), {"decide": None})()
    assert steered(plain, 2.0) is plain

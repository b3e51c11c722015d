"""A router is worth what it adds over the trivial policies, and nothing is claimed that hindsight made."""

import numpy as np
import pytest

from bench import compare, frontier, metrics
from experts.base import Request
from policies.base import Ask, State
from policies.guard import Guard
from routers.base import Estimate
from routers.outcomes import Outcomes
from tests.bench.table import Fixed, table

COST = [1_000, 100_000]


def halves(count: int = 400, seed: int = 0) -> Outcomes:
    """e0 is right on even prompts only, e1 always: half of the dear calls are wasted without a router."""
    even = (np.arange(count) % 2 == 0).astype(np.float64)
    noise = np.random.default_rng(seed).random(count) < 0.1
    return table(np.stack([np.where(noise, 0.0, even), np.where(noise, 0.0, 1.0)], axis=1), COST)


def knowing(outcomes: Outcomes) -> frontier.Predictions:
    """The predictions of a router that knows which prompts are even."""
    even = (np.arange(len(outcomes)) % 2 == 0).astype(np.float64)
    quality = np.stack([0.9 * even, np.full(len(outcomes), 0.9)], axis=1)
    return frontier.Predictions(quality, quality * 0, outcomes.cost)


def test_choices_maximise_quality_for_the_money_and_the_cheaper_wins_a_tie():
    outcomes = halves(4)
    assert frontier.choose(knowing(outcomes), 1e9).tolist() == [0, 1, 0, 1]
    assert frontier.choose(knowing(outcomes), 0.0).tolist() == [0, 0, 0, 0]


def test_a_sweep_goes_from_the_cheapest_choices_to_the_best():
    outcomes = halves()
    cost, score = frontier.sweep("knowing", knowing(outcomes), outcomes).curve
    assert (cost[0], cost[-1]) == (1_000, 50_500)
    assert score[0] < score[-1]
    assert np.all(np.diff(cost) >= 0)


def test_a_router_that_knows_is_above_the_zero_router_with_its_whole_interval():
    outcomes = halves()
    against = frontier.baselines(outcomes, outcomes)
    row = compare.compare(frontier.sweep("knowing", knowing(outcomes), outcomes), against)
    assert row.figures["over_zero"].gain
    assert row.figures["qnc"].value == pytest.approx(0.505)
    assert row.figures["cost_saving"].value == pytest.approx(0.495)
    assert row.figures["over_single"].value == pytest.approx(0.0)
    assert (row.band[:, 1] <= row.band[:, 0] + 1e-12).all()
    assert (row.band[:, 0] <= row.band[:, 2] + 1e-12).all()


def test_a_router_that_knows_nothing_is_the_zero_router():
    outcomes = halves()
    router = Fixed({"e0": 0.45, "e1": 0.9}, {"e0": 1_000, "e1": 100_000})
    points = frontier.sweep("blind", frontier.predict(router, outcomes), outcomes)
    row = compare.compare(points, frontier.baselines(outcomes, outcomes))
    interval = row.figures["over_zero"]
    assert [interval.value, interval.low, interval.high] == pytest.approx([0, 0, 0])


def test_the_oracle_bounds_every_router():
    outcomes = halves()
    against = frontier.baselines(outcomes, outcomes)
    best = compare.compare(frontier.oracle(outcomes), against).figures["aiq"].value
    assert best >= compare.compare(frontier.sweep("k", knowing(outcomes), outcomes), against).figures["aiq"].value
    assert best >= compare.compare(frontier.random(outcomes), against).figures["aiq"].value


def test_experts_of_equal_price_still_compare_in_quality():
    outcomes = table(np.eye(2).repeat(50, axis=0), [7, 7])
    against = frontier.baselines(outcomes, outcomes)
    row = compare.compare(frontier.oracle(outcomes), against)
    assert (row.figures["aiq"].value, row.figures["best"].value) == (1.0, 1.0)
    assert row.figures["over_single"].value == 0.5


def test_shuffled_labels_claim_no_gain_over_the_zero_router():
    """Domains that say nothing, fitted on train: at most 5 % of 200 runs may claim a gain on test."""
    random, claims = np.random.default_rng(1), 0
    for run in range(200):
        scores = (random.random((400, 2)) < [0.5, 0.6]).astype(np.float64)
        domain = random.integers(0, 4, 400)
        train, test = table(scores[:200], [1, 9]), table(scores[200:], [1, 9])
        means = np.stack([train.score[domain[:200] == d].mean(axis=0) for d in range(4)])
        guess = frontier.Predictions(means[domain[200:]], means[domain[200:]] * 0, test.cost)
        points = frontier.sweep("shuffled", guess, test)
        claims += compare.gain(points, frontier.baselines(train, test), run, 100).gain
    assert claims <= 10


def test_the_zero_routers_experts_are_chosen_on_train_alone():
    train, test = table([[0.5, 0.9, 0.7]], [1, 2, 3]), table([[0.1, 0.2, 1.0]], [1, 2, 3])
    against = frontier.baselines(train, test)
    assert (against.best, against.zero) == (1, (0, 1))
    assert tuple(metrics.hull_index(*against.singles.curve)) != against.zero


def test_guarded_choices_are_what_the_policy_decides():
    random = np.random.default_rng(3)
    quality, cost = random.random((200, 5)), random.integers(1, 1_000_000, (200, 5)).astype(float)
    quality[:50] = 0.5 + quality[:50] / 200
    usual = random.random(5)
    known = frontier.Predictions(quality, random.random((200, 5)), cost, usual)
    for price in (0.0, 0.0001, 0.01, 1.0):
        chosen = frontier.choose(known, price * 1e9)
        for i in range(200):
            columns = zip(quality[i], known.std[i], cost[i], cost[i], cost[i], usual, strict=True)
            estimates = {f"e{j}": Estimate(f"e{j}", *column) for j, column in enumerate(columns)}
            decision = Guard(price).decide(State(Request(()), estimates))
            assert isinstance(decision, Ask)
            assert decision.experts == (f"e{chosen[i]}",)

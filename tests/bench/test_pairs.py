"""RouteLLM's metrics against hand-computed cases and its published reference points."""

import numpy as np
import pytest

from bench import pairs

WEAK, STRONG = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0, 1.0])
NEED = np.array([0.9, 0.8, 0.2, 0.1])


def test_quality_rises_as_the_needy_prompts_go_to_the_strong_expert():
    assert pairs.quality_by_share(NEED, WEAK, STRONG).tolist() == [0.5, 0.75, 1.0, 1.0, 1.0]


def test_apgr_of_a_perfect_order_is_the_area_above_the_weak_expert():
    # r at shares 0, .25, .5, .75, 1 is .5, .75, 1, 1, 1: area .875; (.875 - .5) / .5
    assert pairs.apgr(NEED, WEAK, STRONG, thresholds=4) == pytest.approx(0.75)
    assert pairs.apgr(-NEED, WEAK, STRONG, thresholds=4) == pytest.approx(0.25)


def test_apgr_can_exceed_one_where_the_strong_expert_hurts():
    weak, strong = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0])
    # r at shares 0, .25, .5, .75, 1 is .5, .75, 1, 1, .75: area .84375; (.84375 - .5) / .25
    assert pairs.apgr(NEED, weak, strong, thresholds=4) == pytest.approx(1.375)


def test_cpt_is_the_least_share_of_strong_calls():
    assert pairs.cpt(NEED, WEAK, STRONG, 0.5) == 0.25
    assert pairs.cpt(NEED, WEAK, STRONG, 0.8) == 0.5
    assert pairs.cpt(-NEED, WEAK, STRONG, 0.5) == 0.75


def test_a_random_order_scores_as_routellm_says():
    random = np.random.default_rng(0)
    weak = (random.random(20_000) < 0.6).astype(np.float64)
    strong = (random.random(20_000) < 0.8).astype(np.float64)
    score = random.random(20_000)
    assert pairs.apgr(score, weak, strong) == pytest.approx(0.5, abs=0.03)
    assert pairs.cpt(score, weak, strong, 0.5) == pytest.approx(0.5, abs=0.04)
    assert pairs.cpt(score, weak, strong, 0.8) == pytest.approx(0.8, abs=0.04)


def test_collapse_counts_the_dearest_where_a_cheaper_one_is_as_good():
    quality, cost = np.array([[1, 1.0], [0, 1.0], [1, 1.0], [1, 1.0]]), np.array([[1, 9.0]] * 4)
    assert pairs.collapse(np.array([1, 1, 1, 0]), quality, cost) == 0.5


def test_entropy_counts_the_experts_in_use():
    assert pairs.shares(np.array([0, 0, 1, 1]), 3).tolist() == [0.5, 0.5, 0.0]
    assert pairs.entropy(pairs.shares(np.array([0, 0, 1, 1]), 3)) == 1.0
    assert pairs.entropy(pairs.shares(np.array([2, 2]), 3)) == 0.0

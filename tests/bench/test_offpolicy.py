"""Off-policy estimates: by hand, and against a truth that a simulation knows."""

import numpy as np
import pytest

from bench import offpolicy, statistics

LOG = offpolicy.Log(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.25, 0.5]), np.array([1.0, 1.0, 0.0, 1.0]))


def test_ips_snips_and_effective_sample_size():
    value = offpolicy.value(LOG)  # weights 2, 0, 4, 2
    assert (value.ips, value.snips) == (1.0, 0.5)
    assert value.ess == pytest.approx(64 / 24)
    assert not value.trusted


def test_weights_are_clipped():
    assert offpolicy.weights(LOG, clip=3.0).tolist() == [2.0, 0.0, 3.0, 2.0]


def test_a_log_without_chances_is_refused():
    with pytest.raises(ValueError, match="logged with their probability"):
        offpolicy.weights(offpolicy.Log(np.ones(1), np.zeros(1), np.ones(1)))


def test_doubly_robust_adds_only_what_the_model_missed():
    predicted, expected = np.array([1.0, 1.0, 0.0, 1.0]), np.array([0.5, 0.6, 0.7, 0.6])
    assert offpolicy.doubly_robust(LOG, predicted, expected) == pytest.approx(0.6)
    assert offpolicy.doubly_robust(LOG, predicted - 0.1, expected) == pytest.approx(0.6 + (0.2 + 0 + 0.4 + 0.2) / 4)


def test_the_true_value_lies_in_the_interval_in_at_least_93_percent_of_200_simulated_logs():
    random, hits = np.random.default_rng(7), 0
    quality = random.random((4000, 3)) * np.array([0.5, 0.8, 1.0])
    best = quality.argmax(axis=1)
    truth = quality.max(axis=1).mean()
    for run in range(200):
        rows = random.choice(4000, 400)
        chance = np.full((400, 3), 0.1)
        chance[:, 1] = 0.8
        chosen = (random.random((400, 1)) > chance.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        reward = (random.random(400) < quality[rows, chosen]) * 1.0
        log = offpolicy.Log((chosen == best[rows]) * 1.0, chance[np.arange(400), chosen], reward)
        guess = np.full(400, 0.5)
        terms = offpolicy.doubly_robust_terms(log, guess, guess)
        interval = statistics.mean(terms, [str(i) for i in range(400)], seed=run)
        hits += interval.low <= truth <= interval.high
    assert hits >= 186

"""Estimates mean what they say."""

import numpy as np
import pytest

from routers.calibrated import BINS_ALL, LEAST, Calibrated, isotonic, rising


def test_violators_are_pooled_by_their_weight():
    found = rising(np.array([0.1, 0.5, 0.2, 0.9]), np.array([1.0, 3.0, 1.0, 1.0]))
    assert found.tolist() == pytest.approx([0.1, 0.425, 0.425, 0.9])


def test_overstatement_is_pulled_back_and_the_order_kept():
    random = np.random.default_rng(0)
    truth = random.random((20_000, 2))
    score = (random.random(truth.shape) < truth).astype(float)
    said = 0.5 + (truth - 0.5) * 0.5
    told = Calibrated.fit(said, score)(said.astype(np.float32))
    assert np.abs(told - truth).mean() < 0.03
    assert np.abs(said - truth).mean() > 0.12


def test_an_expert_of_few_outcomes_is_calibrated_as_all_are():
    random = np.random.default_rng(0)
    said = random.random((1_000, 3))
    score = (random.random(said.shape) < said**2).astype(float)
    score[LEAST - 1 :, 2] = np.nan
    maps, known = Calibrated.fit(said, score).maps, np.isfinite(score)
    shared = isotonic(said[known], score[known], np.linspace(0.0, 1.0, len(maps)), BINS_ALL)
    assert maps[:, 2] == pytest.approx(shared, abs=1e-6)
    assert np.abs(maps[:, 0] - shared).max() > 1e-4


def test_where_little_is_known_nothing_is_changed():
    nothing = np.full((4, 2), np.nan)
    said = np.array([[0.0, 0.3], [0.99, 1.0], [1.7, -0.2], [0.5, 0.5]], np.float32)
    assert Calibrated.fit(nothing, nothing)(said) == pytest.approx(np.clip(said, 0, 1), abs=1e-6)


def test_the_line_is_flat_beyond_what_was_seen():
    x = np.linspace(0.4, 0.6, 100)
    found = isotonic(x, x, np.array([0.0, 0.5, 1.0]), 10)
    assert found.tolist() == pytest.approx([0.409, 0.5, 0.591], abs=0.002)

"""Calibration of estimates and of gaps between two experts, by hand."""

import numpy as np
import pytest

from bench import calibration


def test_ece_weighs_each_bin_by_its_size():
    predicted, observed = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, 0.0])
    # bins {.1, .1} -> 0 and {.9, .9} -> .5: (2 * .1 + 2 * .4) / 4
    assert calibration.ece(predicted, observed, count=2) == pytest.approx(0.25)


def test_equal_estimates_share_one_bin():
    assert calibration.ece(np.full(100, 0.5), np.tile([0.0, 1.0], 50)) == pytest.approx(0.0)
    assert calibration.bins(np.full(100, 0.5), np.zeros(100)).size.tolist() == [100]


def test_bins_have_equal_mass():
    parts = calibration.bins(np.linspace(0, 1, 150), np.zeros(150))
    assert parts.size.tolist() == [10.0] * 15


def test_the_brier_score_is_reliability_minus_resolution_plus_uncertainty():
    predicted, observed = np.array([0.2, 0.2, 0.8, 0.8]), np.array([0.0, 0.0, 1.0, 0.0])
    parts = calibration.brier(predicted, observed, count=2)
    assert parts.score == pytest.approx((0.04 + 0.04 + 0.04 + 0.64) / 4)
    assert parts.reliability == pytest.approx(0.5 * 0.04 + 0.5 * 0.09)
    assert parts.resolution == pytest.approx(0.0625)
    assert parts.uncertainty == pytest.approx(0.1875)
    assert parts.score == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty)


def test_gaps_between_two_experts_can_be_calibrated_too():
    gap, outcome = np.array([-0.5, -0.5, 0.5, 0.5]), np.array([-1.0, 0.0, 1.0, 0.0])
    assert calibration.ece(gap, outcome, count=2) == pytest.approx(0.0)

"""Spend against its budget over time, by hand."""

import numpy as np

from bench import spending

COST = np.array([1.0, 3.0, 1.0, 1.0])


def test_utilisation_is_mean_cost_over_budget():
    assert spending.utilisation(COST, 3.0) == 0.5


def test_the_worst_prefix_finds_the_overspend_that_the_mean_hides():
    assert spending.worst_prefix(COST, 1.5) == 4 / 3  # after two requests 4 of 3 were spent
    assert spending.worst_prefix(COST, 1.5, start=4) == 1.0


def test_the_first_breach_is_counted_in_requests():
    assert spending.first_breach(COST, 1.5) == 2
    assert spending.first_breach(COST, 2.0) is None


def test_regret_sums_what_the_oracle_had_more():
    assert spending.regret(np.array([1.0, 1.0, 0.5]), np.array([0.5, 1.0, 0.5])) == 0.5

"""Every metric of cost against quality on cases small enough to compute by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import metrics


def array(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def test_the_hull_keeps_what_a_mixture_cannot_reach_and_never_falls():
    cost, quality = metrics.hull(array(1, 2, 3, 4, 5), array(0.2, 0.3, 0.8, 0.7, 0.9))
    assert cost.tolist() == [1, 3, 5]  # (2, .3) is below the line from (1, .2) to (3, .8); (4, .7) falls
    assert quality.tolist() == [0.2, 0.8, 0.9]


def test_the_hull_of_equal_costs_is_their_best_point():
    cost, quality = metrics.hull(array(1, 1, 1), array(0.2, 0.9, 0.5))
    assert (cost.tolist(), quality.tolist()) == ([1], [0.9])


def test_the_zero_router_is_chosen_on_train_and_scored_on_test():
    train = array(1, 2, 3), array(0.5, 0.9, 0.8)  # the third expert is no use on train
    test = array(1, 2, 3), array(0.6, 0.8, 1.0)  # and the best on test, which must not help
    assert metrics.zero_router(train, test)[1].tolist() == [0.6, 0.8]
    assert metrics.zero_at(train, test, array(1.25, 9.0)).tolist() == pytest.approx([0.65, 0.8])


def test_the_oracle_takes_the_cheapest_of_the_best():
    quality, cost = np.array([[1, 1, 0], [0, 1, 1.0]]), np.array([[5, 2, 1], [1, 9, 3.0]])
    assert metrics.oracle(quality, cost).tolist() == [1, 2]


def test_the_budget_oracle_spends_where_it_gains_most():
    quality, cost = np.array([[0, 1.0], [0.5, 1.0], [0.9, 1.0]]), np.array([[1, 4.0]] * 3)
    assert metrics.budget_oracle(quality, cost, 2.0).tolist() == [1, 0, 0]  # (4 + 1 + 1) / 3
    assert metrics.budget_oracle(quality, cost, 3.0).tolist() == [1, 1, 0]
    assert metrics.budget_oracle(quality, cost, 9.0).tolist() == [1, 1, 1]
    assert metrics.budget_oracle(quality, cost, 0.5).tolist() == [0, 0, 0]  # nothing cheaper exists


def test_aiq_is_the_mean_height_over_the_shared_costs():
    curve = array(1, 3), array(0.2, 0.6)
    assert metrics.aiq(curve, 1, 3) == pytest.approx(0.4)
    assert metrics.aiq(curve, 1, 5) == pytest.approx((0.4 * 2 + 0.6 * 2) / 4)  # flat to the right


def test_the_repository_divides_by_the_greatest_cost_instead():
    assert metrics.aiq_repository((array(1, 3), array(0.2, 0.6))) == pytest.approx(0.8 / 3)


def test_deferral_area_scales_cost_to_the_dearest_expert():
    curve = array(2, 6), array(0.4, 0.8)
    assert metrics.deferral_area(curve, 10.0) == pytest.approx((0.6 * 4 + 0.8 * 4) / 10)


def test_qnc_is_the_relative_cost_at_the_best_singles_quality():
    assert metrics.qnc((array(1, 3), array(0.4, 0.8)), 0.6, 4.0) == pytest.approx(0.5)
    assert metrics.qnc((array(1, 3), array(0.4, 0.8)), 0.9, 4.0) == float("inf")


def test_gain_and_saving_compare_with_the_best_single_expert():
    assert metrics.performance_gain(array(0.5, 0.84), 0.8) == pytest.approx(0.05)
    assert metrics.cost_saving(array(1, 3, 4), array(0.5, 0.8, 0.84), 0.8, 4.0) == pytest.approx(0.25)
    assert metrics.cost_saving(array(1, 3), array(0.5, 0.7), 0.8, 4.0) == -float("inf")


def test_pareto_distance_is_to_the_line_not_to_its_corners():
    joint = array(0, 10), array(0.0, 1.0)
    assert metrics.pareto_distance((array(0, 5), array(0.0, 0.5)), joint) == pytest.approx(0.0)
    assert metrics.pareto_distance((array(10), array(0.0)), joint) == pytest.approx(np.sqrt(0.5))

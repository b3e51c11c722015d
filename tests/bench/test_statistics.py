"""The statistics are honest: they rarely claim what is not there, and find what is."""

import numpy as np
import pytest

from bench import statistics


def names(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def test_wilson_agrees_with_its_published_example():
    interval = statistics.wilson(10, 20)
    assert [interval.low, interval.high] == pytest.approx([0.2993, 0.7007], abs=1e-4)
    assert statistics.wilson(0, 10).low == 0.0
    assert statistics.wilson(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    assert (statistics.wilson(0, 0).low, statistics.wilson(0, 0).high) == (0.0, 1.0)


def test_the_bootstrap_is_seeded():
    values = np.random.default_rng(0).random(50)
    assert statistics.mean(values, names(50), seed=1) == statistics.mean(values, names(50), seed=1)
    assert statistics.mean(values, names(50), seed=1) != statistics.mean(values, names(50), seed=2)


def test_duplicates_in_one_group_do_not_make_us_surer():
    values = np.random.default_rng(0).random(50)
    once = statistics.mean(values, names(50))
    ten_times = statistics.mean(np.repeat(values, 10), [name for name in names(50) for _ in range(10)])
    assert ten_times.value == pytest.approx(once.value)
    assert ten_times.high - ten_times.low == pytest.approx(once.high - once.low, rel=1e-6)


def test_the_interval_has_the_width_of_the_normal_theory():
    values = np.random.default_rng(3).normal(size=2000)
    interval = statistics.mean(values, names(2000))
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(2000), rel=0.1)


def test_shared_resamples_cancel_what_two_routers_have_in_common():
    random = np.random.default_rng(0)
    hard = random.random(500)
    interval = statistics.difference(np.add(hard, 0.02), hard, names(500))
    assert [interval.low, interval.high] == pytest.approx([0.02, 0.02])


def test_a_statistic_of_several_means_is_resampled_as_a_whole():
    values = np.stack([np.full(10, 2.0), np.full(10, 4.0)], axis=1)
    ratio = statistics.statistic(values, names(10), lambda means: means[:, 0] / means[:, 1])
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == (0.5, 0.5, 0.5, 10)


def test_shuffled_labels_claim_a_gain_in_at_most_5_percent_of_200_runs():
    random, claims = np.random.default_rng(11), 0
    skill = np.array([0.55, 0.6])
    for run in range(200):
        domain = random.integers(0, 4, size=600)
        score = (random.random((600, 2)) < skill).astype(np.float64)  # nothing depends on the domain
        train, test = slice(0, 300), slice(300, 600)
        table = np.stack([score[train][domain[train] == d].mean(axis=0) for d in range(4)])
        routed = np.take_along_axis(score[test], table.argmax(axis=1)[domain[test]][:, None], axis=1)[:, 0]
        single = score[test][:, score[train].mean(axis=0).argmax()]
        claims += statistics.difference(routed, single, names(300), seed=run).gain
    assert claims <= 10


def test_a_planted_gain_of_2_points_is_found_at_1000_prompts_in_at_least_90_percent():
    """The router corrects 2.5 % of the answers and spoils 0.5 %."""
    random, found = np.random.default_rng(5), 0
    for run in range(200):
        single = (random.random(1000) < 0.6).astype(np.float64)
        draw = random.random(1000)
        change = np.where(draw < 0.025, 1.0, np.where(draw < 0.03, -1.0, 0.0))
        found += statistics.difference(single + change, single, names(1000), seed=run).gain
    assert found >= 180

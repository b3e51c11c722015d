"""One row of the table for each router: every figure with its paired interval against the trivial policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import metrics, statistics
from bench.frontier import Baselines, Points, deployable
from bench.statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FIGURES = {
    "best": "mean score at the highest price of quality",
    "over_single": "that, minus the best single expert's score",
    "same_cost": "score at the best single expert's cost, minus its score",
    "over_zero": "mean height of the frontier above the zero router's, over the zero router's costs",
    "aiq": "AIQ as in the paper: mean height of the convex hull over the single experts' costs",
    "aiq_repository": "AIQ as in RouterBench's repository",
    "qnc": "least cost of the best single expert's quality, relative to its cost",
    "deferral_area": "area under quality against cost, cost scaled to the dearest expert",
    "performance_gain": "best score of the sweep above the best single expert's, relative",
    "cost_saving": "cost saved at no less than the best single expert's score, relative",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A router on one test table. The band has shape (B, 3): height of its frontier at each budget, low, high."""

    name: str
    figures: Mapping[str, Interval]
    budgets: Array
    band: Array


@dataclass(frozen=True, slots=True)
class Means:
    """Means of one resample: the router's K points and the M single experts."""

    cost: Array
    score: Array
    single_cost: Array
    single_score: Array


def compare(router: Points, against: Baselines, seed: int = 0, repetitions: int = statistics.REPETITIONS) -> Compared:
    """All figures of `router`; every interval comes from the same resamples of duplicate groups."""
    import numpy as np

    budgets = against.budgets()

    def row(means: Means) -> Array:
        figures = measure(means, against)
        return np.array([*(figures[name] for name in FIGURES), *_heights(means, against, budgets)])

    whole, low, high = resampled(router, against, row, seed, repetitions)
    count, n = len(FIGURES), len(against.test)
    figures = {name: Interval(float(whole[i]), float(low[i]), float(high[i]), n) for i, name in enumerate(FIGURES)}
    return Compared(router.name, figures, budgets, np.stack([whole, low, high], axis=1)[count:])


def gain(router: Points, against: Baselines, seed: int = 0, repetitions: int = statistics.REPETITIONS) -> Interval:
    """`over_zero` alone: what must be above 0 before a router is worth having, and not below it before it is used."""
    import numpy as np

    whole, low, high = resampled(router, against, lambda m: np.array([over_zero(m, against)]), seed, repetitions)
    return Interval(float(whole[0]), float(low[0]), float(high[0]), len(against.test))


def resampled(
    router: Points, against: Baselines, function: Callable[[Means], Array], seed: int, repetitions: int
) -> tuple[Array, Array, Array]:
    """`function` of the means of all prompts, and the two ends of its interval over resamples of groups."""
    import numpy as np

    columns = np.concatenate([router.cost, router.score, against.singles.cost, against.singles.score], axis=1)
    ends = np.cumsum([router.cost.shape[1], router.cost.shape[1], against.singles.cost.shape[1]])
    replicates = statistics.resampled_means(columns, against.test.groups, seed, repetitions)
    values = np.array([function(Means(*np.split(means, ends))) for means in replicates])
    low, high = np.quantile(values, (0.025, 0.975), axis=0, method="inverted_cdf")
    return function(Means(*np.split(columns.mean(axis=0), ends))), low, high


def measure(means: Means, against: Baselines) -> dict[str, float]:
    """The figures of one resample. The single experts that are feasible beside the router are the zero router's."""
    best_cost, best_score = float(means.single_cost[against.best]), float(means.single_score[against.best])
    cost, score = means.single_cost[list(against.zero)], means.single_score[list(against.zero)]
    hull = metrics.hull(_joined(means.cost, cost), _joined(means.score, score))
    low, high = float(means.single_cost.min()), float(means.single_cost.max())
    own = metrics.hull(means.cost, means.score)
    return {
        "best": float(means.score[-1]),
        "over_single": float(means.score[-1]) - best_score,
        "same_cost": float(_heights(means, against, means.single_cost[[against.best]])[0]) - best_score,
        "over_zero": over_zero(means, against),
        "aiq": metrics.aiq(hull, low, high) if high > low * (1 + 1e-9) else float(hull[1][-1]),
        "aiq_repository": metrics.aiq_repository(own),
        "qnc": metrics.qnc(hull, best_score, best_cost),
        "deferral_area": metrics.deferral_area(hull, high),
        "performance_gain": metrics.performance_gain(means.score, best_score),
        "cost_saving": metrics.cost_saving(means.cost, means.score, best_score, best_cost),
    }


def over_zero(means: Means, against: Baselines) -> float:
    """Mean over budgets of the router's frontier minus the zero router's, neither chosen with hindsight."""
    import numpy as np

    cost, score = means.single_cost[list(against.zero)], means.single_score[list(against.zero)]
    budgets = np.linspace(cost.min(), cost.max(), 60)
    return float((_heights(means, against, budgets) - deployable(cost, score, budgets)).mean())


def _heights(means: Means, against: Baselines, budgets: Array) -> Array:
    """The router's frontier; below its own cheapest point it mixes with the cheapest expert of the zero router."""
    cheapest = list(against.zero[:1])
    cost = _joined(means.single_cost[cheapest], means.cost)
    return deployable(cost, _joined(means.single_score[cheapest], means.score), budgets)


def _joined(first: Array, second: Array) -> Array:
    import numpy as np

    return np.concatenate([first, second])

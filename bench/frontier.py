"""Sweeps what a router may pay for quality, and sets its frontier beside single experts, zero router and oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import metrics
from bench.replay import Recording, cards
from policies.guard import Guard
from routers.base import Router
from routers.inputs import Inputs, inputs
from routers.learned import Learned
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PRICES = 40
BUDGETS = 60


@dataclass(frozen=True, slots=True)
class Predictions:
    """A router's estimates for N prompts and M experts, in the table's order; costs in nano-dollars.

    With the experts' `usual` quality (M,) choices are the guard's."""

    quality: Array
    std: Array
    cost: Array
    usual: Array | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """What K ways to choose brought for each of N prompts: `score` and `cost` (nano-dollars) have shape (N, K).

    `labels` name the K ways: an expert, or a price of quality."""

    name: str
    score: Array
    cost: Array
    labels: tuple[str, ...]

    @property
    def curve(self) -> metrics.Curve:
        """Mean cost and mean score of each way, shapes (K,)."""
        return self.cost.mean(axis=0), self.score.mean(axis=0)


@dataclass(frozen=True, slots=True)
class Baselines:
    """What every router is measured against on one test table. What had to be chosen was chosen on train."""

    test: Outcomes
    singles: Points
    best: int
    """The best single expert, the cheapest of equals."""
    zero: tuple[int, ...]
    """The experts that the zero router mixes, cheapest first."""

    def budgets(self) -> Array:
        """Mean costs at which frontiers are drawn: from the cheapest expert of the zero router to the dearest, each
        the same factor above the last."""
        import numpy as np

        cost = np.maximum(self.singles.curve[0][list(self.zero)], 1.0)
        return np.geomspace(cost.min(), cost.max(), BUDGETS)


def baselines(train: Outcomes, test: Outcomes) -> Baselines:
    """The single experts on test, and who is best, alone and mixed, on train."""
    import numpy as np

    cost, score = np.nanmean(train.cost, axis=0), np.nanmean(train.score, axis=0)
    best = min(range(len(cost)), key=lambda i: (-score[i], cost[i]))
    singles = Points("single experts", test.score, test.cost, test.experts)
    return Baselines(test, singles, best, tuple(metrics.hull_index(cost, score)))


def predict(router: Router, outcomes: Outcomes, vectors: NDArray[np.float32] | None = None) -> Predictions:
    """The router's estimates of every prompt; learned routers do it in one batch."""
    if isinstance(router, Learned) and vectors is not None and set(outcomes.experts) <= set(router.experts):
        return batch(router, outcomes, inputs(outcomes.prompts, vectors))
    return _one_by_one(router, outcomes, vectors)


BATCH = 512


def batch(router: Learned, outcomes: Outcomes, shown: Inputs) -> Predictions:
    """The same for a learned router whose inputs are there already."""
    import numpy as np

    columns = [router.experts.index(name) for name in outcomes.experts]
    parts = []
    for start in range(0, len(shown), BATCH):
        some = shown.rows(np.arange(start, min(start + BATCH, len(shown))))
        quality, std = router.quality.predict(some)
        parts.append((np.clip(quality, 0.0, 1.0), std, np.trunc(router.costs.predict(some)[0])))
    return Predictions(*(np.concatenate(part)[:, columns].astype(np.float64) for part in zip(*parts, strict=True)))


def _one_by_one(router: Router, outcomes: Outcomes, vectors: NDArray[np.float32] | None) -> Predictions:
    import numpy as np

    catalog = cards(outcomes)
    rows = [router.estimate(request, catalog, ()) for request in Recording(outcomes, vectors).requests()]

    def column(name: str) -> Array:
        return np.array([[getattr(row[expert], name) for expert in outcomes.experts] for row in rows], np.float64)

    return Predictions(column("quality"), column("std"), column("cost"))


def prices(cost: Array) -> Array:
    """What quality 1 may be worth, in nano-dollars: from nothing to anything, around the experts' mean costs."""
    import numpy as np

    means = cost.mean(axis=0)
    low, high = max(float(means.min()) * 0.1, 1.0), max(float(means.max()) * 1e3, 10.0)
    return np.concatenate([[0.0], np.geomspace(low, high, PRICES - 2), [1e18]])


def choose(predictions: Predictions, price: float) -> NDArray[np.int64]:
    """quality x price - cost at its greatest, the cheaper of equals: shape (N,)."""
    best = metrics.oracle(predictions.quality * price - predictions.cost, predictions.cost)
    return best if predictions.usual is None else _guarded(predictions, predictions.usual, best, price)


def _guarded(known: Predictions, usual: Array, best: NDArray[np.int64], price: float) -> NDArray[np.int64]:
    """What policies.guard decides, for all prompts at once."""
    import numpy as np

    rule, taken, worth = Guard(0.0), metrics.taken, known.quality * price - known.cost
    trivial = metrics.oracle(usual * price - known.cost, known.cost)
    doubt = np.hypot(taken(known.std, best), taken(known.std, trivial)) * price
    sure = (best == trivial) | (taken(worth, best) - taken(worth, trivial) > rule.confidence * doubt)
    near = known.quality >= taken(known.quality, best)[:, None] - rule.tie
    near &= known.cost < taken(known.cost, best)[:, None]
    frugal = np.where(near.any(axis=1), np.where(near, known.cost, np.inf).argmin(axis=1), best)
    choice: NDArray[np.int64] = np.where(sure, frugal, trivial)
    return choice


def sweep(name: str, predictions: Predictions, outcomes: Outcomes) -> Points:
    """The choices at every price of quality, cheapest first."""
    worth = prices(outcomes.cost)
    return points(name, [choose(predictions, price) for price in worth], outcomes, [f"${p / 1e9:.3g}" for p in worth])


def points(
    name: str, choices: Sequence[NDArray[np.int64]], outcomes: Outcomes, labels: Sequence[str] | None = None
) -> Points:
    """What each of K choices, shape (N,), earned and cost."""
    import numpy as np

    score = np.stack([metrics.taken(outcomes.score, choice) for choice in choices], axis=1)
    cost = np.stack([metrics.taken(outcomes.cost, choice) for choice in choices], axis=1)
    return Points(name, score, cost, tuple(labels or map(str, range(len(choices)))))


def oracle(outcomes: Outcomes) -> Points:
    """The best choices in hindsight at every price of quality: an upper bound."""
    return sweep("oracle", Predictions(outcomes.score, outcomes.score, outcomes.cost), outcomes)


def random(outcomes: Outcomes) -> Points:
    """An expert drawn at random for each prompt, in expectation."""
    score, cost = outcomes.score.mean(axis=1, keepdims=True), outcomes.cost.mean(axis=1, keepdims=True)
    return Points("random", score, cost, ("uniform",))


def deployable(cost: Array, score: Array, budget: Array) -> Array:
    """The score at each mean cost by mixing neighbours of a sweep, with no hindsight: points that are worse than
    cheaper ones stay where they are. Flat to both sides."""
    import numpy as np

    order = np.argsort(cost, kind="stable")
    result: Array = np.interp(budget, cost[order], score[order])
    return result

"""The metrics of cost against quality, as their papers define them: small pure functions on arrays.

Notation: N prompts, M experts, K points of a sweep. `quality` and `cost` of experts have shape (N, M), of points
shape (K,). A frontier is a pair of arrays (cost, quality) that rises in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Curve = tuple[Array, Array]

BISECTIONS = 60


def hull_index(cost: Array, quality: Array) -> list[int]:
    """The points of the upper convex hull up to the best quality, cheapest first (RouterBench's NDCH)."""
    import numpy as np

    kept: list[int] = []
    for i in np.lexsort((-quality, cost)):
        if kept and quality[i] <= quality[kept[-1]]:
            continue
        while len(kept) > 1 and _below(cost, quality, (kept[-2], kept[-1], int(i))):
            kept.pop()
        kept.append(int(i))
    return kept


def _below(cost: Array, quality: Array, points: tuple[int, int, int]) -> bool:
    """Whether the middle of three points lies on or below the line of the others."""
    a, b, c = points
    rise_b = (quality[b] - quality[a]) * (cost[c] - cost[a])
    rise_c = (quality[c] - quality[a]) * (cost[b] - cost[a])
    return bool(rise_b <= rise_c)


def hull(cost: Array, quality: Array) -> Curve:
    """The non-decreasing convex hull of points: a mixture of two neighbours reaches every point of it."""
    index = hull_index(cost, quality)
    return cost[index], quality[index]


def at(curve: Curve, budget: Array) -> Array:
    """The quality of a frontier at each mean cost, flat to the right; below its cheapest point the line goes on
    flat too, so ask only from there."""
    import numpy as np

    result: Array = np.interp(budget, curve[0], curve[1])
    return result


def zero_router(train: Curve, test: Curve) -> Curve:
    """The prompt-blind mixtures: mean cost and quality of each expert on train choose the hull, test scores it.

    The points come in the order of their train cost; on test they need be neither rising nor convex."""
    chosen = hull_index(*train)
    return test[0][chosen], test[1][chosen]


def zero_at(train: Curve, test: Curve, budget: Array) -> Array:
    """The zero router's test quality at each mean test cost: neighbouring hull experts mixed by the budget."""
    import numpy as np

    cost, quality = zero_router(train, test)
    order = np.argsort(cost, kind="stable")
    result: Array = np.interp(budget, cost[order], quality[order])
    return result


def oracle(quality: Array, cost: Array) -> NDArray[np.int64]:
    """The best expert of each prompt in hindsight, the cheapest on ties: shape (N,)."""
    import numpy as np

    best = quality >= quality.max(axis=1, keepdims=True)
    choice: NDArray[np.int64] = np.where(best, cost, np.inf).argmin(axis=1)
    return choice


def budget_oracle(quality: Array, cost: Array, budget: float) -> NDArray[np.int64]:
    """The choices argmax(q - lambda c) with the least lambda whose mean cost keeps to `budget` (found by bisection).

    If even the cheapest choices cost more than `budget`, these are returned."""
    choice = oracle(quality, cost)
    if _mean_cost(cost, choice) <= budget:
        return choice
    low, high = 0.0, 1.0
    while _mean_cost(cost, _priced(quality, cost, high)) > budget and high * float(cost.max()) < 1e12:
        high *= 4.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean_cost(cost, _priced(quality, cost, middle)) > budget else (low, middle)
    return _priced(quality, cost, high)


def _priced(quality: Array, cost: Array, price: float) -> NDArray[np.int64]:
    return oracle(quality - price * cost, cost)


def _mean_cost(cost: Array, choice: NDArray[np.int64]) -> float:
    return float(taken(cost, choice).mean())


def taken(values: Array, choice: NDArray[np.int64]) -> Array:
    """The value of the chosen expert of each prompt, shape (N,)."""
    import numpy as np

    result: Array = np.take_along_axis(values, choice[:, None], axis=1)[:, 0]
    return result


def aiq(curve: Curve, low: float, high: float) -> float:
    """RouterBench's average improvement in quality by the paper: the mean height of the frontier over the same
    costs [low, high] for every router, flat to the right of its last point."""
    return _area(curve, low, high) / (high - low)


def aiq_repository(curve: Curve) -> float:
    """What RouterBench's repository computes instead: from the router's own least cost, divided by its greatest."""
    return _area(curve, float(curve[0][0]), float(curve[0][-1])) / float(curve[0][-1])


def _area(curve: Curve, low: float, high: float) -> float:
    import numpy as np

    inside = curve[0][(curve[0] > low) & (curve[0] < high)]
    grid = np.concatenate([[low], inside, [high]])
    return float(np.trapezoid(at(curve, grid), grid))


def deferral_area(curve: Curve, dearest: float) -> float:
    """UniRoute's area under quality against cost, cost scaled so that the dearest expert is 1; 0 below the
    frontier's cheapest point."""
    return _area(curve, float(curve[0][0]), dearest) / dearest


def qnc(curve: Curve, best_quality: float, best_cost: float) -> float:
    """UniRoute's quality-neutral cost: the least cost, relative to the best single expert's, that reaches its
    quality. Infinite if the frontier never does."""
    import numpy as np

    cost, quality = curve
    if quality.max() < best_quality:
        return float("inf")
    return float(np.interp(best_quality, quality, cost)) / best_cost


def performance_gain(quality: Array, best_quality: float) -> float:
    """LLMRouterBench's PerfGain: how far the best point of a sweep is above the best single expert, relatively."""
    return (float(quality.max()) - best_quality) / best_quality


def cost_saving(cost: Array, quality: Array, best_quality: float, best_cost: float) -> float:
    """LLMRouterBench's CostSave: 1 - least cost at no less than the best single's quality. -inf if never reached."""
    reached = cost[quality >= best_quality]
    return 1.0 - float(reached.min()) / best_cost if reached.size else -float("inf")


def pareto_distance(points: Curve, joint: Curve) -> float:
    """LLMRouterBench's ParetoDist: the mean Euclidean distance of a router's points to the joint frontier of all
    routers and experts, both axes scaled to [0, 1] over that frontier's and the points' range."""
    import numpy as np

    low = [min(p.min(), j.min()) for p, j in zip(points, joint, strict=True)]
    span = [max(p.max(), j.max()) - lo or 1.0 for p, j, lo in zip(points, joint, low, strict=True)]
    own = np.stack([(p - lo) / s for p, lo, s in zip(points, low, span, strict=True)], axis=1)
    ends = np.stack([(j - lo) / s for j, lo, s in zip(joint, low, span, strict=True)], axis=1)
    return float(_to_segments(own, ends).mean())


def _to_segments(points: Array, ends: Array) -> Array:
    """The distance of each point, shape (P, 2), to the polyline through `ends`, shape (E, 2)."""
    import numpy as np

    if len(ends) == 1:
        return np.asarray(np.linalg.norm(points - ends[0], axis=1))
    start, along = ends[:-1], np.diff(ends, axis=0)
    length = np.maximum((along**2).sum(axis=1), 1e-30)
    share = np.clip(((points[:, None] - start) * along).sum(axis=2) / length, 0.0, 1.0)
    nearest = start + share[:, :, None] * along
    return np.asarray(np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1))

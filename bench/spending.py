"""How spend kept to its budget over time: utilisation, worst prefix, and regret against a feasible oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def utilisation(cost: Array, budget: float) -> float:
    """Mean realised cost over the budget a request: 1 is all spent, above 1 is an overspend."""
    return float(cost.mean()) / budget


def worst_prefix(cost: Array, budget: float, start: int = 1) -> float:
    """The greatest overspend of any prefix of at least `start` requests: max over t of sum(cost[:t]) / (t budget)."""
    return float(_prefixes(cost, budget)[start - 1 :].max())


def first_breach(cost: Array, budget: float, start: int = 1) -> int | None:
    """The number of requests after which the spend first exceeds its budget; `None` if it never does."""
    over = _prefixes(cost, budget)[start - 1 :] > 1.0
    return int(over.argmax()) + start if over.any() else None


def _prefixes(cost: Array, budget: float) -> Array:
    import numpy as np

    result: Array = np.cumsum(cost) / (np.arange(1, len(cost) + 1) * budget)
    return result


def regret(best: Array, taken: Array) -> float:
    """The summed quality that the oracle's choices have above the policy's, in order of arrival."""
    return float((best - taken).sum())

"""Whether estimates mean what they say: the expected calibration error, and the three parts of the Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BINS = 15


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal-mass bins of estimates: their sizes, mean estimates and mean outcomes, shapes (B,)."""

    size: Array
    predicted: Array
    observed: Array


@dataclass(frozen=True, slots=True)
class Brier:
    """score = reliability - resolution + uncertainty (+ what varies within a bin)."""

    score: float
    reliability: float
    resolution: float
    uncertainty: float


def bins(predicted: Array, observed: Array, count: int = BINS) -> Bins:
    """Sorted by estimate and cut into `count` bins of equal size, but never inside a run of equal estimates."""
    import numpy as np

    order = np.argsort(predicted, kind="stable")
    values, outcomes = predicted[order], observed[order]
    edges = np.rint(np.linspace(0, len(values), count + 1)).astype(int)[1:-1]
    starts = sorted({0, *(int(np.searchsorted(values, values[edge])) for edge in edges if edge < len(values))})
    size = np.diff([*starts, len(values)]).astype(np.float64)
    return Bins(size, np.add.reduceat(values, starts) / size, np.add.reduceat(outcomes, starts) / size)


def ece(predicted: Array, observed: Array, count: int = BINS) -> float:
    """The expected calibration error: the mean |estimate - outcome| over equal-mass bins, weighted by their size.

    It takes gaps as well: estimates and outcomes in [-1, 1]."""
    import numpy as np

    parts = bins(predicted, observed, count)
    return float(np.average(np.abs(parts.predicted - parts.observed), weights=parts.size))


def brier(predicted: Array, observed: Array, count: int = BINS) -> Brier:
    """The mean squared error and Murphy's decomposition of it over equal-mass bins."""
    import numpy as np

    parts, base = bins(predicted, observed, count), float(observed.mean())
    return Brier(
        score=float(np.mean((predicted - observed) ** 2)),
        reliability=float(np.average((parts.predicted - parts.observed) ** 2, weights=parts.size)),
        resolution=float(np.average((parts.observed - base) ** 2, weights=parts.size)),
        uncertainty=float(np.mean((observed - base) ** 2)),
    )

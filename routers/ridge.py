"""Ridge regression of many columns at once, with gaps; each column's penalty has the least leave-one-out error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6)
FEWEST = 8
"""Columns with fewer numbers than this are not fitted: their mean is all that can be said."""


@dataclass(frozen=True)
class Fit:
    """Coefficients (F, M), leave-one-out predictions (N, M) and the penalty of each column (M,)."""

    coefficients: Matrix
    left_out: Matrix
    penalty: Vector


def ridge(x: NDArray[np.float32], y: Matrix, penalties: tuple[float, ...] = PENALTIES) -> Fit:
    """Regresses each column of `y` (N, M), NaN where unknown, on `x` (N, F), whose column 0 is the intercept."""
    import numpy as np

    coefficients, left_out = np.zeros((x.shape[1], y.shape[1])), np.full(y.shape, np.nan)
    penalty = np.full(y.shape[1], penalties[-1])
    for rows, columns in same_gaps(y):
        part = y[np.ix_(rows, columns)]
        if len(rows) < FEWEST:
            mean = part.mean(0) if len(rows) else np.zeros(len(columns))
            coefficients[0, columns] = mean
            left_out[np.ix_(rows, columns)] = mean
            continue
        fit = _solve(x[rows].astype(np.float64), part, penalties)
        coefficients[:, columns], penalty[columns] = fit.coefficients, fit.penalty
        left_out[np.ix_(rows, columns)] = fit.left_out
    return Fit(coefficients, left_out, penalty)


def same_gaps(y: Matrix) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Groups of columns that are known at the same rows: (rows, columns)."""
    import numpy as np

    known = np.isfinite(y)
    groups: dict[bytes, list[int]] = {}
    for column in range(y.shape[1]):
        groups.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield np.flatnonzero(known[:, columns[0]]), np.array(columns)


def _solve(x: Matrix, y: Matrix, penalties: tuple[float, ...]) -> Fit:
    import numpy as np

    centre, level = x[:, 1:].mean(0), y.mean(0)
    inner = x[:, 1:] - centre
    values, axes = np.linalg.eigh(inner.T @ inner)
    values, turned = np.maximum(values, 0.0), inner @ axes
    against, squares = turned.T @ (y - level), turned**2
    best, penalty = np.full(y.shape[1], np.inf), np.full(y.shape[1], penalties[0])
    left_out = np.empty_like(y)
    for candidate in penalties:
        inverse = 1.0 / (values + candidate)
        guess = level + turned @ (inverse[:, None] * against)
        own = np.minimum(squares @ inverse + 1.0 / len(x), 0.999)
        error = (y - guess) / (1.0 - own)[:, None]
        better = np.flatnonzero((loss := (error**2).mean(0)) < best)
        best[better], penalty[better] = loss[better], candidate
        left_out[:, better] = (y - error)[:, better]
    slopes = axes @ (against / (values[:, None] + penalty))
    return Fit(np.vstack([level - centre @ slopes, slopes]), left_out, penalty)

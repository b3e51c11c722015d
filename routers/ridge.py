"""Ridge regression of many columns at once, with gaps; the penalty is chosen by exact leave-one-out errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.inputs import Inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FEWEST = 8
"""Columns with fewer numbers than this are not fitted: their mean is all that can be said."""
FARTHEST = 4.0
"""Standard deviations at which lexical features are cut, so that no odd prompt is extrapolated to."""


@dataclass(frozen=True)
class Basis:
    """Prompts to rows of features (N, F): 1, then lexical features and vectors, each of mean 0 and variance 1."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, inputs: Inputs) -> Basis:
        import numpy as np

        raw = np.hstack([inputs.lexical, inputs.vectors])
        deviation = raw.std(0)
        # A vector's components are scaled alike: their spread is part of what the encoder says.
        words = inputs.lexical.shape[1]
        deviation[words:] = np.sqrt(np.mean(deviation[words:] ** 2))
        return cls(raw.mean(0), (1.0 / np.maximum(deviation, 1e-3)).astype(np.float32))

    def rows(self, inputs: Inputs) -> NDArray[np.float32]:
        import numpy as np

        words = inputs.lexical.shape[1]
        features = np.empty((len(inputs), 1 + len(self.mean)), np.float32)
        features[:, 0] = 1.0
        features[:, 1 : 1 + words] = inputs.lexical
        features[:, 1 + words :] = inputs.vectors
        features[:, 1:] -= self.mean
        features[:, 1:] *= self.scale
        lexical = features[:, 1 : 1 + words]
        np.clip(lexical, -FARTHEST, FARTHEST, out=lexical)
        return features


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
    """One penalty for all columns: that of the least squared leave-one-out error."""
    import numpy as np

    centre, level = x[:, 1:].mean(0), y.mean(0)
    inner = x[:, 1:] - centre
    values, axes = np.linalg.eigh(inner.T @ inner)
    turned = inner @ axes
    against = turned.T @ (y - level)
    best, best_error = penalties[0], np.inf
    left_out = np.empty_like(y)
    for penalty in penalties:
        inverse = 1.0 / (np.maximum(values, 0.0) + penalty)
        guess = level + turned @ (inverse[:, None] * against)
        own = (turned**2) @ inverse + 1.0 / len(x)
        candidate = y - (y - guess) / np.maximum(1.0 - own, 1e-3)[:, None]
        error = float(np.mean((y - candidate) ** 2))
        if error < best_error:
            best, best_error, left_out = penalty, error, candidate
    slopes = axes @ (against / (np.maximum(values, 0.0) + best)[:, None])
    intercept = level - centre @ slopes
    return Fit(np.vstack([intercept, slopes]), left_out, np.full(y.shape[1], best))

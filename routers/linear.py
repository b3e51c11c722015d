"""Quality by ridge regression, apart for how hard a prompt is for all and for how experts differ on it.

Routing uses only the differences, and they are far fainter than the difficulty. One penalty for both, or for each
expert, lets noise decide; so differences are regressed along their main directions, each with a penalty of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.blind import shrunk
from routers.features import Features
from routers.inputs import Inputs
from routers.ridge import ridge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

SKETCH = 24
"""Directions in which the doubt is measured instead of all: within about 30 % of the exact leverage."""


@dataclass(frozen=True)
class Linear:
    """`coefficients` (F, M); `doubt` (F, SKETCH) turns features into the root of their leverage; `noise` (M,) is
    the standard deviation of leave-one-out errors."""

    features: Features
    coefficients: NDArray[np.float32]
    doubt: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def fit(cls, inputs: Inputs, score: NDArray[np.float64], domains: Sequence[str] = ()) -> Linear:
        import numpy as np

        features = Features.of(inputs)
        rows = features.rows(inputs)
        level, gaps, mean = level_and_gaps(score)
        _, _, directions = np.linalg.svd(gaps, full_matrices=False)
        fit = ridge(rows, np.hstack([level, gaps @ directions.T]))
        coefficients = fit.coefficients[:, :1] + fit.coefficients[:, 1:] @ directions
        coefficients[0] += mean
        error = score - (fit.left_out[:, :1] + fit.left_out[:, 1:] @ directions + mean)
        noise = np.sqrt(np.nan_to_num(np.nanmean(error**2, axis=0), nan=0.25))
        return cls(features, coefficients.astype(np.float32), _doubt(rows, fit.penalty[0]), noise.astype(np.float32))

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        rows = self.features.rows(inputs)
        leverage = np.sqrt(((rows @ self.doubt) ** 2).sum(1, keepdims=True))
        return rows @ self.coefficients, leverage * self.noise


def level_and_gaps(
    score: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How easy each prompt was (N, 1), how each expert differed from that and from its own mean difference (N, M; 0
    where it was not asked), and that mean difference (M,). They add up to the score."""
    import numpy as np

    known = np.isfinite(score)
    mean = shrunk(score)[0]
    count = np.maximum(known.sum(1, keepdims=True), 1)
    # Against the experts' means, so that who was asked does not make a prompt look easy.
    level = mean.mean() + np.where(known, score - mean, 0.0).sum(1, keepdims=True) / count
    difference = mean - mean.mean()
    return level, np.where(known, score - level - difference, 0.0), difference


def _doubt(rows: Matrix, penalty: float) -> Matrix:
    """A random sketch of (X'X + penalty)^(-1/2): leverage needs F x SKETCH products a prompt, not F x F."""
    import numpy as np

    values, axes = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    directions = np.random.default_rng(0).normal(size=(rows.shape[1], SKETCH)) / SKETCH**0.5
    found: Matrix = (axes @ (directions / np.sqrt(np.maximum(values, 0.0) + penalty)[:, None])).astype(np.float32)
    return found

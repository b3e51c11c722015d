"""Predicts what an answer will cost and how long it takes: ridge regression on the logarithm of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.blind import quantile
from routers.features import Features
from routers.inputs import Inputs
from routers.outcomes import Outcomes
from routers.prior import SECONDS
from routers.ridge import ridge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

LEAST_SECONDS, MOST_SECONDS = 1e-4, 1e5
MOST = 42.0
"""The logarithm of the greatest cost told: above a billion dollars."""


@dataclass(frozen=True)
class Costs:
    """`coefficients` (F, 2M) tell log(1 + nano-dollars), then log seconds; `high` (M,) is the 95th percentile of
    the leave-one-out error of the first, `low` and `top` (2M,) bound what was ever seen, with a margin."""

    features: Features
    coefficients: NDArray[np.float32]
    high: NDArray[np.float32]
    low: NDArray[np.float32]
    top: NDArray[np.float32]

    @classmethod
    def fit(cls, inputs: Inputs, outcomes: Outcomes, features: Features | None = None) -> Costs:
        import numpy as np

        features = features or Features.of(inputs)
        seconds = np.clip(outcomes.seconds, LEAST_SECONDS, MOST_SECONDS)
        target = np.hstack([np.log1p(np.maximum(outcomes.cost, 0.0)), np.log(seconds)])
        fit = ridge(features.rows(inputs), target)
        experts = len(outcomes.experts)
        unknown = ~np.isfinite(target).any(0)
        fit.coefficients[0, experts:][unknown[experts:]] = np.log(SECONDS)
        error = (target - fit.left_out)[:, :experts]
        known = np.where(np.isfinite(target), target, fit.coefficients[0])
        return cls(
            features,
            fit.coefficients.astype(np.float32),
            np.array([max(quantile(column, 0.95, 0.0), 0.0) for column in error.T], np.float32),
            (known.min(0) - 1.0).astype(np.float32),
            (known.max(0) + 3.0).astype(np.float32),
        )

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix, Matrix]:
        """Median and 95th percentile of the cost in nano-dollars, and median seconds: each of shape (N, M)."""
        import numpy as np

        logs = (self.features.rows(inputs) @ self.coefficients).clip(self.low, self.top)
        experts = len(self.high)
        cost = logs[:, :experts].astype(np.float64)
        high = np.minimum(cost + self.high, MOST)
        return np.expm1(np.clip(cost, 0.0, MOST)), np.expm1(np.maximum(high, 0.0)), np.exp(logs[:, experts:])

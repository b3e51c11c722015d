"""Quality by matrix factorization: few traits a prompt has and an expert is good or bad at (EmbedLLM).

The table of differences between experts, with its holes, is factorized by alternating least squares; a ridge
regression then tells the traits of a new prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.features import Features
from routers.inputs import Inputs
from routers.linear import level_and_gaps
from routers.ridge import ridge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Table = NDArray[np.float64]

TURNS = 10


@dataclass(frozen=True)
class Factors:
    """`coefficients` (F, M) are the product of the regression of traits and the experts' traits; `noise` (M,)."""

    features: Features
    coefficients: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        score: NDArray[np.float64],
        domains: Sequence[str] = (),
        rank: int = 4,
        penalty: float = 2.0,
    ) -> Factors:
        import numpy as np

        features = Features.of(inputs)
        level, gaps, mean = level_and_gaps(score)
        prompts, experts = factorize(gaps, np.isfinite(score), min(rank, score.shape[1]), penalty)
        fit = ridge(features.rows(inputs), np.hstack([level, prompts]))
        coefficients = fit.coefficients[:, :1] + fit.coefficients[:, 1:] @ experts.T
        coefficients[0] += mean
        error = score - (fit.left_out[:, :1] + fit.left_out[:, 1:] @ experts.T + mean)
        count = np.maximum(np.isfinite(error).sum(0), 1)
        noise = np.sqrt(np.nansum(error**2, axis=0) / count) / np.sqrt(count)
        return cls(features, coefficients.astype(np.float32), noise.astype(np.float32))

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        quality = self.features.rows(inputs) @ self.coefficients
        return quality, np.broadcast_to(self.noise, quality.shape)


def factorize(table: Table, known: NDArray[np.bool_], rank: int, penalty: float) -> tuple[Table, Table]:
    """Factors (N, rank) and (M, rank) whose product fits `table` where it is known."""
    import numpy as np

    filled = np.where(known, table, 0.0)
    experts = np.linalg.svd(filled, full_matrices=False)[2][:rank].T
    experts = np.pad(experts, ((0, 0), (0, rank - experts.shape[1])))
    prompts = np.zeros((len(table), rank))
    for _ in range(TURNS):
        prompts = _half(filled, known, experts, penalty)
        experts = _half(filled.T, known.T, prompts, penalty)
    return prompts, experts


def _half(filled: Table, known: NDArray[np.bool_], other: Table, penalty: float) -> Table:
    """The least-squares factors of the rows, given those of the columns."""
    import numpy as np

    products = (other[:, :, None] * other[:, None, :]).reshape(len(other), -1)
    width = other.shape[1]
    inner = (known.astype(np.float64) @ products).reshape(-1, width, width) + penalty * np.eye(width)
    solved: Table = np.linalg.solve(inner, (filled @ other)[:, :, None]).astype(np.float64)
    return solved[:, :, 0]

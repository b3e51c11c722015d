"""Quality by cluster: each expert's record among prompts of the same kind (Avengers, UniRoute)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from routers.domain import means_by_part, mixed, moments
from routers.inputs import Inputs
from routers.logistic import softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

PROMPTS_EACH = 30
TURNS = 15
MOST_UNSCORED = 128
"""Clusters where they are found among more prompts than have scores."""


@dataclass(frozen=True)
class Clusters:
    """`centres` (K, D) are unit vectors; a prompt lies in each to exp(cosine / temperature). `mean` and `variance`
    (K, M): the record of M experts and the square of its standard error."""

    centres: NDArray[np.float32]
    temperature: float
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        score: NDArray[np.float64],
        domains: Sequence[str] = (),
        count: int = 64,
        temperature: float = 0.05,
    ) -> Clusters:
        import numpy as np

        kept: tuple[Matrix] | None = inputs.memo.get("centres")
        (centres,) = kept or (found(inputs.vectors, count),)
        share = softmax(inputs.vectors @ centres.T / np.float32(temperature)).astype(np.float64)
        return cls(centres, temperature, *means_by_part(share, score))

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        return mixed(softmax(inputs.vectors @ self._directions), self._moments)

    @cached_property
    def _directions(self) -> Matrix:
        import numpy as np

        return np.ascontiguousarray(self.centres.T / np.float32(self.temperature))

    @cached_property
    def _moments(self) -> Matrix:
        return moments(self.mean, self.variance)


def found(vectors: Matrix, most: int) -> Matrix:
    """The middles (K, D) of so many clusters at most, with some prompts in each."""
    return spherical_means(vectors, max(1, min(most, len(vectors) // PROMPTS_EACH)))


def learn_unscored(inputs: Inputs) -> None:
    """Finds the clusters of these prompts once: heads that are fitted on a part of them take these."""
    inputs.memo["centres"] = (found(inputs.vectors, MOST_UNSCORED),)


def spherical_means(vectors: Matrix, count: int, seed: int = 0) -> Matrix:
    """k-means by cosine: `count` unit vectors. A cluster that loses all its prompts keeps its centre."""
    import numpy as np

    random = np.random.default_rng(seed)
    centres = vectors[random.choice(len(vectors), count, replace=False)].copy()
    for _ in range(TURNS):
        nearest = (vectors @ centres.T).argmax(1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 1e-6, sums / np.maximum(length, 1e-6), centres)
    return centres

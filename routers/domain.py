"""Quality by domain: the classifier's probabilities of a prompt's domain times each expert's record in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from routers import logistic
from routers.blind import PSEUDO_COUNT
from routers.features import Features
from routers.inputs import Inputs
from routers.linear import level_and_gaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


MOST_WORTH = 2000.0
"""Prompts in a part that weigh as much as the belief that an expert has no special strength there, at most."""


@dataclass(frozen=True)
class Domains:
    """`mean` and `variance` (D, M): the record of M experts in D domains and the square of its standard error."""

    names: tuple[str, ...]
    features: Features
    coefficients: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        score: NDArray[np.float64],
        domains: Sequence[str],
        penalty: float = 20.0,
    ) -> Domains:
        import numpy as np

        names = tuple(dict.fromkeys(domains))
        place = np.array([names.index(domain) for domain in domains], np.intp)
        features = Features.of(inputs)
        coefficients = logistic.fit(features.rows(inputs), np.eye(len(names), dtype=np.float32)[place], penalty, True)
        mean, variance = means_by_part(np.eye(len(names))[place], score)
        return cls(names, features, coefficients, mean, variance)

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        return mixed(self.probabilities(inputs), self._moments)

    @cached_property
    def _moments(self) -> Matrix:
        return moments(self.mean, self.variance)

    def probabilities(self, inputs: Inputs) -> Matrix:
        """Of each domain, shape (N, D)."""
        return logistic.softmax(self.features.rows(inputs) @ self.coefficients)


def moments(mean: Matrix, variance: Matrix) -> Matrix:
    """Mean and mean square of each part, side by side: (D, 2M)."""
    import numpy as np

    return np.hstack([mean, variance + mean**2])


def mixed(share: Matrix, moments: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and deviation of a mixture of parts: the doubt within parts, and the doubt about the part."""
    import numpy as np

    both = share @ moments
    half = both.shape[1] // 2
    mean = both[:, :half]
    return mean, np.sqrt(np.maximum(both[:, half:] - mean * mean, 0.0))


def means_by_part(share: NDArray[np.float64], score: NDArray[np.float64]) -> tuple[Matrix, Matrix]:
    """Mean score of each expert in each part (D, M) and the square of its standard error. `share` (N, D) says how
    much of each prompt lies in each part.

    A mean is that of the expert plus how easy the part is for all, plus what the expert is good at there beyond
    that: this last, shrunk by its share of noise (empirical Bayes), the same for all experts."""
    import numpy as np

    known = np.isfinite(score)
    level, gaps, difference = level_and_gaps(score)
    easy = level.mean()
    part = easy + share.T @ (level - easy) / (share.sum(0)[:, None] + PSEUDO_COUNT)
    count = np.maximum(share.T @ known, 1e-9)
    bonus = share.T @ gaps / count
    noise = np.where(known, (gaps - share @ bonus) ** 2, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    signal = float(np.mean(np.sum(count / count.sum(0) * (bonus**2 - noise / np.maximum(count, 1.0)), axis=0)))
    worth = np.clip(noise / max(signal, 1e-5), 1.0, MOST_WORTH)
    mean = part + difference + bonus * count / (count + worth)
    variance = np.maximum(noise, 0.01) / (count + worth)
    return np.clip(mean, 0.0, 1.0).astype(np.float32), variance.astype(np.float32)

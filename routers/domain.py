"""Quality by domain: the classifier's probabilities of a prompt's domain times each expert's record in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers import logistic
from routers.blind import shrunk
from routers.inputs import Inputs
from routers.prior import STD
from routers.ridge import Basis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Domains:
    """`mean` and `variance` (D, M): the record of M experts in D domains and the square of its standard error."""

    names: tuple[str, ...]
    basis: Basis
    coefficients: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        score: NDArray[np.float64],
        domains: Sequence[str],
        shrinkage: float = 8.0,
        penalty: float = 20.0,
    ) -> Domains:
        """`shrinkage`: how many prompts of a domain weigh as much as the expert's record in all domains."""
        import numpy as np

        names = tuple(dict.fromkeys(domains))
        place = np.array([names.index(domain) for domain in domains], np.intp)
        basis = Basis.fit(inputs)
        coefficients = logistic.fit(basis.rows(inputs), np.eye(len(names), dtype=np.float32)[place], penalty, True)
        mean, variance = means_by_part(np.eye(len(names))[place], score, shrinkage)
        return cls(names, basis, coefficients, mean, variance)

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        share = self.probabilities(inputs)
        quality = share @ self.mean
        # The doubt within domains, and the doubt about the domain.
        spread = np.maximum(share @ (self.variance + self.mean**2) - quality**2, 0.0)
        return quality, np.sqrt(spread)

    def probabilities(self, inputs: Inputs) -> Matrix:
        """Of each domain, shape (N, D)."""
        return logistic.softmax(self.basis.rows(inputs) @ self.coefficients)


def means_by_part(share: NDArray[np.float64], score: NDArray[np.float64], shrinkage: float) -> tuple[Matrix, Matrix]:
    """Mean score of each expert in each part (D, M), pulled to its overall mean, and the square of its standard
    error. `share` (N, D) says how much of each prompt lies in each part."""
    import numpy as np

    known = np.isfinite(score)
    overall = shrunk(score)[0]
    filled = np.where(known, score, 0.0)
    count = share.T @ known
    mean = (share.T @ filled + shrinkage * overall) / (count + shrinkage)
    square = (share.T @ filled**2 + shrinkage * (overall**2 + STD**2)) / (count + shrinkage)
    variance = np.maximum(square - mean**2, 0.01) / (count + shrinkage)
    return mean.astype(np.float32), variance.astype(np.float32)

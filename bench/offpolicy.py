"""What another policy would have earned, estimated from logged choices and the chances with which they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CLIP = 20.0
LEAST_ESS = 100.0
"""Below this effective sample size no verdict is given."""


@dataclass(frozen=True, slots=True)
class Log:
    """n logged choices: the chance the new policy gives the choice, the chance it was made with, what it earned."""

    target: Array
    logged: Array
    reward: Array


@dataclass(frozen=True, slots=True)
class Value:
    """Estimates of the new policy's mean reward; `trusted` if enough of the log speaks about it."""

    ips: float
    snips: float
    ess: float
    n: int

    @property
    def trusted(self) -> bool:
        return self.ess >= LEAST_ESS


def weights(log: Log, clip: float = CLIP) -> Array:
    """target / logged, clipped; a logged chance of 0 is a broken log. Raises ValueError."""
    import numpy as np

    if not (log.logged > 0.0).all():
        raise ValueError("a logged choice has no chance: decisions must be logged with their probability")
    return np.minimum(log.target / log.logged, clip)


def value(log: Log, clip: float = CLIP) -> Value:
    """Inverse propensity scoring, its self-normalised form, and the effective sample size (sum w)^2 / sum w^2."""
    weight = weights(log, clip)
    total, earned = float(weight.sum()), float((weight * log.reward).sum())
    ess = total * total / float((weight * weight).sum()) if total else 0.0
    return Value(earned / len(weight), earned / total if total else float("nan"), ess, len(weight))


def doubly_robust(log: Log, predicted: Array, expected: Array, clip: float = CLIP) -> float:
    """The mean of `expected` + w (reward - predicted): `predicted` is the model's reward of the logged choice,
    `expected` its mean reward under the new policy, shapes (n,)."""
    return float(doubly_robust_terms(log, predicted, expected, clip).mean())


def doubly_robust_terms(log: Log, predicted: Array, expected: Array, clip: float = CLIP) -> Array:
    """The terms whose mean is the doubly robust estimate, shape (n,): bootstrap these for an interval."""
    return expected + weights(log, clip) * (log.reward - predicted)

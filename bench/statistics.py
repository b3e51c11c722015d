"""Says how sure a measured number is: a paired bootstrap over duplicate groups, and the Wilson interval of a share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPETITIONS = 1000
LEVEL = 0.95
BLOCK = 64
"""Resamples that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval of 95 % and the number of prompts behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def gain(self) -> bool:
        """Whether the claim "above 0" is allowed: the whole interval is."""
        return self.low > 0.0

    @property
    def loss(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0.0

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def group_sums(values: NDArray[np.float64], groups: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of `values`, shape (N, K), within each group, shape (G, K), and the groups' sizes, shape (G,)."""
    import numpy as np

    numbers = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    member = np.fromiter((numbers[name] for name in groups), dtype=np.int64, count=len(groups))
    sizes = np.bincount(member, minlength=len(numbers))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums: NDArray[np.float64] = np.add.reduceat(values[np.argsort(member, kind="stable")], starts, axis=0)
    return sums, sizes.astype(np.float64)


def resampled_means(
    values: NDArray[np.float64], groups: Sequence[str], seed: int = 0, repetitions: int = REPETITIONS
) -> NDArray[np.float64]:
    """Means of the K columns of `values`, shape (N, K), in each resample of whole groups: shape (repetitions, K).

    All columns see the same resamples, so differences of columns are paired."""
    import numpy as np

    sums, sizes = group_sums(values, groups)
    blocks = [(weights @ sums) / (weights @ sizes)[:, None] for weights in _weights(len(sizes), seed, repetitions)]
    return np.concatenate(blocks)


def _weights(count: int, seed: int, repetitions: int) -> Iterator[NDArray[np.float64]]:
    """How often each of `count` groups is drawn, a block of resamples at a time."""
    import numpy as np

    random = np.random.default_rng(seed)
    for start in range(0, repetitions, BLOCK):
        draws = random.integers(count, size=(min(BLOCK, repetitions - start), count))
        yield np.stack([np.bincount(draw, minlength=count) for draw in draws]).astype(np.float64)


def mean(values: NDArray[np.float64], groups: Sequence[str], seed: int = 0) -> Interval:
    """The mean of `values`, shape (N,), with its interval."""
    return statistic(values[:, None], groups, lambda means: means[:, 0], seed)


def difference(
    values: NDArray[np.float64], baseline: NDArray[np.float64], groups: Sequence[str], seed: int = 0
) -> Interval:
    """The mean of `values` minus `baseline`, prompt by prompt, shapes (N,), with its interval."""
    return mean(values - baseline, groups, seed)


def statistic(
    values: NDArray[np.float64],
    groups: Sequence[str],
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    seed: int = 0,
) -> Interval:
    """A function of column means: `function` takes means, shape (R, K), and gives R numbers."""
    value = float(function(values.mean(axis=0, keepdims=True))[0])
    low, high = percentiles(function(resampled_means(values, groups, seed)))
    return Interval(value, low, high, len(values))


def percentiles(replicates: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """The two ends of the percentile interval of resampled values."""
    import numpy as np

    low, high = np.quantile(replicates, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def wilson(successes: float, n: int, z: float = 1.959964) -> Interval:
    """A share with its Wilson interval; ties may count as half a success. Without trials it is [0, 1]."""
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, 0)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), n)

"""Makes estimates mean what they say: isotonic maps from what was predicted of unseen prompts to what they scored.

One map for all experts, and one for each that is pulled to it: a map of its own for every expert would move their
differences by noise, and routing lives on the differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Table = NDArray[np.float64]

BINS, BINS_ALL = 15, 30
WORTH = 20_000.0
"""Prompts of an expert that weigh as much as the belief that its map is that of all."""
LEAST = 60
"""Predictions with fewer outcomes than this are left as they are."""
STEPS = 64


@dataclass(frozen=True)
class Calibrated:
    """`maps` (STEPS + 1, M): what a prediction of 0, 1 / STEPS... 1 means for each expert; straight between."""

    maps: NDArray[np.float32]

    @classmethod
    def fit(cls, predicted: Table, score: Table) -> Calibrated:
        """Both of shape (N, M); `predicted` without having seen the prompts, `score` NaN where it is unknown."""
        import numpy as np

        grid = np.linspace(0.0, 1.0, STEPS + 1)
        known, columns = np.isfinite(score), range(score.shape[1])
        shared = isotonic(predicted[known], score[known], grid, BINS_ALL)
        maps = [shared] * score.shape[1]
        for j in columns:
            rows = np.flatnonzero(known[:, j])
            if len(rows) >= LEAST:
                own = isotonic(predicted[rows, j], score[rows, j], grid, BINS)
                maps[j] = shared + len(rows) / (len(rows) + WORTH) * (own - shared)
        return cls(np.array(maps, np.float32).T.copy())

    def __call__(self, quality: Matrix) -> Matrix:
        """Shape (N, M)."""
        import numpy as np

        place = np.minimum(np.maximum(quality, 0.0), 1.0) * np.float32(STEPS)
        left = place.astype(np.intp)
        flat = left * self.maps.shape[1] + self._columns
        found: Matrix = self._starts.take(flat) + (place - left) * self._rises.take(flat)
        return found

    @cached_property
    def _columns(self) -> NDArray[np.intp]:
        import numpy as np

        return np.arange(self.maps.shape[1])

    @cached_property
    def _starts(self) -> Matrix:
        return self.maps.ravel()

    @cached_property
    def _rises(self) -> Matrix:
        import numpy as np

        return np.diff(self.maps, axis=0, append=self.maps[-1:]).ravel()


def isotonic(x: Table, y: Table, at: Table, count: int) -> Table:
    """The rising line through the means of `count` bins of equal size, at the points `at`; `at` if there is little."""
    import numpy as np

    if len(x) < LEAST:
        return at
    order = np.argsort(x, kind="stable")
    edges = np.rint(np.linspace(0, len(x), count + 1)).astype(int)[:-1]
    size = np.diff([*edges.tolist(), len(x)]).astype(np.float64)
    middle, height = (np.add.reduceat(values[order], edges) / size for values in (x, y))
    return np.interp(at, middle, rising(height, size))


def rising(height: Table, weight: Table) -> Table:
    """The nearest non-decreasing sequence, by pooling adjacent violators."""
    import numpy as np

    pools: list[list[float]] = []  # mean, weight, how many
    for mean, heavy in zip(height.tolist(), weight.tolist(), strict=True):
        pools.append([mean, heavy, 1.0])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            last, before = pools.pop(), pools.pop()
            both = before[1] + last[1]
            pools.append([(before[0] * before[1] + last[0] * last[1]) / both, both, before[2] + last[2]])
    return np.repeat([pool[0] for pool in pools], [int(pool[2]) for pool in pools])

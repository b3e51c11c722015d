"""What is known of each expert on average, without looking at the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from routers.outcomes import Outcomes
from routers.prior import QUALITY, SECONDS, STD, Usual

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PSEUDO_COUNT = 4.0
"""Prompts' worth of belief that an expert is like the others."""


@dataclass(frozen=True)
class Blind:
    """Arrays of shape (M,): mean score with its standard error, median and 95th percentile of the cost
    (nano-dollars), median seconds."""

    quality: NDArray[np.float64]
    std: NDArray[np.float64]
    cost: NDArray[np.float64]
    cost_high: NDArray[np.float64]
    latency: NDArray[np.float64]

    @classmethod
    def fit(cls, outcomes: Outcomes) -> Blind:
        import numpy as np

        quality, std = shrunk(outcomes.score)
        return cls(
            quality,
            std,
            np.array([quantile(column, 0.5, 0.0) for column in outcomes.cost.T]),
            np.array([quantile(column, 0.95, 0.0) for column in outcomes.cost.T]),
            np.array([quantile(column, 0.5, SECONDS) for column in outcomes.seconds.T]),
        )

    @cached_property
    def usual(self) -> Usual:
        if not len(self.quality):
            return QUALITY, SECONDS
        return float(self.quality.mean()), float(self.latency.mean())

    def rows(self, experts: Sequence[str]) -> dict[str, tuple[float, float, int, int, float, float]]:
        """What an Estimate holds after the name, for each of the M experts."""
        return {
            name: (
                float(self.quality[i]),
                float(self.std[i]),
                int(self.cost[i]),
                max(int(self.cost[i]), int(self.cost_high[i])),
                float(self.latency[i]),
                float(self.quality[i]),
            )
            for i, name in enumerate(experts)
        }


def quantile(column: NDArray[np.float64], q: float, otherwise: float) -> float:
    """Of the numbers in `column`; `otherwise` if it holds none."""
    import numpy as np

    known = column[np.isfinite(column)]
    return float(np.quantile(known, q)) if len(known) else otherwise


def shrunk(score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each column, pulled to the mean of all by PSEUDO_COUNT prompts, and its standard error."""
    import numpy as np

    known = np.isfinite(score)
    count, total = known.sum(0), np.where(known, score, 0.0).sum(0)
    overall = total.sum() / count.sum() if count.sum() else QUALITY
    mean = (total + PSEUDO_COUNT * overall) / (count + PSEUDO_COUNT)
    deviation = np.where(known, (score - mean) ** 2, 0.0).sum(0)
    variance = (deviation + PSEUDO_COUNT * STD**2) / (count + PSEUDO_COUNT)
    return np.clip(mean, 0.0, 1.0), np.sqrt(variance / (count + PSEUDO_COUNT))

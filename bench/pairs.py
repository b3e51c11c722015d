"""The metrics of a weak and a strong expert, as RouteLLM defines them, and how evenly a router uses its experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

THRESHOLDS = 10


def quality_by_share(score: Array, weak: Array, strong: Array) -> Array:
    """Mean quality when the k prompts with the highest score go to the strong expert, k = 0..N: shape (N + 1,).

    `score` says how much the strong expert is needed; prompts with equal scores go in their order."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    gained = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    curve: Array = (weak.sum() + gained) / len(weak)
    return curve


def apgr(score: Array, weak: Array, strong: Array, thresholds: int = THRESHOLDS) -> float:
    """RouteLLM's average performance gap recovered: (area under r - W) / (S - W), trapezoid over equal-mass
    thresholds. Random is about 0.5; an oracle exceeds 1."""
    import numpy as np

    curve = quality_by_share(score, weak, strong)
    shares = np.linspace(0.0, 1.0, thresholds + 1)
    heights = curve[np.rint(shares * len(score)).astype(int)]
    area = float(np.trapezoid(heights, shares))
    return (area - float(weak.mean())) / float(strong.mean() - weak.mean())


def cpt(score: Array, weak: Array, strong: Array, share: float) -> float:
    """RouteLLM's call-performance threshold: the least share of strong calls that recovers `share` of the gap."""
    import numpy as np

    curve = np.maximum.accumulate(quality_by_share(score, weak, strong))
    goal = float(weak.mean()) + share * float(strong.mean() - weak.mean())
    return int(np.argmax(curve >= goal - 1e-12)) / len(score)


def collapse(choice: NDArray[np.int64], quality: Array, cost: Array) -> float:
    """The share of prompts sent to the expert with the highest mean cost where a cheaper one is as good."""
    import numpy as np

    dearest = int(cost.mean(axis=0).argmax())
    cheaper = cost < cost[:, [dearest]]
    as_good = (quality >= quality[:, [dearest]]) & cheaper
    return float(np.mean((choice == dearest) & as_good.any(axis=1)))


def shares(choice: NDArray[np.int64], experts: int) -> Array:
    """The share of prompts each expert gets, shape (M,)."""
    import numpy as np

    return np.bincount(choice, minlength=experts) / len(choice)


def entropy(share: Array) -> float:
    """How many experts are used in effect: the entropy of the shares in bits; 0 is one expert alone."""
    import numpy as np

    used = share[share > 0]
    return float(-(used * np.log2(used)).sum()) + 0.0

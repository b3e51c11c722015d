"""A new expert beside those that a router knows, from a few hundred probes of it alone: nobody else is refitted.

It is told as a mixture of what is told of the others, plus what it is better or worse at in each domain. So it takes
its place among them with a record that would be too short to fit any head on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from experts.base import SetupError
from routers.blind import PSEUDO_COUNT, Blind
from routers.costs import Costs
from routers.inputs import Inputs, inputs
from routers.learned import Learned
from routers.outcomes import Outcomes
from routers.ridge import ridge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

FEWEST = 20
"""Probes below which an expert does not join: its mean alone would be a guess."""


@dataclass(frozen=True)
class Joined:
    """`inner` tells M experts; `weights` (1 + M,) make the newcomer's quality of them: a constant, then how much it
    shares of each one's distance from their mean. `bonus` (D,) is what it is better at in each domain, by the
    probabilities of the head `domains`; empty without one. `noise` is the standard error."""

    inner: Any
    weights: NDArray[np.float32]
    domains: Any
    bonus: NDArray[np.float32]
    noise: float

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        quality, std = self.inner.predict(inputs)
        level = quality.mean(1, keepdims=True)
        mine = level + self.weights[0] + (quality - level) @ self.weights[1:, None]
        if self.domains is not None:
            mine = mine + self.domains.probabilities(inputs) @ self.bonus[:, None]
        doubt = np.sqrt((std**2).mean(1, keepdims=True) + self.noise**2)
        return np.hstack([quality, mine]), np.hstack([std, doubt])


def join(router: Learned, probes: Outcomes, vectors: Matrix) -> Learned:
    """The router with the one expert of `probes` added, whose prompts have these `vectors`. Raises SetupError."""
    if len(probes.experts) != 1 or len(probes) < FEWEST:
        raise SetupError(f"a new expert joins from {FEWEST} probes of its own or more; here are {len(probes)}")
    name, seen = probes.experts[0], inputs(probes.prompts, vectors, probes.groups)
    if name in router.experts:
        raise SetupError(f"the router knows {name} already: `lyceum fit` learns it anew")
    return replace(
        router,
        experts=(*router.experts, name),
        quality=_joined(router.quality, seen, probes.score[:, 0]),
        costs=_costs(router.costs, Costs.fit(seen, probes, router.costs.features)),
        blind=_side_by_side(router.blind, Blind.fit(probes)),
    )


def _joined(inner: Any, seen: Inputs, score: NDArray[np.float64]) -> Joined:
    import numpy as np

    quality, std = inner.predict(seen)
    level = quality.mean(1, keepdims=True)
    ones = np.ones((len(quality), 1))
    fit = ridge(np.hstack([ones, quality - level]).astype(np.float32), (score - level[:, 0])[:, None], PENALTIES)
    error = score - level[:, 0] - fit.left_out[:, 0]
    domains = next((head for head in getattr(inner, "heads", ()) if hasattr(head, "probabilities")), None)
    bonus = np.zeros(0) if domains is None else _bonus(domains.probabilities(seen), error)
    noise = float(np.nanstd(error) / max(np.isfinite(error).sum(), 1) ** 0.5)
    return Joined(inner, fit.coefficients[:, 0].astype(np.float32), domains, bonus.astype(np.float32), noise)


def _bonus(share: Matrix, error: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean error in each domain, pulled to 0 by PSEUDO_COUNT prompts."""
    import numpy as np

    known = np.isfinite(error)
    total: NDArray[np.float64] = share[known].T @ error[known] / (share[known].sum(0) + PSEUDO_COUNT)
    return total


PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4)
"""Estimates differ by hundredths, so these are small beside those of whole features."""


def _costs(known: Costs, added: Costs) -> Costs:
    """The newcomer's columns after those of the others: costs, then seconds."""
    import numpy as np

    def both(one: Matrix, other: Matrix) -> Matrix:
        halves = (np.split(part, 2, axis=-1) for part in (one, other))
        (cost, seconds), (new_cost, new_seconds) = halves
        return np.concatenate([cost, new_cost, seconds, new_seconds], axis=-1)

    return Costs(
        known.features,
        both(known.coefficients, added.coefficients),
        np.concatenate([known.high, added.high]),
        both(known.low, added.low),
        both(known.top, added.top),
    )


def _side_by_side(known: Blind, added: Blind) -> Blind:
    import numpy as np

    parts = ("quality", "std", "cost", "cost_high", "latency")
    return Blind(*(np.concatenate([getattr(known, part), getattr(added, part)]) for part in parts))

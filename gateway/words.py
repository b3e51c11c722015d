"""Decides by a prompt's words alone where the vector would not change the decision: no encoder is asked then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING

from msgspec.structs import replace

from experts.base import Outcome, Request
from experts.catalog import Catalog
from policies.base import Ask, Policy, State
from routers.base import Estimate, Estimates, Router

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARGIN = 1.0
"""Standard errors by which the chosen expert must lead: `lyceum bench shortcuts` measures what that loses."""


@dataclass(slots=True)
class Words:
    """`router` was fitted with the same `vector` for every prompt, so it knows their words alone. A request with this
    very vector has been decided by its words."""

    router: Router
    vector: NDArray[np.float32]

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome]) -> Estimates:
        """What the words say of each expert."""
        return self.router.estimate(self.marked(request), catalog, outcomes)

    def marked(self, request: Request) -> Request:
        """The request as one that its words have decided."""
        return replace(request, embedding=self.vector)

    def meant(self, request: Request) -> bool:
        """Whether it is one."""
        return request.embedding is self.vector


def sure(policy: Policy, state: State) -> bool:
    """Whether the policy asks one expert, and would ask the same if that one were worse by its doubt and the largest
    of the others'."""
    chosen = asked(policy, state)
    if chosen is None:
        return False
    estimates = state.estimates
    others = max((each.std for name, each in estimates.items() if name != chosen), default=0.0)
    own: Estimate = estimates[chosen]
    worse = own._replace(quality=max(0.0, own.quality - MARGIN * hypot(own.std, others)))
    return asked(policy, replace(state, estimates={**estimates, chosen: worse})) == chosen


def asked(policy: Policy, state: State) -> str | None:
    """The one expert whose answer would be the last, if the policy decides so."""
    decision = policy.decide(state)
    return decision.experts[0] if isinstance(decision, Ask) and decision.last and len(decision.experts) == 1 else None

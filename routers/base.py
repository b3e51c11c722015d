"""The vocabulary of the room: what a router predicts of an expert for one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from experts.base import Outcome, Request
from experts.catalog import Catalog

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Estimate(NamedTuple):
    """What asking one expert would bring. Costs are nano-dollars; `quality` is the expected score in [0, 1]."""

    expert: str
    quality: float
    std: float
    cost: int
    cost_high: int
    """The 95th percentile of the cost; `cost` is the median."""
    latency: float
    """Median seconds to the end of the answer."""
    usual: float | None = None
    """The quality that is expected without a look at the prompt; `None`: there is no record of the expert."""


Estimates = Mapping[str, Estimate]


class Router(Protocol):
    """Predicts every expert of the catalog; pure, CPU only, total: one estimate for each name."""

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome]) -> Estimates: ...


class Encoder(Protocol):
    """Turns text into vectors."""

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions)."""
        ...

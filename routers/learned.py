"""A router that learned from an outcome table: a quality head and a cost head in one frame.

The frame is the same for every kind of head: it estimates the experts that the table knows, falls back to
prompt-blind means where there is no usable vector, and to the card where there is no record of an expert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from experts.base import Outcome, Request
from experts.catalog import Catalog
from experts.reading import look
from routers.base import Estimate, Estimates
from routers.blind import Blind
from routers.costs import Costs
from routers.fused import Fused, Told
from routers.inputs import Inputs
from routers.prior import estimate as prior_estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


ESTIMATE: Callable[[Iterable[Any]], Estimate] = partial(tuple.__new__, Estimate)
"""Makes an estimate of its fields, several times faster than by name."""
UNIT = 1e-6
"""How far a vector's square may be from 1."""


class Quality(Protocol):
    """Predicts the quality of M experts for N prompts. A frozen dataclass of arrays, plain values and such parts."""

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """Expected score and its standard error, each of shape (N, M)."""
        ...


class Head(Quality, Protocol):
    """One that learns from an outcome table."""

    @classmethod
    def fit(cls, inputs: Inputs, score: NDArray[np.float64], domains: Sequence[str]) -> Self:
        """`score` has shape (N, M), NaN where an expert was not asked. Keyword options are the head's own."""
        ...


@dataclass(frozen=True)
class Learned:
    """A fitted router. `encoder` names whose vectors it understands; `dimensions` is their length."""

    experts: tuple[str, ...]
    quality: Quality
    costs: Costs
    blind: Blind
    encoder: str
    dimensions: int

    def estimate(self, request: Request, catalog: Catalog, outcomes: Sequence[Outcome] = ()) -> Estimates:
        """One estimate for each name of the catalog."""
        length = look(request.messages).letters
        known = self._known(request, length)
        if known.keys() == catalog.keys():
            return known
        usual = self.blind.usual
        return {
            name: known[name] if name in known else prior_estimate(name, card, length, usual)
            for name, card in catalog.items()
        }

    def _known(self, request: Request, length: int) -> Estimates:
        """The estimates of the experts on record."""
        vector = self._vector(request.embedding)
        if vector is None:
            return {name: Estimate(name, *row) for name, row in self.blind.rows(self.experts).items()}
        prompt, quick = request.prompt, self._fused
        told = quick(prompt, length, vector) if quick else self.told(Inputs((prompt,), (length,), vector))
        rows = zip(self.experts, *told, self._usual, strict=True)
        return dict(zip(self.experts, map(ESTIMATE, rows), strict=True))

    def told(self, inputs: Inputs) -> Told:
        """Of one prompt, for each expert on record."""
        import numpy as np

        if self._fused is not None:
            return self._fused(inputs.prompts[0], inputs.lengths[0], inputs.vectors[0])
        columns = (*self.quality.predict(inputs), *self.costs.predict(inputs))
        quality, std, cost, high, latency = (column[0] for column in columns)
        whole = cost.astype(np.int64)
        return (
            np.minimum(np.maximum(quality, 0.0), 1.0).tolist(),
            np.maximum(std, 0.0).tolist(),
            whole.tolist(),
            np.maximum(whole, high.astype(np.int64)).tolist(),
            latency.tolist(),
        )

    @cached_property
    def _usual(self) -> list[float]:
        found: list[float] = self.blind.quality.tolist()
        return found

    @cached_property
    def _fused(self) -> Fused | None:
        return Fused.of(self.quality, self.costs)

    def _vector(self, embedding: NDArray[np.float32] | None) -> Matrix | None:
        """The vector as a row of length 1, or `None` if nothing can be told from it."""
        import numpy as np

        if embedding is None or embedding.shape != (self.dimensions,):
            return None
        square = float(np.vdot(embedding, embedding))  # tells of no overflow: infinitely long is not of length 1
        if embedding.dtype == np.float32 and abs(square - 1.0) < UNIT:
            return embedding.reshape(1, -1)
        row = embedding.astype(np.float64)
        length = float(np.sqrt(row @ row))
        if not 1e-6 < length < float("inf"):  # NaN fails both
            return None
        unit: Matrix = (row / length).astype(np.float32).reshape(1, -1)
        return unit

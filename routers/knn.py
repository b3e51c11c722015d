"""Quality by the nearest recorded prompts, under faiss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from routers.blind import shrunk
from routers.inputs import Inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Nearest:
    """`k` neighbours, weighed by exp(cosine / temperature); their mean score is pulled to the expert's own mean
    by `shrinkage` prompts' worth."""

    vectors: NDArray[np.float32]
    score: NDArray[np.float32]
    mean: NDArray[np.float32]
    k: int
    temperature: float
    shrinkage: float

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        score: NDArray[np.float64],
        domains: Sequence[str] = (),
        k: int = 40,
        temperature: float = 0.1,
        shrinkage: float = 8.0,
    ) -> Nearest:
        import numpy as np

        mean = shrunk(score)[0].astype(np.float32)
        return cls(inputs.vectors, score.astype(np.float32), mean, min(k, len(inputs)), temperature, shrinkage)

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        cosine, place = self.near(inputs.vectors)
        weight = np.exp((cosine - cosine[:, :1]) / self.temperature)
        near = self.score[place]
        known = self._known[place]
        weights = weight[:, :, None] * known
        total = weights.sum(1)
        # Kish's effective number of neighbours: many far ones count little.
        count = total**2 / np.maximum((weights**2).sum(1), 1e-9)
        average = (weights * np.where(known, near, 0.0)).sum(1) / np.maximum(total, 1e-9)
        quality = (count * average + self.shrinkage * self.mean) / (count + self.shrinkage)
        variance = np.maximum(quality * (1.0 - quality), 0.01)
        return quality, np.sqrt(variance / (count + self.shrinkage))

    def near(self, vectors: Matrix) -> tuple[Matrix, NDArray[np.int64]]:
        """Cosine and place of the k nearest recorded prompts, nearest first, shape (N, k)."""
        import numpy as np

        cosine, place = self._index.search(np.ascontiguousarray(vectors), self.k)
        return cosine, place

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.isfinite(self.score)

    @cached_property
    def _index(self) -> Any:
        import faiss

        index = faiss.IndexFlatIP(self.vectors.shape[1])
        index.add(self.vectors)
        return index

"""Quality by the nearest recorded prompts, under faiss: all are looked at while they are few, then a graph of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from experts.base import SetupError
from routers.blind import shrunk
from routers.inputs import Inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]


GRAPH_FROM = 10_000
"""Prompts from which on a graph is searched: looking at all would cost a millisecond or more."""
WIDTH, EFFORT_TO_BUILD, EFFORT = 24, 40, 96
"""Neighbours of a vector in the graph, and how many candidates are kept in mind while it is built and searched."""
DAMAGED = "router: the graph of its prompts is damaged; make it anew with `lyceum fit`"


@dataclass(frozen=True)
class Graph:
    """Who is near whom (HNSW, Malkov and Yashunin 2016), as plain arrays. Vector i is on `levels[i]` levels; on the
    lowest it has 2 x `width` neighbours, on each other `width`, which are `neighbours`, one vector after the other, -1
    for none. A search begins at `entry`."""

    levels: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    entry: int
    width: int

    @classmethod
    def of(cls, vectors: Matrix) -> Graph | None:
        """`None` where there are so few that looking at all is as quick."""
        if len(vectors) < GRAPH_FROM:
            return None
        import faiss

        index = _empty(vectors.shape[1], WIDTH)
        index.add(vectors)
        levels, near = (faiss.vector_to_array(part) for part in (index.hnsw.levels, index.hnsw.neighbors))
        return cls(levels, near, index.hnsw.entry_point, WIDTH)

    def index(self, vectors: Matrix) -> Any:
        """The index that was built, of its parts. Raises SetupError if they do not fit."""
        import faiss
        import numpy as np

        each = self.width * (self.levels.astype(np.uint64) + 1)
        starts = np.concatenate([np.zeros(1, np.uint64), np.cumsum(each, dtype=np.uint64)])
        if not (self._fits(len(vectors), int(starts[-1])) and self._meets(starts)):
            raise SetupError(DAMAGED)
        index = _empty(vectors.shape[1], self.width)
        faiss.downcast_index(index.storage).add(vectors)
        index.ntotal, index.hnsw.entry_point = len(vectors), self.entry
        index.hnsw.max_level = int(self.levels.max()) - 1
        parts = {"levels": self.levels, "offsets": starts, "neighbors": self.neighbours}
        for name, array in parts.items():
            faiss.copy_array_to_vector(array, getattr(index.hnsw, name))
        return index

    def _fits(self, count: int, places: int) -> bool:
        """Whether every neighbour is one of so many vectors: faiss does not look."""
        if len(self.levels) != count or len(self.neighbours) != places or self.levels.min() < 1:
            return False
        known = 0 <= self.entry < count and self.levels[self.entry] == self.levels.max()
        return bool(known and self.neighbours.min() >= -1 and self.neighbours.max() < count)

    def _meets(self, starts: NDArray[np.uint64]) -> bool:
        """Whether every neighbour on a level above the lowest is there itself: faiss would read where nothing is."""
        import numpy as np

        for tall in np.flatnonzero(self.levels > 1).tolist():
            upper = self.neighbours[int(starts[tall]) + 2 * self.width : int(starts[tall + 1])].reshape(-1, self.width)
            there = self.levels[upper] > np.arange(1, len(upper) + 1)[:, None]
            if not (there | (upper < 0)).all():
                return False
        return True


def _empty(dimensions: int, width: int) -> Any:
    import faiss

    index = faiss.IndexHNSWFlat(dimensions, width, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = EFFORT_TO_BUILD, EFFORT
    return index


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
    graph: Graph | None = None

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
        vectors, known = inputs.vectors, score.astype(np.float32)
        return cls(vectors, known, mean, min(k, len(inputs)), temperature, shrinkage, Graph.of(vectors))

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
        """Cosine and place of the k nearest recorded prompts, nearest first, shape (N, k). By the graph some may be
        missed, and the last be none: a cosine of -1 and any place."""
        import numpy as np

        cosine, place = self._index.search(np.ascontiguousarray(vectors), self.k)
        return np.maximum(cosine, -1.0), place

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.isfinite(self.score)

    @cached_property
    def _index(self) -> Any:
        import faiss

        if self.graph is not None:
            return self.graph.index(self.vectors)
        index = faiss.IndexFlatIP(self.vectors.shape[1])
        index.add(self.vectors)
        return index

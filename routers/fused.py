"""One prompt at a time, quickly: all products of the default blend and its cost head with a prompt's features as one.

A gateway asks about one prompt, where every call into numpy costs more than its arithmetic. What this tells is what
the heads tell, but for rounding; other heads take the common way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from routers.blend import LEAST_VARIANCE, Blend
from routers.clusters import Clusters
from routers.costs import MOST, Costs
from routers.domain import Domains
from routers.features import FARTHEST
from routers.inputs import FEATURES, Inputs, lexical
from routers.linear import Linear
from routers.words import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Columns = tuple[NDArray[Any], ...]


LEAST_TEMPERATURE = 0.02
"""Below it the exponential of a cosine over it would grow too large."""


class Fused:
    """`product` (F, ...) makes of a prompt's features, side by side: logits of its domain and of its cluster, the
    linear head's quality and doubt, and the logarithms of costs and seconds."""

    def __init__(self, blend: Blend, costs: Costs) -> None:
        import numpy as np

        domains, clusters, linear = blend.heads
        self.features, self.calibrated, experts = costs.features, blend.calibrated, len(costs.high)
        self.experts, self.width = experts, 1 + len(self.features.mean)
        self.mean, self.scale = self.features.mean[:FEATURES], self.features.scale[:FEATURES]
        self.lexical, self.words = slice(1, 1 + FEATURES), slice(1 + FEATURES, self.width - clusters.centres.shape[1])
        away = np.zeros((self.words.stop, clusters.mean.shape[0]), np.float32)
        scaled = [domains.coefficients, linear.coefficients, linear.doubt, self._thrice(costs.coefficients)]
        bare = [self._unscaled(one) for one in scaled]
        bare.insert(1, np.vstack([away, clusters._directions]))
        self.product = np.ascontiguousarray(np.hstack(bare))
        self.ends = np.cumsum([part.shape[1] for part in bare])[:-1].tolist()
        self.moments = _apart([_summed(head._moments) for head in (domains, clusters)])
        # Each expert's own gap, and the same share of everybody's level.
        own = [gap * np.eye(experts) + level / experts for gap, level in zip(blend.gaps, blend._levels, strict=True)]
        self.said, self.offset = np.vstack(own).astype(np.float32), blend._offset
        squares = blend._shares**2
        self.doubts, self.noise = np.concatenate([squares[:2], blend._shares]), squares[2] * linear.noise**2
        self.high = np.concatenate([np.zeros(experts), costs.high, np.zeros(experts)])
        self.low, self.top = (self._thrice(bound) + self.high for bound in (costs.low, costs.top))
        for bound in (self.low, self.top):
            np.clip(bound[: 2 * experts], 0.0, MOST, out=bound[: 2 * experts])
        self.one_less = np.repeat((1.0, 1.0, 0.0), experts)

    @classmethod
    def of(cls, quality: Any, costs: Costs) -> Fused | None:
        """`None` if the head is not the default blend over the same features."""
        if not isinstance(quality, Blend) or tuple(map(type, quality.heads)) != (Domains, Clusters, Linear):
            return None
        domains, clusters, linear = quality.heads
        same = domains.features is linear.features is costs.features
        return cls(quality, costs) if same and clusters.temperature >= LEAST_TEMPERATURE else None

    def _unscaled(self, coefficients: Matrix) -> Matrix:
        """For words and vectors as they are, not of mean 0; lexical features are scaled before they are cut."""
        import numpy as np

        found = coefficients.astype(np.float64)
        found[1 + FEATURES :] *= self.features.scale[FEATURES:, None]
        found[0] -= self.features.mean[FEATURES:] @ found[1 + FEATURES :]
        return found.astype(np.float32)

    def _thrice(self, columns: Matrix) -> Matrix:
        """Columns of cost and seconds, those of cost twice."""
        import numpy as np

        return np.concatenate([columns[..., : self.experts], columns], axis=-1)

    def __call__(self, inputs: Inputs) -> Columns:
        """Quality, its doubt, median and 95th percentile of the cost, median seconds, each of shape (M,)."""
        values, (a, b, c, d) = self._row(inputs) @ self.product, self.ends
        doubt, experts = values[c:d], self.experts
        quality, std = self._blended(values[:b], a, values[b:c], doubt.dot(doubt))
        money = self._costs(values[d:])
        return quality, std, money[:experts], money[experts : 2 * experts], money[2 * experts :]

    def _row(self, inputs: Inputs) -> Matrix:
        import numpy as np

        prompt = inputs.prompts[0]
        counts, row = terms(prompt), np.empty(self.width, np.float32)
        marks = row[self.lexical]
        row[0], marks[:] = 1.0, lexical(prompt, inputs.lengths[0], counts)
        marks -= self.mean
        marks *= self.scale
        np.minimum(np.maximum(marks, -FARTHEST, out=marks), FARTHEST, out=marks)
        row[self.words], row[self.words.stop :] = self.features.words.one(counts), inputs.vectors[0]
        return row

    def _blended(self, logits: Matrix, domains: int, linear: Matrix, leverage: float) -> tuple[Matrix, Matrix]:
        """`logits` of domains, of which there are so many, then of clusters: those are cosines / temperature, no need
        to keep them small."""
        import numpy as np

        experts = self.experts
        logits[:domains] -= np.maximum.reduce(logits[:domains])
        mixed = (np.exp(logits) @ self.moments).reshape(2, -1)
        mixed *= np.float32(1.0) / mixed[:, -1:]
        said, parts = np.empty((3, experts), np.float32), np.empty((5, experts), np.float32)
        said[:2], said[2] = mixed[:, :experts], linear
        quality = said.ravel() @ self.said + self.offset
        within, apart = parts[:2], parts[2:]
        np.subtract(mixed[:, experts:-1], said[:2] * said[:2], out=within)
        np.maximum(within, 0.0, out=within)
        np.subtract(said, quality, out=apart)
        apart *= apart
        std = np.sqrt(self.doubts @ parts + (leverage * self.noise + LEAST_VARIANCE))
        return quality if self.calibrated is None else self.calibrated(quality), std

    def _costs(self, logs: Matrix) -> NDArray[np.float64]:
        """Median and 95th percentile of the costs, and median seconds."""
        import numpy as np

        told: NDArray[np.float64] = np.exp(np.minimum(np.maximum(logs + self.high, self.low), self.top))
        told -= self.one_less
        return told


def _summed(moments: Matrix) -> Matrix:
    """With a last column that sums the shares."""
    import numpy as np

    return np.hstack([moments, np.ones((len(moments), 1), np.float32)])


def _apart(blocks: Sequence[Matrix]) -> Matrix:
    """Blocks one after the other, each with rows and columns of its own."""
    import numpy as np

    found = np.zeros(tuple(map(sum, zip(*(block.shape for block in blocks), strict=True))), np.float32)
    row = column = 0
    for block in blocks:
        found[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return found

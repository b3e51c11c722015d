"""One prompt at a time, quickly: all products of the default blend and its cost head with a prompt's features as one.

A gateway asks about one prompt, where every call into numpy costs more than its arithmetic. What this tells is what
the heads tell, but for rounding; other heads take the common way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routers.blend import LEAST_VARIANCE, Blend
from routers.clusters import Clusters
from routers.costs import MOST, Costs
from routers.domain import Domains
from routers.features import FARTHEST
from routers.inputs import FEATURES, Inputs
from routers.linear import Linear

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
        self.blend, self.costs, self.features = blend, costs, costs.features
        self.experts = len(costs.high)
        self.mean, self.scale = self.features.mean[:FEATURES], self.features.scale[:FEATURES]
        away = np.zeros((1 + len(self.features.mean) - clusters.centres.shape[1], clusters.mean.shape[0]), np.float32)
        scaled = [domains.coefficients, linear.coefficients, linear.doubt, costs.coefficients]
        bare = [self._unscaled(one) for one in scaled]
        bare.insert(1, np.vstack([away, clusters._directions]))
        self.product = np.ascontiguousarray(np.hstack(bare))
        self.ends = np.cumsum([part.shape[1] for part in bare])[:-1].tolist()
        # The last column sums the shares. Logits of clusters are cosines / temperature: no need to keep them small.
        self.moments = tuple(
            np.hstack([h._moments, np.ones((len(h.mean), 1), np.float32)]) for h in (domains, clusters)
        )
        self.noise = linear.noise**2
        self.weights, self.shares = np.stack([blend.gaps, blend._levels / self.experts]), blend._shares
        self.squares, self.one = blend._shares**2, np.ones(1, np.float32)

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

    def __call__(self, inputs: Inputs) -> Columns:
        """Quality, its doubt, median and 95th percentile of the cost, median seconds, each of shape (M,)."""
        domain, cluster, linear, doubt, logs = self._split(self._row(inputs) @ self.product)
        quality, std = self._blended(domain, cluster, linear, float(doubt @ doubt))
        return quality, std, *self._costs(logs)

    def _split(self, values: Matrix) -> Columns:
        a, b, c, d = self.ends
        return values[:a], values[a:b], values[b:c], values[c:d], values[d:]

    def _row(self, inputs: Inputs) -> Matrix:
        import numpy as np

        lexical = inputs.lexical[0]
        lexical = (lexical - self.mean) * self.scale
        cut = np.minimum(np.maximum(lexical, -FARTHEST), FARTHEST)
        return np.concatenate(
            (self.one, cut, self.features.words.one(inputs.terms[0]), inputs.vectors[0]), dtype=np.float32
        )

    def _blended(self, domain: Matrix, cluster: Matrix, linear: Matrix, leverage: float) -> tuple[Matrix, Matrix]:
        import numpy as np

        blend, experts = self.blend, self.experts
        both = np.empty((2, 2 * experts), np.float32)
        for i, logits in enumerate((domain - np.maximum.reduce(domain), cluster)):
            mixed = np.exp(logits) @ self.moments[i]
            np.multiply(mixed[:-1], np.float32(1.0) / mixed[-1], out=both[i])
        said, doubt = np.empty((3, experts), np.float32), np.empty((3, experts), np.float32)
        said[:2], said[2], doubt[2] = both[:, :experts], linear, leverage * self.noise
        means = said[:2]
        np.maximum(both[:, experts:] - means * means, 0.0, out=doubt[:2])
        gaps, level = self.weights @ said
        quality = gaps + blend._offset + np.add.reduce(level)
        apart = said - quality
        std = np.sqrt(self.squares @ doubt + self.shares @ (apart * apart) + LEAST_VARIANCE)
        return quality if blend.calibrated is None else blend.calibrated(quality), std

    def _costs(self, logs: Matrix) -> Columns:
        import numpy as np

        experts = self.experts
        told = np.minimum(np.maximum(logs, self.costs.low), self.costs.top).astype(np.float64)
        cost = told[:experts]
        both = np.minimum(np.maximum(np.concatenate((cost, cost + self.costs.high)), 0.0), MOST)
        powers = np.exp(np.concatenate((both, told[experts:])))
        return powers[:experts] - 1.0, powers[experts : 2 * experts] - 1.0, powers[2 * experts :]

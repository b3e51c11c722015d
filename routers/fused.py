"""One prompt at a time, quickly: all products of the default blend and its cost head with a prompt's features as one.

A gateway asks about one prompt, where every call into numpy costs more than its arithmetic: what does not hang on the
prompt is worked out once, into few matrices. What this tells is what the heads tell, but for rounding; other heads
take the common way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from routers.blend import LEAST_VARIANCE, Blend
from routers.calibrated import STEPS
from routers.clusters import Clusters
from routers.costs import MOST, Costs
from routers.domain import Domains
from routers.features import FARTHEST
from routers.inputs import FEATURES, lexical
from routers.linear import Linear
from routers.words import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Table = NDArray[np.float64]

Told = tuple[list[float], list[float], list[int], list[int], list[float]]
"""Of each expert: quality in [0, 1], its doubt, median and 95th percentile of the cost, median seconds."""
GREATEST = 300.0
"""Of a logit that the quick way takes: no exponential of it, nor a sum of many, is too large or too small."""
MARGIN = 1e-9
"""How near quality comes to 0 and 1: so no rounding leads beyond."""


class Fused:
    """`product` (F, ...) makes of a prompt's features, side by side: logits of its domain and of its cluster, the
    linear head's quality, logarithms of costs and seconds, the linear head's doubt. `same` sums the shares of a kind;
    `mixing` and `constant` make of the shares and the linear head's quality what `_mixing` says."""

    def __init__(self, blend: Blend, costs: Costs) -> None:
        import numpy as np

        domains, clusters, linear = blend.heads
        self.features, self.experts, self.width = costs.features, len(costs.high), 1 + len(costs.features.mean)
        self.lexical, self.words = slice(1, 1 + FEATURES), slice(1 + FEATURES, self.width - clusters.centres.shape[1])
        self.mean, self.far = self.features.mean[:FEATURES], FARTHEST / self.features.scale[:FEATURES]
        away = np.zeros((self.words.stop, len(clusters.mean)), np.float32)
        parts = [self._bare(domains.coefficients), np.vstack([away, clusters._directions])]
        parts += [self._bare(linear.coefficients), self._paid(costs), self._bare(linear.doubt)]
        self.product = np.ascontiguousarray(np.hstack(parts), np.float32)
        self.shares = sum(part.shape[1] for part in parts[:2])
        self.said, self.paid = self.shares + self.experts, self.shares + 4 * self.experts
        self.same = _apart([np.ones((part.shape[1],) * 2) for part in parts[:2]])
        self.mixing, self.constant = _mixing(blend)
        squares = blend._shares**2
        self.doubts = np.concatenate([blend._shares, -squares[:2]]).astype(np.float64)
        self.noise = squares[2] * linear.noise.astype(np.float64) ** 2
        self.first, self.last, self.starts, self.rises = _lines(blend, self.experts)
        self.low, self.top = _bounds(costs)
        self.one_less = np.repeat((1.0, 1.0, 0.0), self.experts)

    @classmethod
    def of(cls, quality: Any, costs: Costs) -> Fused | None:
        """`None` if the head is not the default blend over the same features, or nearly overflows."""
        import numpy as np

        if not isinstance(quality, Blend) or tuple(map(type, quality.heads)) != (Domains, Clusters, Linear):
            return None
        domains, clusters, linear = quality.heads
        if not domains.features is linear.features is costs.features:
            return None
        steepest = np.abs(domains.coefficients[1 : 1 + FEATURES]).sum(0).max() * FARTHEST
        fused = cls(quality, costs)
        rest = np.linalg.norm(fused.product[1 + FEATURES :, : fused.shares], axis=0).max()
        return fused if steepest + abs(fused.product[0, : fused.shares]).max() + 2.0 * rest < GREATEST else None

    def _bare(self, coefficients: Matrix) -> Table:
        """For words and vectors as they are, not of mean 0 and variance 1; of lexical features the mean is taken."""
        import numpy as np

        found = coefficients.astype(np.float64)
        found[1:] *= self.features.scale[:, None]
        found[0] -= self.features.mean[FEATURES:] @ found[1 + FEATURES :]
        return found

    def _paid(self, costs: Costs) -> Table:
        """Columns of the median cost, of its 95th percentile, and of seconds."""
        found = self._bare(_thrice(costs.coefficients, self.experts))
        found[0, self.experts : 2 * self.experts] += costs.high
        return found

    def __call__(self, prompt: str, length: int, vector: Matrix) -> Told:
        """Of a prompt, the characters of the request that it belongs to, and its unit vector."""
        import numpy as np

        values, experts = (self._row(prompt, length, vector) @ self.product).astype(np.float64), self.experts
        shares, money, doubt = values[: self.shares], values[self.said : self.paid], values[self.paid :]
        np.exp(shares, shares)
        shares /= shares @ self.same
        mixed = values[: self.said] @ self.mixing
        mixed += self.constant
        squares, spread = mixed[experts : 6 * experts], mixed[6 * experts :]
        squares *= squares
        spread += self.doubts @ squares.reshape(5, experts)
        spread += doubt.dot(doubt) * self.noise
        place = np.minimum(np.maximum(mixed[:experts], self.first), self.last)
        line = place.astype(np.intp)
        np.minimum(np.maximum(money, self.low, out=money), self.top, out=money)
        np.exp(money, money)
        money -= self.one_less
        whole = money[: 2 * experts].astype(np.int64).tolist()
        return (
            (self.starts.take(line) + self.rises.take(line) * place).tolist(),
            np.sqrt(spread).tolist(),
            whole[:experts],
            whole[experts:],
            money[2 * experts :].tolist(),
        )

    def _row(self, prompt: str, length: int, vector: Matrix) -> Matrix:
        """The features of the one prompt, of which only the lexical ones are moved and cut."""
        import numpy as np

        counts, row = terms(prompt), np.empty(self.width, np.float32)
        marks = row[self.lexical]
        row[0], marks[:] = 1.0, lexical(prompt, length, counts)
        marks -= self.mean
        np.minimum(np.maximum(marks, -self.far, out=marks), self.far, out=marks)
        row[self.words], row[self.words.stop :] = self.features.words.one(counts), vector
        return row


def _mixing(blend: Blend) -> tuple[Table, Table]:
    """What makes of shares (of domains, then of clusters) and of the linear head's quality, side by side, each (M,):
    where among `_lines` the quality lies; how far from it each head is; how far domains and clusters are from a
    middle of theirs, and the mean square of that with what is doubted within parts. And what is added to it."""
    import numpy as np

    domains, clusters, linear = blend.heads
    experts = len(linear.noise)
    one = np.eye(experts)
    means = [each.mean.astype(np.float64) for each in (domains, clusters)]
    middles = [mean.mean(0) for mean in means]
    told = _apart([*means, one])
    # Each expert's own gap, and the same share of everybody's level.
    own = [gap * one + level / experts for gap, level in zip(blend.gaps, blend._levels, strict=True)]
    quality = told @ np.vstack(own)
    worth = [
        share**2 * (head.variance + (mean - middle) ** 2)
        for share, head, mean, middle in zip(blend._shares, (domains, clusters), means, middles, strict=False)
    ]
    heads = np.hstack([quality * STEPS, told - np.tile(quality, 3), told[:, : 2 * experts]])
    offset = blend._offset.astype(np.float64)
    added = [
        offset * STEPS + _places(experts),
        np.tile(-offset, 3),
        -middles[0],
        -middles[1],
        np.full(experts, LEAST_VARIANCE),
    ]
    return np.hstack([heads, np.vstack([*worth, np.zeros((experts, experts))])]), np.concatenate(added)


def _lines(blend: Blend, experts: int) -> tuple[Table, Table, Table, Table]:
    """Calibration as straight lines, those of one expert after those of another: where each expert's begin and end,
    and every line's height at 0 and its rise."""
    import numpy as np

    plain = np.tile(np.linspace(0.0, 1.0, STEPS + 1), (experts, 1))
    maps = plain if blend.calibrated is None else blend.calibrated.maps.T.astype(np.float64)
    maps = np.clip(maps, MARGIN, 1.0 - MARGIN)
    rises: Table = np.diff(maps, axis=1, append=maps[:, -1:]).ravel()
    first = _places(experts)
    return first, first + float(STEPS), maps.ravel() - np.arange(maps.size) * rises, rises


def _places(experts: int) -> Table:
    """Where each expert's lines begin."""
    import numpy as np

    found: Table = np.arange(experts, dtype=np.float64) * (STEPS + 1)
    return found


def _bounds(costs: Costs) -> tuple[Table, Table]:
    """The least and greatest logarithms of the median cost, of its 95th percentile, and of seconds."""
    import numpy as np

    experts = len(costs.high)
    high = np.concatenate([np.zeros(experts), costs.high, np.zeros(experts)])
    low, top = (_thrice(bound, experts) + high for bound in (costs.low, costs.top))
    for bound in (low, top):
        np.clip(bound[: 2 * experts], 0.0, MOST, out=bound[: 2 * experts])
    return low, top


def _thrice(columns: Matrix, experts: int) -> Matrix:
    """Columns of cost and seconds, those of cost twice."""
    import numpy as np

    return np.concatenate([columns[..., :experts], columns], axis=-1)


def _apart(blocks: Sequence[Table]) -> Table:
    """Blocks one after the other, each with rows and columns of its own."""
    import numpy as np

    found = np.zeros(tuple(map(sum, zip(*(block.shape for block in blocks), strict=True))))
    row = column = 0
    for block in blocks:
        found[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return found

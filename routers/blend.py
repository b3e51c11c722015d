"""The default: several heads, weighed by how well each predicted prompts that it had not seen.

Level (how easy a prompt is) and gaps (how experts differ on it) have weights of their own, since routing lives on
the gaps: a head that is good at one may be noise at the other. Weights are not negative and need not sum to one,
so what the heads overstate is pulled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from experts.build import load as load_class
from routers.calibrated import Calibrated
from routers.inputs import Inputs
from routers.linear import level_and_gaps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Table = NDArray[np.float64]

HEADS = ("routers.domain:Domains", "routers.clusters:Clusters", "routers.linear:Linear")
"""`knn` and `mf` may be added: on the recorded sets they changed no result beyond noise, and cost time."""
FOLDS = 5
TURNS = 1000
LEAST_VARIANCE = 1e-4
ROUNDS = 3
BELIEF = 0.1
CONTEST = 0.06
"""How far below the best expert of a prompt one must be to matter e times less to the weights of the gaps: routing
asks who is best, not how bad the worst are."""


@dataclass(frozen=True)
class Blend:
    """`level` and `gaps` (H,) weigh the heads; `easy` is the mean score, `difference` (M,) each expert's from it."""

    heads: tuple[Any, ...]
    level: NDArray[np.float32]
    gaps: NDArray[np.float32]
    easy: float
    difference: NDArray[np.float32]
    calibrated: Calibrated | None = None

    @classmethod
    def fit(
        cls, inputs: Inputs, score: NDArray[np.float64], domains: Sequence[str], heads: Sequence[str] = HEADS
    ) -> Blend:
        import numpy as np

        kinds = [load_class(head, "router.heads") for head in heads]
        level, gaps, difference = level_and_gaps(score)
        easy = float(level.mean())
        whole = [kind.fit(inputs, score, domains) for kind in kinds]
        unseen = [split(out_of_fold(kind, inputs, score, domains), easy, difference) for kind in kinds]
        levels, told = np.hstack([one for one, _ in unseen]), np.stack([one for _, one in unseen])
        ease = least_squares(levels, level[:, 0] - easy)
        contest = gap_weights(told, gaps, difference, np.isfinite(score))
        predicted = easy + difference + (levels @ ease)[:, None] + np.tensordot(contest, told, 1)
        return cls(
            tuple(whole),
            ease.astype(np.float32),
            contest.astype(np.float32),
            easy,
            difference.astype(np.float32),
            Calibrated.fit(predicted, score),
        )

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        """Calibrated quality, and its doubt."""
        import numpy as np

        told = [head.predict(inputs) for head in self.heads]
        said, doubt = np.array([one for one, _ in told]), np.array([one for _, one in told])
        flat = said.reshape(len(said), -1)
        level = self._levels @ said.mean(2)
        quality = (self.gaps @ flat).reshape(said.shape[1:]) + level[:, None] + self._offset
        # Their own doubts, as far as the heads are different witnesses, and their disagreement.
        spread = (self._shares**2) @ doubt.reshape(flat.shape) ** 2 + self._shares @ (flat - quality.ravel()) ** 2
        std = np.sqrt(spread + LEAST_VARIANCE).reshape(quality.shape)
        return quality if self.calibrated is None else self.calibrated(quality), std

    @cached_property
    def _levels(self) -> Matrix:
        """Weights of the heads' levels beyond what their gaps bring along."""
        return self.level - self.gaps

    @cached_property
    def _offset(self) -> Matrix:
        offset: Matrix = self.easy * (1.0 - self.level.sum()) + self.difference * (1.0 - self.gaps.sum())
        return offset

    @cached_property
    def _shares(self) -> Matrix:
        return self.gaps / max(float(self.gaps.sum()), 1e-6)


def out_of_fold(kind: Any, inputs: Inputs, score: Table, domains: Sequence[str]) -> Table:
    """What heads of this kind say of each prompt when they are fitted without it and its near-duplicates."""
    import numpy as np

    fold = folds(inputs.groups or inputs.prompts)
    unseen = np.zeros(score.shape)
    for turn in range(FOLDS):
        held, seen = np.flatnonzero(fold == turn), np.flatnonzero(fold != turn)
        if len(held) and len(seen):
            head = kind.fit(inputs.rows(seen), score[seen], [domains[i] for i in seen.tolist()])
            unseen[held] = head.predict(inputs.rows(held))[0]
    return unseen


def folds(groups: Sequence[str], seed: int = 0) -> NDArray[np.intp]:
    """A fold for each prompt, the same for all of a group."""
    import numpy as np

    names = list(dict.fromkeys(groups))
    turn = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    place = {name: int(turn[i]) for i, name in enumerate(names)}
    return np.array([place[group] for group in groups], np.intp)


def split(said: Table, easy: float, difference: Table) -> tuple[Table, Table]:
    """The level above `easy` (N, 1) and the gaps beyond `difference` (N, M) of what a head said."""
    mean = said.mean(1, keepdims=True)
    return mean - easy, said - mean - difference


def gap_weights(said: Table, gaps: Table, difference: Table, known: NDArray[np.bool_]) -> Table:
    """Weights (H,) of what H heads said of the gaps, (H, N, M): least squares among the experts that contend for
    the first place, in rounds, since the weights tell who contends."""
    import numpy as np

    weights = np.full(len(said), 1.0 / len(said))
    for _ in range(ROUNDS):
        total = difference + np.tensordot(weights, said, 1)
        matter = np.exp((total - total.max(1, keepdims=True)) / CONTEST) * known
        matter /= np.maximum(matter.sum(1, keepdims=True), 1e-9)
        root = np.sqrt(matter)
        x = np.stack([((one - (matter * one).sum(1, keepdims=True)) * root).ravel() for one in said], 1)
        weights = least_squares(x, ((gaps - (matter * gaps).sum(1, keepdims=True)) * root).ravel())
    return weights


def least_squares(x: Table, y: Table) -> Table:
    """Weights >= 0 of the columns of x that come nearest to y, by accelerated projected descent. They are believed
    to be equal, give or take BELIEF, so that a few hundred prompts do not bet all on one head."""
    import numpy as np

    count = x.shape[1]
    trust = float(y @ y) / max(int(np.count_nonzero(y)), 1) / BELIEF**2
    inner = x.T @ x + trust * np.eye(count)
    against = x.T @ y + trust / count
    step = 1.0 / max(float(np.linalg.eigvalsh(inner)[-1]), 1e-12)
    here = ahead = np.zeros(count)
    for turn in range(TURNS):
        moved = np.maximum(ahead - step * (inner @ ahead - against), 0.0)
        ahead = moved + turn / (turn + 3) * (moved - here)
        here = moved
    return here

"""Quality by associative recall: domain, skill, expert, past prompt, each step corrected by the next.

What an expert is worth on a prompt is what it is worth in the domain, then in the skill, then what the prompts that
come to mind say beyond that. A past prompt comes to mind by its nearness, the more if its skill is stirred as well.
How much each association counts is learned from prompts that were held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from routers.blend import FOLDS, folds, gap_weights, least_squares, split
from routers.domain import means_by_part
from routers.inputs import Inputs
from routers.knn import Graph, Nearest
from routers.linear import level_and_gaps
from routers.tree import Tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Table = NDArray[np.float64]

COME_TO_MIND = 40
NEARNESS = (0.05, 0.1, 0.2)
"""Temperatures of the cosine that are tried."""
KINSHIP = (0.0, 0.5, 1.0)
"""Powers of the activation of a past prompt's skill that are tried."""
SHRINKAGE = 8.0
LEAST_VARIANCE = 1e-4


class Bond(NamedTuple):
    """What calls a past prompt to mind: temperature of its cosine, power of its skill's activation."""

    nearness: float
    kinship: float


@dataclass(frozen=True)
class Store:
    """The memory without its weights. `general` (D, M) and `particular` (K, M) are the experts' records in domains
    and skills, `home` (N,) is the skill of each past prompt; the scores of `past` are what the record of their
    skills leaves open, NaN where an expert was not asked."""

    tree: Tree
    general: NDArray[np.float32]
    particular: NDArray[np.float32]
    home: NDArray[np.int32]
    past: Nearest

    @classmethod
    def fit(cls, vectors: Matrix, score: Table, domains: Sequence[str]) -> Store:
        import numpy as np

        tree = Tree.fit(vectors, domains)
        domain, skill = tree.active(vectors)
        general = means_by_part(domain.astype(np.float64), score)[0]
        particular = means_by_part(skill.astype(np.float64), score)[0]
        surprise = (score - skill @ particular).astype(np.float32)
        none = np.zeros(score.shape[1], np.float32)
        past = Nearest(vectors, surprise, none, min(COME_TO_MIND, len(vectors)), 1.0, SHRINKAGE, Graph.of(vectors))
        return cls(tree, general, particular, skill.argmax(1).astype(np.int32), past)

    def recall(self, vectors: Matrix) -> Recall:
        """What comes to mind, before anything is weighed."""
        domain, skill = self.tree.active(vectors)
        cosine, place = self.past.near(vectors)
        rows = skill[_column(len(vectors)), self.home[place]]
        return Recall(domain @ self.general, skill @ self.particular, cosine, rows, self.past.score[place])


class Recall(NamedTuple):
    """`domain` and `skill` (N, M): the experts' records there. Of the k past prompts of each: `cosine` and `kin`
    (N, k), its skill's activation; `surprise` (N, k, M)."""

    domain: Matrix
    skill: Matrix
    cosine: Matrix
    kin: Matrix
    surprise: Matrix

    def layers(self, bond: Bond) -> tuple[Matrix, Matrix]:
        """What domain, skill and past prompts say (3, N, M), and how many past prompts that rests on (N, M)."""
        import numpy as np

        said, count = self.echo(bond)
        return np.stack([self.domain, self.skill, self.skill + said]), count

    def echo(self, bond: Bond) -> tuple[Matrix, Matrix]:
        """What past prompts say beyond the skill's record, and how many they count for (Kish), (N, M)."""
        import numpy as np

        near = np.exp((self.cosine - self.cosine[:, :1]) / np.float32(bond.nearness))
        weight = near * np.maximum(self.kin, 1e-6) ** np.float32(bond.kinship)
        weight /= np.maximum(weight.max(1, keepdims=True), 1e-30)
        known = np.isfinite(self.surprise)
        weights = weight[:, :, None] * known
        total = weights.sum(1)
        count = total**2 / np.maximum((weights**2).sum(1), 1e-9)
        mean = (weights * np.where(known, self.surprise, 0.0)).sum(1) / np.maximum(total, 1e-9)
        return mean * count / (count + SHRINKAGE), count


@dataclass(frozen=True)
class Memory:
    """`level` and `gaps` (3,) weigh what domain, skill and past prompts say of a prompt's ease and of the experts'
    differences on it; `easy` is the mean score, `difference` (M,) each expert's from it."""

    store: Store
    nearness: float
    kinship: float
    level: NDArray[np.float32]
    gaps: NDArray[np.float32]
    easy: float
    difference: NDArray[np.float32]

    @classmethod
    def fit(cls, inputs: Inputs, score: Table, domains: Sequence[str]) -> Memory:
        import numpy as np

        level, gaps, difference = level_and_gaps(score)
        easy = float(level.mean())
        recalled = _unseen(inputs, score, domains)
        known = np.isfinite(score)
        bond = min(_bonds(), key=lambda each: _error(recalled, each, score))
        said = _joined([each.layers(bond)[0] for _, each in recalled], [rows for rows, _ in recalled])
        parts = [split(one, easy, difference) for one in said.astype(np.float64)]
        levels, told = np.hstack([one for one, _ in parts]), np.stack([one for _, one in parts])
        weights = least_squares(levels, level[:, 0] - easy), gap_weights(told, gaps, difference, known)
        store = Store.fit(inputs.vectors, score, domains)
        ease, contest = (each.astype(np.float32) for each in weights)
        return cls(store, *bond, ease, contest, easy, difference.astype(np.float32))

    def predict(self, inputs: Inputs) -> tuple[Matrix, Matrix]:
        import numpy as np

        said, count = self.store.recall(inputs.vectors).layers(Bond(self.nearness, self.kinship))
        mean = said.mean(2, keepdims=True)
        ease = np.tensordot(self.level, mean - np.float32(self.easy), 1)
        gaps = np.tensordot(self.gaps, said - mean - self.difference, 1)
        quality = np.float32(self.easy) + self.difference + ease + gaps
        variance = np.maximum(quality * (1.0 - quality), 0.01) / (count + SHRINKAGE)
        return quality, np.sqrt(variance + said.var(0) + LEAST_VARIANCE)


def _bonds() -> list[Bond]:
    return [Bond(nearness, kinship) for nearness in NEARNESS for kinship in KINSHIP]


def _unseen(inputs: Inputs, score: Table, domains: Sequence[str]) -> list[tuple[NDArray[np.intp], Recall]]:
    """Rows of the table, and what is recalled of them by a memory without them and their near-duplicates."""
    import numpy as np

    fold = folds(inputs.groups or inputs.prompts)
    found = []
    for turn in range(FOLDS):
        held, seen = np.flatnonzero(fold == turn), np.flatnonzero(fold != turn)
        if len(held) and len(seen):
            store = Store.fit(inputs.vectors[seen], score[seen], [domains[i] for i in seen.tolist()])
            found.append((held, store.recall(inputs.vectors[held])))
    if found:
        return found
    return [(np.arange(len(score)), Store.fit(inputs.vectors, score, domains).recall(inputs.vectors))]


def _error(recalled: Sequence[tuple[NDArray[np.intp], Recall]], bond: Bond, score: Table) -> float:
    """The sum of squares that past prompts leave of how experts differ."""
    import numpy as np

    total = 0.0
    for rows, each in recalled:
        said = each.skill + each.echo(bond)[0]
        off = score[rows] - said
        off -= np.nan_to_num(np.nanmean(np.where(np.isfinite(off).any(1, keepdims=True), off, 0.0), 1, keepdims=True))
        total += float(np.nansum(off**2))
    return total


def _joined(parts: Sequence[Matrix], rows: Sequence[NDArray[np.intp]]) -> Matrix:
    """The parts (3, n, M) in the order of the table."""
    import numpy as np

    order = np.argsort(np.concatenate(rows), kind="stable")
    return np.concatenate(parts, axis=1)[:, order]


def _column(count: int) -> NDArray[np.intp]:
    import numpy as np

    return np.arange(count)[:, None]

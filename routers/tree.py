"""Domains and, within each, skills: where in what was learned a prompt lies, from the general to the particular."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.clusters import PROMPTS_EACH, spherical_means
from routers.logistic import softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

TEMPERATURE = 0.05
MOST_SKILLS = 16
"""In one domain."""


@dataclass(frozen=True)
class Tree:
    """`domains` (D, V) and `skills` (K, V) are unit vectors in the middle of their prompts; `parent` (K,) is the
    domain of a skill."""

    domains: NDArray[np.float32]
    skills: NDArray[np.float32]
    parent: NDArray[np.int32]

    @classmethod
    def fit(cls, vectors: Matrix, names: Sequence[str]) -> Tree:
        """`names` are the prompts' domains; skills are found within each as clusters of prompts."""
        import numpy as np

        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        place = np.array([places[name] for name in names], np.intp)
        found = [_skills(vectors[place == domain]) for domain in range(len(places))]
        parent = np.repeat(np.arange(len(places)), [len(each) for each in found])
        middle = np.concatenate([spherical_means(vectors[place == domain], 1) for domain in range(len(places))])
        return cls(middle, np.concatenate(found), parent.astype(np.int32))

    def active(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        """How much a prompt stirs each domain (N, D), and each skill (N, K) by way of its domain. Rows sum to one."""
        import numpy as np

        domain = softmax(vectors @ self.domains.T / np.float32(TEMPERATURE))
        cosine = vectors @ self.skills.T / np.float32(TEMPERATURE)
        near = np.exp(cosine - cosine.max(1, keepdims=True))
        within = np.zeros_like(domain)
        np.add.at(within.T, self.parent, near.T)
        share = near / np.maximum(within[:, self.parent], 1e-30)
        skill = domain[:, self.parent] * share
        return domain, skill / np.maximum(skill.sum(1, keepdims=True), 1e-30)


def _skills(vectors: Matrix) -> Matrix:
    return spherical_means(vectors, max(1, min(MOST_SKILLS, len(vectors) // PROMPTS_EACH)))

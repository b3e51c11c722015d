"""The words of a prompt as a short vector: TF-IDF, projected on its main directions.

It knows what an encoder blurs: templates, marks of options, function names. Numpy alone; the decomposition is
randomized (Halko, Martinsson, Tropp 2011) on sparse rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

TERM = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_+")
PLAIN = re.compile(r"[a-z]+|[^\sa-z_]|_+")
"""Finds what TERM finds in half the time, if all is ASCII and in lower case."""
HEAD, TAIL = 350, 150
"""Characters looked at: templates show at both ends of a prompt, and every word costs half a microsecond."""
MOST_TERMS, LEAST_PROMPTS = 10_000, 3
MOST_PROMPTS = 8_000
RANK, EXTRA, TURNS = 64, 8, 2
CHUNK = 256
MOST_OFTEN = 100


def ends(prompt: str) -> str:
    """The beginning and the end of a prompt."""
    return prompt if len(prompt) <= HEAD + TAIL else f"{prompt[:HEAD]} {prompt[-TAIL:]}"


def terms(prompt: str) -> Counter[str]:
    """How often each word, digit and mark of both ends occurs, in lower case. Pairs of words were tried: they
    changed no result and doubled the time."""
    text = ends(prompt).lower()
    return Counter((PLAIN if text.isascii() else TERM).findall(text))


@dataclass(frozen=True)
class Words:
    """`vocabulary` (V terms), their inverse document frequencies (V,) and their directions (V, rank)."""

    vocabulary: tuple[str, ...]
    weight: Matrix
    directions: Matrix

    @classmethod
    def fit(cls, prompts: Sequence[Counter[str]], rank: int = RANK, seed: int = 0) -> Words:
        """`prompts` as counted by `terms`."""
        import numpy as np

        counted = prompts[:: -(-len(prompts) // MOST_PROMPTS) or 1]
        frequency = Counter(term for counts in counted for term in counts)
        common = [(term, n) for term, n in frequency.most_common(MOST_TERMS) if n >= LEAST_PROMPTS]
        vocabulary = tuple(term for term, _ in common)
        weight = np.array([np.log((1 + len(counted)) / (1 + n)) + 1.0 for _, n in common], np.float32)
        plain = cls(vocabulary, weight, np.zeros((len(vocabulary), 0), np.float32))
        rows = _Sparse.of([plain._sparse(counts) for counts in counted], len(vocabulary))
        return cls(vocabulary, weight, rows.directions(min(rank, len(vocabulary), len(counted)), seed))

    def rows(self, prompts: Iterable[Counter[str]]) -> Matrix:
        """Shape (N, rank)."""
        import numpy as np

        found = map(self._sparse, prompts)
        return np.array([values @ self.directions[places] for places, values in found], np.float32)

    def one(self, counts: Counter[str]) -> Matrix:
        """The same for one prompt, shape (rank,), in half the time."""
        import numpy as np

        if not self.vocabulary:
            return np.zeros(self.directions.shape[1], np.float32)
        find, nowhere = self._place.get, len(self.vocabulary)
        places = np.array([find(term, nowhere) for term in counts], np.intp)
        weights = self._weighed.take(places)
        weights *= self._dampened.take(np.array(list(counts.values()), np.intp), mode="clip")
        direction: Matrix = weights @ self.directions.take(places, 0, mode="clip")
        direction /= sqrt(np.vdot(weights, weights)) or 1.0
        return direction

    @cached_property
    def _weighed(self) -> Matrix:
        """The weights, and that of an unknown term."""
        import numpy as np

        return np.append(self.weight, np.float32(0.0))

    @cached_property
    def _place(self) -> dict[str, int]:
        return {term: i for i, term in enumerate(self.vocabulary)}

    def _sparse(self, counts: Counter[str]) -> tuple[NDArray[np.intp], Matrix]:
        """The places and TF-IDF values of one prompt's known terms, of Euclidean length 1."""
        import numpy as np

        find = self._place.get
        known = [(place, n) for term, n in counts.items() if (place := find(term)) is not None]
        if not known:
            return np.zeros(0, np.intp), np.zeros(0, np.float32)
        places, often = np.array(known, np.intp).T
        values: Matrix = self._dampened[np.minimum(often, len(self._dampened) - 1)] * self.weight[places]
        values /= np.sqrt(values @ values)
        return places, values

    @cached_property
    def _dampened(self) -> Matrix:
        """1 + log n, for n below MOST_OFTEN."""
        import numpy as np

        found: Matrix = (1.0 + np.log(np.maximum(np.arange(MOST_OFTEN), 1))).astype(np.float32)
        return found


@dataclass(frozen=True)
class _Sparse:
    """A sparse matrix by rows: the entries of row i are places[start[i] : start[i + 1]]."""

    places: NDArray[np.intp]
    values: Matrix
    start: NDArray[np.intp]
    width: int

    @classmethod
    def of(cls, rows: Sequence[tuple[NDArray[np.intp], Matrix]], width: int) -> _Sparse:
        import numpy as np

        start = np.cumsum([0] + [len(places) for places, _ in rows])
        places = np.concatenate([np.zeros(0, np.intp)] + [places for places, _ in rows])
        values = np.concatenate([np.zeros(0, np.float32)] + [values for _, values in rows])
        return cls(places, values, start, width)

    @property
    def transposed(self) -> _Sparse:
        import numpy as np

        rows = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.argsort(self.places, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.places, minlength=self.width))])
        return _Sparse(rows[order], self.values[order], start, len(self.start) - 1)

    def times(self, dense: Matrix) -> Matrix:
        import numpy as np

        result = np.zeros((len(self.start) - 1, dense.shape[1]), np.float32)
        for first in range(0, len(result), CHUNK):
            start = self.start[first : first + CHUNK + 1]
            inside = slice(start[0], start[-1])
            filled = np.flatnonzero(np.diff(start))
            if len(filled):  # reduceat has no notion of an empty row
                parts = dense[self.places[inside]] * self.values[inside, None]
                result[first + filled] = np.add.reduceat(parts, start[filled] - start[0], axis=0)
        return result

    def directions(self, rank: int, seed: int) -> Matrix:
        """The `rank` main right singular vectors, shape (width, rank)."""
        import numpy as np

        across = self.transposed
        guess = np.random.default_rng(seed).normal(size=(self.width, rank + EXTRA)).astype(np.float32)
        for _ in range(TURNS):
            guess = np.linalg.qr(across.times(np.linalg.qr(self.times(guess))[0]))[0]
        inner = self.times(guess)
        axes = np.linalg.eigh(inner.T @ inner)[1][:, ::-1]
        found: Matrix = (guess @ axes[:, :rank]).astype(np.float32)
        return found

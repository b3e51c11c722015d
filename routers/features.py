"""Prompts to rows of numbers that regressions work on: lexical marks, words, and the encoder's vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routers.inputs import Inputs
from routers.words import Words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

FARTHEST = 4.0
"""Standard deviations at which lexical features are cut, so that no odd prompt is extrapolated to."""


@dataclass(frozen=True)
class Features:
    """Rows (N, F): 1, then lexical features, words and vectors, of mean 0 and about variance 1."""

    words: Words
    mean: Matrix
    scale: Matrix

    @classmethod
    def of(cls, inputs: Inputs) -> Features:
        """Fitted to these inputs, once: all heads of a router share it, and so its rows."""
        found = inputs.memo.get("features")
        if not isinstance(found, Features):
            found = inputs.memo["features"] = cls.fit(inputs)
        return found

    @classmethod
    def fit(cls, inputs: Inputs) -> Features:
        import numpy as np

        words = Words.fit(inputs.terms)
        parts = (inputs.lexical, words.rows(inputs.terms), inputs.vectors)
        # Components of one kind are scaled alike: their spread is part of what they say. Lexical marks are not.
        spread = [part.std(0) for part in parts]
        spread[1:] = [np.full(len(part), np.sqrt(np.mean(part**2))) for part in spread[1:]]
        mean = np.concatenate([part.mean(0) for part in parts])
        return cls(words, mean, (1.0 / np.maximum(np.concatenate(spread), 1e-3)).astype(np.float32))

    def rows(self, inputs: Inputs) -> Matrix:
        """Shape (N, F), computed once for the same inputs."""
        key = f"rows {id(self)}"
        if key not in inputs.memo:
            inputs.memo[key] = self._rows(inputs)
        rows: Matrix = inputs.memo[key]
        return rows

    def _rows(self, inputs: Inputs) -> Matrix:
        import numpy as np

        marks = 1 + inputs.lexical.shape[1]
        ones = np.ones((len(inputs), 1), np.float32)
        rows = np.concatenate([ones, inputs.lexical, self.words.rows(inputs.terms), inputs.vectors], axis=1)
        rows[:, 1:] -= self.mean
        rows[:, 1:] *= self.scale
        lexical = rows[:, 1:marks]
        np.minimum(np.maximum(lexical, -FARTHEST, out=lexical), FARTHEST, out=lexical)
        return rows

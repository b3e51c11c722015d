"""What routers look at: a batch of prompts with their vectors and cheap lexical features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log1p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOK = 2000
"""Characters that the lexical features look at; the length counts the rest too."""
OPTIONS = re.compile(r"(?:^|\n)\s*\(?[A-J][.):]\s")
CODE = re.compile(
    r"\bdef \w+\(|\bclass \w+|\bimport \w+|\breturn\b|```|[;{}]\s*\n|=>|\bfunction\b|\bSELECT\b|\bassert\b"
)
FORMULA = re.compile(r"[=+*/^<>≤≥√∑∫]|\\[a-z]+|\$")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"[^\W\d_]+")
ASKS = re.compile(r"\b(?:how many|how much|what|which|who|when|where|why|how|is|are|does|can)\b", re.IGNORECASE)
ORDERS = re.compile(
    r"\b(?:write|translate|summari[sz]e|explain|list|prove|rewrite|extract|find|compute)\b", re.IGNORECASE
)
COUNTED = (OPTIONS, CODE, FORMULA, NUMBER, WORD, ASKS, ORDERS)


def lexical(prompt: str, length: int) -> list[float]:
    """Cheap features: lengths, counts of marks of options, code, formulas and numbers, shares of kinds of letters."""
    text = prompt[:LOOK]
    seen = len(text) or 1
    counts = [log1p(len(pattern.findall(text))) for pattern in COUNTED]
    ascii_letters = len(text.encode("ascii", "ignore"))
    return [
        log1p(length),
        *counts,
        log1p(text.count("\n")),
        1.0 - ascii_letters / seen,
        sum(map(str.isupper, text)) / seen,
        float(text.rstrip().endswith("?")),
        float("?" in text),
        float('"' in text or "“" in text),
        float("___" in text or "_ _" in text),
        log1p(text.count(",")),
        log1p(text.rpartition("\n")[2].count(",")),
    ]


FEATURES = len(lexical("", 0))


@dataclass(frozen=True)
class Inputs:
    """N prompts: their text, the characters of the whole request each belongs to, and unit vectors (N, D)."""

    prompts: Sequence[str]
    lengths: Sequence[int]
    vectors: NDArray[np.float32]
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was computed of these prompts before. Arrays in it have one row a prompt."""
    groups: Sequence[str] = ()
    """Where prompts are fitted on: which of them are near-duplicates, never to be split."""

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def lexical(self) -> NDArray[np.float32]:
        """Shape (N, FEATURES)."""
        import numpy as np

        rows = [lexical(prompt, length) for prompt, length in zip(self.prompts, self.lengths, strict=True)]
        return np.array(rows, np.float32).reshape(len(rows), FEATURES)

    def rows(self, index: NDArray[np.intp]) -> Inputs:
        """The prompts at `index`, in that order."""
        import numpy as np

        chosen = index.tolist()
        memo = {key: value[index] if isinstance(value, np.ndarray) else value for key, value in self.memo.items()}
        prompts, lengths = [self.prompts[i] for i in chosen], [self.lengths[i] for i in chosen]
        groups = [self.groups[i] for i in chosen] if self.groups else ()
        part = Inputs(prompts, lengths, self.vectors[index], memo, groups)
        part.__dict__["lexical"] = self.lexical[index]
        return part


def inputs(prompts: Sequence[str], vectors: NDArray[np.float32], groups: Sequence[str] = ()) -> Inputs:
    """Prompts that are the whole of their requests, as in an outcome table."""
    return Inputs(prompts, [len(prompt) for prompt in prompts], vectors, groups=groups)

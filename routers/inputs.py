"""What routers look at: a batch of prompts with their vectors and cheap lexical features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log1p
from typing import TYPE_CHECKING, Any

from routers.words import ends, terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARKS = (
    ("def", "class", "import", "return", "function", "select", "assert", "{", "}", ";", "`"),
    ("=", "+", "*", "/", "^", "<", ">", "≤", "≥", "√", "∑", "∫", "\\", "$", "%"),
    tuple("0123456789"),
    ("what", "which", "who", "when", "where", "why", "how"),
    ("many", "much", "total", "each"),
    ("write", "translate", "explain", "list", "rewrite", "extract", "summarize"),
    ("prove", "if", "then", "all", "every", "true", "false", "not"),
    ("?",),
    (",",),
    ("_", "__", "___"),
    ('"', "“", "'"),
)
"""Words counted together: code, formulas, digits, questions, amounts, orders, logic, punctuation."""

GROUP = {mark: place for place, marks in enumerate(MARKS) for mark in marks}
KNOWN = GROUP.keys()


def lexical(prompt: str, length: int, counts: Counter[str]) -> list[float]:
    """Cheap features: lengths, and how often each of MARKS occurs at the ends of the prompt."""
    text = ends(prompt)
    often = [0] * len(MARKS)
    for mark in counts.keys() & KNOWN:
        often[GROUP[mark]] += counts[mark]
    return [
        log1p(length),
        log1p(text.count("\n")),
        0.0 if text.isascii() else 1.0 - len(text.encode("ascii", "ignore")) / (len(text) or 1),
        float(text.rstrip().endswith("?")),
        log1p(text.rpartition("\n")[2].count(",")),
        log1p(text.count("\nA") + text.count("\nB") + text.count("\nC")),
        *map(log1p, often),
    ]


FEATURES = len(lexical("", 0, Counter()))


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

        rows = [lexical(*prompt) for prompt in zip(self.prompts, self.lengths, self.terms, strict=True)]
        return np.array(rows, np.float32).reshape(len(rows), FEATURES)

    @cached_property
    def terms(self) -> list[Counter[str]]:
        """The counted words of each prompt."""
        return [terms(prompt) for prompt in self.prompts]

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

"""Finds prompts that are the same or nearly so, so that a split never puts one in train and its twin in test."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAR = 0.85
"""Cosine of the word-pair counts of two prompts from which they are near-duplicates."""

WORDS = re.compile(r"\w+")
BUCKETS = 4096
BLOCK = 1024


def normalised(prompt: str) -> str:
    """The prompt without case, spacing and punctuation."""
    return " ".join(WORDS.findall(prompt.lower()))


def groups(prompts: Sequence[str], near: float = NEAR) -> list[str]:
    """A group name for each prompt: prompts that are equal when normalised, or near-duplicates of one another
    (also through a third), share it. Time grows with the square of the number of prompts."""
    plain = [normalised(prompt) for prompt in prompts]
    different = list(dict.fromkeys(plain))
    parent = list(range(len(different)))
    for first, second in _near(_vectors(different), near):
        parent[_root(parent, first)] = _root(parent, second)
    names = {text: f"g{_root(parent, i)}" for i, text in enumerate(different)}
    return [names[text] for text in plain]


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of counts of words and word pairs, hashed into BUCKETS."""
    import numpy as np

    counts = np.zeros((len(texts), BUCKETS), dtype=np.float32)
    for row, text in zip(counts, texts, strict=True):
        words = text.split()
        pairs = (f"{a} {b}" for a, b in zip(words, words[1:], strict=False))
        for piece in (*words, *pairs):
            row[zlib.crc32(piece.encode()) % BUCKETS] += 1.0
    counts /= np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
    return counts


def _near(vectors: NDArray[np.float32], near: float) -> list[tuple[int, int]]:
    import numpy as np

    found: list[tuple[int, int]] = []
    for start in range(0, len(vectors), BLOCK):
        close = np.argwhere(vectors[start : start + BLOCK] @ vectors[start:].T >= near) + start
        found.extend((int(a), int(b)) for a, b in close if a < b)
    return found


def split(groups: Sequence[str], test: float = 0.2) -> list[str]:
    """`train` or `test` for each prompt, by a hash of its group: whole groups, the same on every machine."""
    limit = int(test * 2**32)
    return ["test" if zlib.crc32(group.encode()) < limit else "train" for group in groups]

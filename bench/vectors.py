"""Vectors of many prompts, made once and kept on disk: encoding is what a benchmark of routers mostly waits for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from routers.base import Encoder
from routers.fit import embed, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def vectors(prompts: Sequence[str], encoder: Encoder, folder: Path) -> NDArray[np.float32]:
    """Unit vectors, shape (N, D), from `folder` if these prompts were encoded before; else with a progress bar."""
    import numpy as np

    path = folder / f"{key(prompts, name_of(encoder))}.npy"
    if path.exists():
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return kept
    made = made_anew(prompts, encoder)
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, made)
    part.replace(path)
    return made


def made_anew(prompts: Sequence[str], encoder: Encoder) -> NDArray[np.float32]:
    """Each different prompt once."""
    different = list(dict.fromkeys(prompts))
    place = {prompt: i for i, prompt in enumerate(different)}
    made: NDArray[np.float32] = embed(different, encoder)[[place[prompt] for prompt in prompts]]
    return made


def key(prompts: Sequence[str], encoder: str) -> str:
    """The file's name: other prompts, another order or another encoder give another."""
    digest = hashlib.sha256(encoder.encode())
    for prompt in prompts:
        digest.update(prompt.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:24]

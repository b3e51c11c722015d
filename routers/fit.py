"""Makes a router from an outcome table, saves it and loads it.

A saved router is a folder with two files: `router.safetensors` and `router.json`, which also says from which
table, encoder and date it comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.base import SetupError
from experts.build import load as load_class
from routers.base import Encoder, Router
from routers.blind import Blind
from routers.clusters import learn_unscored
from routers.costs import Costs
from routers.features import Features
from routers.inputs import inputs
from routers.learned import Learned
from routers.outcomes import Outcomes, TableError, read
from routers.saved import TRUSTED, load, save

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT = "routers.blend:Blend"
BATCH = 32
WORDS = "words"
"""The folder, beside the router, of the one that looks at words alone."""
WORD_HEADS = ("routers.domain:Domains", "routers.linear:Linear")


def fit(
    table: Path,
    encoder: Encoder,
    folder: Path,
    made: str,
    use: str = DEFAULT,
    options: Mapping[str, Any] | None = None,
) -> Learned:
    """Fits the head `use` (an import string) on all splits but `test` and saves the router in `folder`.
    `made` is the date to be written down, `options` are the head's. Shows a progress bar. Raises SetupError."""
    import numpy as np

    outcomes = read(table)
    chosen = outcomes.rows([i for i, split in enumerate(outcomes.splits) if split != "test"])
    if not np.isfinite(chosen.score).any():
        raise TableError(f"outcome table {table.name} has no scored row outside the split `test`")
    router = train(chosen, embed(chosen.prompts, encoder), use, name_of(encoder), options)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    about = {"head": use, "table": table.name, "sha256": digest, "prompts": len(chosen), "made": made}
    save(folder, router, about)
    save(folder / WORDS, train_words(chosen), about | {"head": "words"})
    return router


def train(
    outcomes: Outcomes,
    embeddings: NDArray[np.float32],
    use: str = DEFAULT,
    encoder: str = "",
    options: Mapping[str, Any] | None = None,
) -> Learned:
    """A router of the head `use`, an import string; `embeddings` (N, D) are unit vectors of the table's prompts. Those
    without any score teach what prompts are like: which words matter, how vectors are spread, where clusters lie."""
    import numpy as np

    head = load_class(use, "router.use")
    seen = inputs(outcomes.prompts, embeddings, outcomes.groups)
    scored = np.flatnonzero(np.isfinite(outcomes.score).any(1))
    if len(scored) < len(outcomes):
        Features.of(seen)
        learn_unscored(seen)
        seen, outcomes = seen.rows(scored), outcomes.rows(scored.tolist())
    quality = head.fit(seen, outcomes.score, outcomes.domains, **(options or {}))
    costs = Costs.fit(seen, outcomes)
    return Learned(outcomes.experts, quality, costs, Blind.fit(outcomes), encoder, embeddings.shape[1])


def train_words(outcomes: Outcomes) -> Learned:
    """A router that knows nothing but the words of a prompt: every vector is `word_vector`."""
    import numpy as np

    vectors = np.repeat(word_vector()[None], len(outcomes), axis=0)
    return train(outcomes, vectors, options={"heads": WORD_HEADS})


def word_vector() -> NDArray[np.float32]:
    """What stands for a vector where there is none."""
    import numpy as np

    return np.ones(1, np.float32)


def embed(prompts: Sequence[str], encoder: Encoder) -> NDArray[np.float32]:
    """Vectors of all prompts, (N, D), with a progress bar on stderr."""
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    starts = range(0, len(prompts), BATCH)
    bar = track(starts, "embedding prompts", console=Console(stderr=True), transient=True)
    parts = [encoder.encode(prompts[start : start + BATCH]) for start in bar]
    return np.concatenate(parts) if parts else np.zeros((0, encoder.dimensions), np.float32)


def load_router(folder: Path | str, trusted: Sequence[str] = TRUSTED) -> Router:
    """The router saved in `folder`. Raises SetupError."""
    router, _ = load(Path(folder), trusted)
    if not isinstance(router, Learned):
        raise SetupError(f"router: {folder} holds something else than a router; make one with `lyceum fit`")
    warm(router)
    return router


def warm(router: Learned) -> None:
    """Makes what is made on first use (an index, say), so that no request waits for it."""
    import numpy as np

    vector = np.full((1, router.dimensions), router.dimensions**-0.5, np.float32)
    router.told(inputs(("",), vector))


def encoder_of(router: Router) -> str:
    """The name of the encoder whose vectors the router wants; empty if it wants none."""
    return str(getattr(router, "encoder", ""))


def check_encoder(router: Router, encoder: Encoder) -> None:
    """Raises SetupError if the router learned from another encoder's vectors."""
    wanted, given = encoder_of(router), name_of(encoder)
    if wanted and wanted != given:
        raise SetupError(f"router: it was fitted with encoder {wanted}, not {given}; set that one or fit anew")


def name_of(encoder: Encoder) -> str:
    return str(getattr(encoder, "name", type(encoder).__name__))

"""Loads what is in use: the policy of the configuration, the fitted router, and its encoder's vectors of a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import recording
from bench.frontier import Points, predict, sweep
from bench.replay import Replayed, replay
from experts.base import SetupError
from experts.build import build
from routers.base import Router
from routers.fit import check_encoder, embed, load_router
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDED = Path(__file__).parent.parent / "gateway" / "lyceum.toml"
"""The configuration that comes with us: a file that is read, nothing of the gateway is imported."""


@dataclass(frozen=True, slots=True)
class Live:
    """What is in use, as far as it can be had; `lacks` says in one line what is missing and how to get it."""

    router: Points | None = None
    policy: Replayed | None = None
    lacks: str = ""


def configuration(path: Path | None) -> Mapping[str, Any]:
    """The tables of the file given, of ./lyceum.toml, or of the one that comes with us. Raises SetupError."""
    own = Path("lyceum.toml")
    chosen = path or (own if own.exists() else EMBEDDED)
    try:
        return tomllib.loads(chosen.read_text())
    except (OSError, ValueError) as error:
        raise SetupError(f"--config {chosen}: cannot be read: {error}") from error


def live(tables: Mapping[str, Any], folder: Path, table: Path, test: Outcomes) -> Live:
    """The sweep of the fitted router in `folder` and the replay of the configured policy, over `test`."""
    try:
        router = load_router(folder)
        vectors = embedded(tables, router, test)
        swept = sweep(
            str(tables.get("router", {}).get("use", "router")).split(":")[-1], predict(router, test, vectors), test
        )
    except SetupError as error:
        return Live(lacks=str(error))
    try:
        policy = build(tables["policy"], "policy")
        return Live(swept, replay(policy, router, replace(recording(table, test), embeddings=vectors)))
    except (SetupError, KeyError) as error:
        return Live(swept, lacks=f"the policy cannot be replayed: {error}")


def embedded(tables: Mapping[str, Any], router: Router, test: Outcomes) -> NDArray[np.float32] | None:
    """The vectors of the prompts by the configured encoder; `None` if there is none. Raises SetupError."""
    if "encoder" not in tables:
        return None
    encoder = build(tables["encoder"], "encoder")
    check_encoder(router, encoder)
    return embed(test.prompts, encoder)

"""`lyceum bench encoders`: what shorter or cheaper vectors lose in routing quality, on prompts of train alone.

Each half of a set's train prompts is routed by a router that was fitted on the other half, in several ways to halve
them, so that the test part stays unseen and an encoder can be chosen by the figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import data, frontier, statistics
from bench.routers import encoder_of
from bench.vectors import vectors
from routers.fit import name_of, train, train_words, word_vector
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HELP = "what shorter or cheaper vectors lose in routing quality, by halves of train alone"
EXAMPLE = "lyceum bench encoders --data llmrouter9"
MINILM = '{{ use = "routers.encoders:MiniLM", precision = "int8", tokens = {} }}'
ENCODERS = (MINILM.format(128), MINILM.format(64))
WORDS = "words"
"""No encoder: what words and marks alone bring."""
UNLIMITED = 1e18
"""Nano-dollars that quality is worth where cost does not matter."""
SPLITS = 3
"""One would not do: what two halves teach differs by more than what encoders do."""
WIDTH = 120
"""Columns that the table needs."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which encoders, which data."""
    told = f"import string or table as in lyceum.toml, or `{WORDS}`; may be repeated; the first is what others lose to"
    parser.add_argument("--encoder", action="append", metavar="ENCODER", help=told)
    parser.add_argument("--data", action="append", metavar="NAME", help="a data set; may be repeated; default: all")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"ways to halve (default {SPLITS})")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, routes, shows."""
    import orjson

    place = data.folder(args.folder)
    bar = track(args.data or data.names(place), "sets", console=Console(stderr=True), transient=True)
    rows = [row for name in bar for row in compared(args, data.load(name, place).train, name)]
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    table = Table("set", "prompts", "encoder", "score", "change", "at a middle price", title="Halves of train")
    for row in rows:
        changes = (f"{row[key].value:+.4f} [{row[key].low:+.4f}, {row[key].high:+.4f}]" for key in ("any", "middle"))
        table.add_row(row["data"], str(row["prompts"]), row["encoder"], f"{row['score']:.4f}", *changes)
    Console(width=max(Console().width, WIDTH)).print(table)
    return 0


def compared(args: argparse.Namespace, outcomes: Outcomes, name: str) -> list[dict[str, Any]]:
    """A row for each encoder: its score, and its change against the first, quality alone and less cost."""
    import numpy as np

    whole = np.flatnonzero(np.isfinite(outcomes.score + outcomes.cost).all(1))
    asked = outcomes.rows(whole.tolist())
    prices = frontier.prices(asked.cost)
    worth = {"any": UNLIMITED, "middle": float(prices[len(prices) // 2])}
    rows, first = [], None
    for given in args.encoder or (*ENCODERS, WORDS):
        label, seen = encoded(given, outcomes.prompts, args.state / "vectors")
        got = routed(asked, seen[whole], worth, args.splits)
        first = got if first is None else first
        change = {key: statistics.difference(got[key], first[key], asked.groups) for key in worth}
        score = float(got["any"].mean())
        rows.append({"data": name, "prompts": len(asked), "encoder": label, "score": score, **change})
    return rows


def encoded(given: str, prompts: Sequence[str], kept: Path) -> tuple[str, NDArray[np.float32]]:
    """The encoder's name and the vectors of the prompts."""
    import numpy as np

    if given == WORDS:
        return WORDS, np.repeat(word_vector()[None], len(prompts), axis=0)
    encoder = encoder_of(given)
    return name_of(encoder), vectors(prompts, encoder, kept)


def routed(
    outcomes: Outcomes, seen: NDArray[np.float32], worth: dict[str, float], splits: int = SPLITS
) -> dict[str, Array]:
    """At each price, each prompt's score less its cost, routed by what was fitted on the other half: the mean of the
    splits."""
    import numpy as np

    got = {key: np.zeros(len(outcomes)) for key in worth}
    for seed, turn in product(range(1, splits + 1), (0, 1)):
        half = halves(outcomes.groups, seed)
        held, rest = np.flatnonzero(half == turn), np.flatnonzero(half != turn)
        known, asked = outcomes.rows(rest.tolist()), outcomes.rows(held.tolist())
        router = train_words(known) if seen.shape[1] == 1 else train(known, seen[rest])
        told = frontier.predict(router, asked, seen[held])
        for key, price in worth.items():
            choice = frontier.choose(told, price)[:, None]
            got[key][held] += np.take_along_axis(asked.score - asked.cost / price, choice, 1)[:, 0] / splits
    return got


def halves(groups: Sequence[str], seed: int) -> NDArray[np.intp]:
    """0 or 1 for each prompt, the same for all of a group."""
    import numpy as np

    names, place = np.unique(np.array(groups), return_inverse=True)
    found: NDArray[np.intp] = (np.random.default_rng(seed).permutation(len(names)) % 2)[place]
    return found

"""`lyceum bench addition`: what one more head would add to the default blend, by cross-validation on train alone.

The test part stays unseen, so that a head can be turned on or off by it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import data, statistics
from bench.routers import ENCODER, encoder_of
from bench.statistics import Interval
from bench.vectors import vectors
from experts.build import load
from routers.blend import FOLDS, HEADS, Blend, folds
from routers.inputs import Inputs, inputs
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HELP = "what one more head would add to the default blend, by cross-validation on train alone"
EXAMPLE = "lyceum bench addition --data llmrouter9"
HEAD = "routers.memory:Memory"
SEED = 1
"""Other folds than those within the blend."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which head, which data."""
    parser.add_argument("--head", default=HEAD, help=f"import string (default {HEAD})")
    parser.add_argument("--data", action="append", metavar="NAME", help="a data set; may be repeated; default: own")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--prompts", type=int, default=0, help="a random part of so many; default: all")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--repetitions", type=int, default=2000, help="bootstrap resamples (default 2000)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, scores, prints."""
    import orjson

    rows = [row for name in args.data or ["own"] for row in compared(args, name)]
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    table = Table("set", "prompts", "router", "score", "over the blend")
    for row in rows:
        table.add_row(row["data"], str(row["prompts"]), row["router"], f"{row['score']:.4f}", str(row["gain"]))
    Console().print(table)
    return 0


def compared(args: argparse.Namespace, name: str) -> list[dict[str, Any]]:
    """A row for the blend, for the blend with the head, and for the head alone."""
    outcomes, seen = part(args, name)
    added = Blend.fit, {"heads": (*HEADS, args.head)}
    ways = {"blend": (Blend.fit, {}), "blend and head": added, "head alone": (load(args.head, "--head").fit, {})}
    progress = track(ways.items(), name, console=Console(stderr=True), transient=True)
    got = {way: scores(outcomes, seen, fit, options) for way, (fit, options) in progress}
    return [
        {
            "data": name,
            "prompts": len(outcomes),
            "router": way,
            "score": float(score.mean()),
            "gain": gain(score - got["blend"], outcomes.groups, args.repetitions),
        }
        for way, score in got.items()
    ]


def part(args: argparse.Namespace, name: str) -> tuple[Outcomes, Inputs]:
    """The train prompts, or as many of them as are asked for."""
    import numpy as np

    outcomes = data.load(name, data.folder(args.folder)).train
    made = vectors(outcomes.prompts, encoder_of(args.encoder), args.state / "vectors")
    if args.prompts:
        chosen = np.sort(np.random.default_rng(SEED).permutation(len(outcomes))[: args.prompts])
        outcomes, made = outcomes.rows(chosen.tolist()), made[chosen]
    return outcomes, inputs(outcomes.prompts, made, outcomes.groups)


def scores(outcomes: Outcomes, seen: Inputs, fit: Any, options: dict[str, Any]) -> Array:
    """The score (N,) of the expert chosen for each prompt by a head that was fitted without it, quality alone."""
    import numpy as np

    fold, got = folds(outcomes.groups, SEED), np.zeros(len(outcomes))
    for turn in range(FOLDS):
        held, rest = np.flatnonzero(fold == turn), np.flatnonzero(fold != turn)
        domains = [outcomes.domains[i] for i in rest.tolist()]
        head = fit(seen.rows(rest), outcomes.score[rest], domains, **options)
        choice = head.predict(seen.rows(held))[0].argmax(1)
        got[held] = np.nan_to_num(outcomes.score[held, choice])
    return got


def gain(difference: Array, groups: Sequence[str], repetitions: int) -> Interval:
    """The mean with its interval, by resampling groups of duplicates."""
    import numpy as np

    means = statistics.resampled_means(difference[:, None], groups, 0, repetitions)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(difference.mean()), float(low), float(high), len(difference))

"""`lyceum bench joining`: how good a router is to which an expert was added from a few hundred probes.

All on train: one half fits, the other is routed. Each of some experts in turn is left out of the fit, joins from its
probes, and what the router then brings is set against what it brings with all labels of that expert.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import compare, data, frontier
from bench.encoders import halves
from bench.routers import ENCODER, encoder_of
from bench.vectors import vectors
from experts.base import SetupError
from routers.base import Router
from routers.fit import train
from routers.joined import join
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[Outcomes, NDArray[np.float32]]

HELP = "how good a router is to which an expert was added from a few hundred probes, by halves of train"
EXAMPLE = "lyceum bench joining --data llmrouter9 --probes 400"
PROBES = 400
SEED = 1
FIGURES = ("best", "aiq")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data, how many probes."""
    parser.add_argument("--data", action="append", metavar="NAME", help="a data set; may be repeated; default: own")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--probes", type=int, default=PROBES, help=f"prompts of the newcomer (default {PROBES})")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, adds, shows."""
    import orjson

    bar = track(args.data or ["own"], "sets", console=Console(stderr=True), transient=True)
    rows = [row for name in bar for row in measured(args, name)]
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    table = Table("set", "newcomer", "probes", "of the score", "of the AIQ", title="Of what all labels bring")
    for row in rows:
        shares = (f"{row[key]:.1%}" for key in FIGURES)
        table.add_row(row["data"], row["expert"], str(row["probes"]), *shares)
    Console().print(table)
    return 0


def measured(args: argparse.Namespace, name: str) -> list[dict[str, Any]]:
    """A row for each newcomer: the best three experts, and one in the middle."""
    import numpy as np

    outcomes = data.load(name, data.folder(args.folder)).train
    if len(outcomes.experts) < 2:
        raise SetupError(f"--data {name}: with one expert there is nobody to join")
    seen = vectors(outcomes.prompts, encoder_of(args.encoder), args.state / "vectors")
    whole = np.isfinite(outcomes.score + outcomes.cost).all(1)
    half = halves(outcomes.groups, SEED)
    fit, held = (part(outcomes, seen, np.flatnonzero(whole & (half == turn))) for turn in (0, 1))
    full = brought(train(*fit), fit, held)
    best = np.argsort(-np.nanmean(fit[0].score, axis=0), kind="stable").tolist()
    chosen = [outcomes.experts[i] for i in dict.fromkeys([*best[:3], best[len(best) // 2]])]
    rows = []
    for expert in chosen:
        got = brought(joined(fit, expert, args.probes), fit, held)
        shares = {key: got[key] / full[key] for key in FIGURES}
        rows.append({"data": name, "expert": expert, "probes": min(args.probes, len(fit[0])), **shares})
    return rows


def part(outcomes: Outcomes, seen: NDArray[np.float32], rows: NDArray[np.intp]) -> Part:
    """These prompts and their vectors."""
    return outcomes.rows(rows.tolist()), seen[rows]


def joined(fit: Part, expert: str, probes: int) -> Router:
    """A router of all others, with the expert added from so many random prompts."""
    import numpy as np

    known, seen = fit
    chosen = np.random.default_rng(SEED).permutation(len(known))[:probes]
    others = train(known.only([name for name in known.experts if name != expert]), seen)
    return join(others, known.rows(chosen.tolist()).only([expert]), seen[chosen])


def brought(router: Router, fit: Part, held: Part) -> dict[str, float]:
    """The score at the highest price of quality, and the AIQ."""
    points = frontier.sweep("router", frontier.predict(router, *held), held[0])
    figures = compare.compare(points, frontier.baselines(fit[0], held[0]), 0, 2).figures
    return {key: figures[key].value for key in FIGURES}

"""`lyceum bench by-task`: what the default router brings on each task of a set, and on their average.

A set of several tasks is often told as the mean of the tasks, however many prompts each has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench import data, frontier, metrics
from bench.data import DataSet
from bench.routers import ENCODER, encoder_of
from bench.vectors import vectors
from experts.base import SetupError
from routers.fit import DEFAULT, train

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HELP = "what the default router brings on each task of a set, and on their average"
EXAMPLE = "lyceum bench by-task --data experts7b --task mmlu --task gsm8k --task cmmlu --task arc_challenge"
UNLIMITED = 1e18
"""Nano-dollars that quality is worth: the best answer, whatever it costs."""
MEAN = "mean of tasks"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data, which tasks."""
    parser.add_argument("--data", default="own", metavar="NAME", help="a data set (default own)")
    parser.add_argument(
        "--task", action="append", metavar="TASK", help="end of a domain; may be repeated; default: all"
    )
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--router", default=DEFAULT, help=f"import string of the head (default {DEFAULT})")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits on train, scores test, shows."""
    import orjson

    each = data.load(args.data, data.folder(args.folder))
    rows = by_task(args, each)
    if args.json:
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return 0
    table = Table("task", "prompts", "best single", "router", "oracle", title=each.name)
    for name, row in rows.items():
        table.add_row(name, str(int(row["prompts"])), *(f"{row[key]:.4f}" for key in ("single", "router", "oracle")))
    Console().print(table)
    return 0


def by_task(args: argparse.Namespace, each: DataSet) -> dict[str, dict[str, float]]:
    """Rows of figures by task, their mean last."""
    import numpy as np

    tasks = np.array([domain.rpartition("/")[2] for domain in each.test.domains])
    names = args.task or list(dict.fromkeys(tasks.tolist()))
    if missing := set(names) - set(tasks.tolist()):
        raise SetupError(f"--task {', '.join(sorted(missing))}: no such task in {each.name}")
    got = scores(args, each)
    rows = {}
    for name in names:
        of_it = tasks == name
        rows[name] = {"prompts": float(of_it.sum()), **{key: float(score[of_it].mean()) for key, score in got.items()}}
    mean = {key: float(np.mean([row[key] for row in rows.values()])) for key in got}
    return {**rows, MEAN: {"prompts": sum(row["prompts"] for row in rows.values()), **mean}}


def scores(args: argparse.Namespace, each: DataSet) -> dict[str, Array]:
    """The score of each test prompt: by the best single expert of train, the router, and the oracle."""
    encoder, kept = encoder_of(args.encoder), args.state / "vectors"
    seen, shown = (vectors(part.prompts, encoder, kept) for part in (each.train, each.test))
    with Console(stderr=True).status(f"fitting on {len(each.train):,} prompts"):
        told = frontier.predict(train(each.train, seen, args.router), each.test, shown)
    return {
        "single": each.test.score[:, frontier.baselines(each.train, each.test).best],
        "router": metrics.taken(each.test.score, frontier.choose(told, UNLIMITED)),
        "oracle": each.test.score.max(axis=1),
    }

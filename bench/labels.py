"""`lyceum bench labels`: how good a router of a weak and a strong expert is from few labels, by RouteLLM's figures.

Labels are a random part of the train prompts; of the others the router sees the words and the vector. What is not
prompt or score, such as the subject, is never shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import data, frontier
from bench.contest import pair_intervals
from bench.frontier import Predictions
from bench.routers import ENCODER, encoder_of, short
from bench.statistics import Interval
from bench.vectors import vectors
from experts.base import SetupError
from routers.fit import DEFAULT, train
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Part = tuple[Outcomes, Vectors]

HELP = "APGR and CPT of a router of two experts that learned from few labels and no subjects"
EXAMPLE = "lyceum bench labels --labels 500 --labels 1500"
LABELS = (500, 1500)
SEEDS = 5
DOMAIN = "general"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data, how many labels."""
    parser.add_argument("--data", default="routellm_pair", metavar="NAME", help="a set of two experts")
    parser.add_argument("--without", default="gsm8k", help="domains that are left out, by their beginning")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--labels", type=int, action="append", metavar="N", help="default: 500 and 1500")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"random parts, of which the mean (default {SEEDS})")
    parser.add_argument("--router", default=DEFAULT, help=f"import string of the head (default {DEFAULT})")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--repetitions", type=int, default=400, help="bootstrap resamples (default 400)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, scores, prints."""
    each = data.load(args.data, data.folder(args.folder))
    if len(each.test.experts) != 2:
        raise SetupError(f"--data {args.data}: has {len(each.test.experts)} experts, not two")
    encoder, folder = encoder_of(args.encoder), args.state / "vectors"
    known, test = (bare(part, vectors(part.prompts, encoder, folder), args.without) for part in (each.train, each.test))
    rows = {count: figures(args, known, test, count) for count in args.labels or LABELS}
    if args.json:
        import orjson

        body = [{"labels": count, **row} for count, row in rows.items()]
        sys.stdout.write(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
        return 0
    title = f"{args.data}: {len(test[0])} test prompts, mean of {args.seeds} random sets of labels"
    Console().print(table(rows, title))
    return 0


def bare(part: Outcomes, seen: Vectors, without: str) -> Part:
    """Without the domains that begin so, and without a word of the others."""
    kept = [i for i, domain in enumerate(part.domains) if not (without and domain.startswith(without))]
    return replace(part.rows(kept), domains=(DOMAIN,) * len(kept)), seen[kept]


def figures(args: argparse.Namespace, known: Part, test: Part, count: int) -> Mapping[str, Interval]:
    """The mean over seeds, each with other labels."""
    said: list[Predictions] = []
    for seed in track(range(args.seeds), f"{count} labels", console=Console(stderr=True), transient=True):
        router = train(labelled(known[0], count, seed), known[1], args.router)
        said.append(frontier.predict(router, *test))
    return pair_intervals(said, frontier.baselines(known[0], test[0]), args.repetitions)


def labelled(known: Outcomes, count: int, seed: int) -> Outcomes:
    """The same prompts, so many random ones with their scores."""
    import numpy as np

    score = np.full(known.score.shape, np.nan)
    chosen = np.random.default_rng(seed).permutation(len(known))[:count]
    score[chosen] = known.score[chosen]
    return replace(known, score=score)


def table(rows: Mapping[int, Mapping[str, Interval]], title: str) -> Table:
    """The terminal's version."""
    found = Table("labels", "APGR", "CPT50", "CPT80", title=title, title_justify="left")
    for count, row in rows.items():
        found.add_row(str(count), *(short(row[name]) for name in ("apgr", "cpt50", "cpt80")))
    return found

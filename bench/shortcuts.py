"""`lyceum bench shortcuts`: what quicker ways to a decision lose, int8 vectors and words alone, with intervals."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import data, frontier, statistics
from bench.data import DataSet
from bench.frontier import Predictions
from bench.statistics import Interval
from bench.vectors import vectors
from routers.encoders import MiniLM
from routers.fit import train, train_words, word_vector
from routers.learned import Learned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELP = "what int8 vectors and deciding by words alone lose in routing quality"
EXAMPLE = "lyceum bench shortcuts --data own"

MARGINS = (0.5, 1.0, 2.0)
"""Standard errors by which words must be sure; the gateway takes 1."""
WIDTH = 110
"""Columns that the table needs."""
UNLIMITED = 1e18
"""Nano-dollars that quality is worth where cost does not matter."""
OWN_PRICE = 300_000.0
"""The price of quality in the configuration that comes with us, in nano-dollars."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One shortcut on one data set at one price of quality. `change` is in scores, costs counted at that price."""

    data: str
    price: float
    shortcut: str
    decides: float
    """The share of prompts that it decides; the vector decides the others."""
    change: Interval


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which data."""
    parser.add_argument("--data", action="append", metavar="NAME", help="a data set; may be repeated; default: our own")
    parser.add_argument("--folder", type=Path, help=f"shared data sets; default: ${data.VARIABLE}, else {data.SHARED}")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="where vectors are kept")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, compares, shows."""
    place, names = data.folder(args.folder), args.data or ["own"]
    sets = [data.load(name, place) for name in names]
    bar = track(sets, "fitting and deciding", console=Console(stderr=True), transient=True)
    losses = [loss for each in bar for loss in measured(each, args.state / "vectors")]
    if args.json:
        sys.stdout.write(json.dumps([asdict(loss) for loss in losses], indent=2) + "\n")
        return 0
    table = Table("data", "price of quality", "shortcut", "decides", "change of score less cost", "95 %")
    for loss in losses:
        price = "any" if loss.price == UNLIMITED else f"${loss.price / 1e9:.3g}"
        change = loss.change
        interval = f"{change.low:+.4f} to {change.high:+.4f}"
        table.add_row(loss.data, price, loss.shortcut, f"{loss.decides:.0%}", f"{change.value:+.4f}", interval)
    Console(width=max(Console().width, WIDTH)).print(table)
    return 0


def measured(given: DataSet, kept: Path) -> list[Loss]:
    """All shortcuts against the router with fp32 vectors, on prompts that neither has seen."""
    import numpy as np

    whole, short = (fitted(given, MiniLM(precision=precision), kept) for precision in ("fp32", "int8"))
    words = predicted(train_words(given.train), given, np.repeat(word_vector()[None], len(given.test), axis=0))
    middle = float(frontier.prices(given.test.cost)[len(frontier.prices(given.test.cost)) // 2])
    losses = []
    for price in (OWN_PRICE if given.name == "own" else middle, UNLIMITED):
        best, lead = frontier.choose(whole, price), sure(words, price)
        losses.append(loss(given, price, "int8 vectors", frontier.choose(short, price), best))
        for margin in MARGINS:
            choice = np.where(lead > margin, frontier.choose(words, price), best)
            share = float(np.mean(lead > margin))
            losses.append(loss(given, price, f"words, if sure by {margin:g}", choice, best, share))
    return losses


def fitted(given: DataSet, encoder: MiniLM, kept: Path) -> Predictions:
    """The default router's estimates with an encoder's vectors."""
    router = train(given.train, vectors(given.train.prompts, encoder, kept))
    return predicted(router, given, vectors(given.test.prompts, encoder, kept))


def predicted(router: Learned, given: DataSet, shown: NDArray[np.float32]) -> Predictions:
    """A router's estimates of the test prompts, doubts included."""
    return frontier.predict(router, given.test, shown)


def sure(known: Predictions, price: float) -> NDArray[np.float64]:
    """By how many standard errors each choice leads, as the gateway counts: its own doubt and the largest other's."""
    import numpy as np

    rows, choice = np.arange(len(known.quality)), frontier.choose(known, price)
    worth = known.quality - known.cost / price
    others, doubts = worth.copy(), known.std.copy()
    others[rows, choice], doubts[rows, choice] = -np.inf, 0.0
    doubt = np.hypot(known.std[rows, choice], doubts.max(1))
    lead: NDArray[np.float64] = (worth[rows, choice] - others.max(1)) / np.maximum(doubt, 1e-9)
    return lead


def loss(
    given: DataSet, price: float, name: str, choice: NDArray[np.int64], best: NDArray[np.int64], share: float = 1.0
) -> Loss:
    """The score that each choice brought less its cost, against the best way's."""
    import numpy as np

    rows, test = np.arange(len(best)), given.test
    worth = test.score - test.cost / price
    change = statistics.difference(worth[rows, choice], worth[rows, best], test.groups)
    return Loss(given.name, price, name, share, change)

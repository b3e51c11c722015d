"""`lyceum bench paretobandit`: reward at ParetoBandit's seven budgets, beside what it published and the zero router.

Its validation prompts fit the router and set, for each budget, the price of quality and how the stream is paced; its
test prompts come in twenty random orders, each a stream that has to keep to the budget. Nothing is learned from the
test prompts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import data, metrics, statistics
from bench.data import DataSet
from bench.replay import cards
from bench.routers import ENCODER, encoder_of
from bench.statistics import Interval
from bench.vectors import vectors
from experts.base import Request
from experts.card import NANO, nano
from policies.base import Ask, State
from policies.pacing import Paced
from policies.pick import Utility
from routers.base import Estimates
from routers.blend import FOLDS, folds
from routers.fit import train
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Vectors = NDArray[np.float32]

HELP = "reward at ParetoBandit's seven budgets, beside what it published and the zero router"
EXAMPLE = "lyceum bench paretobandit --json"

BUDGETS = (2.9e-5, 8.3e-5, 2.3e-4, 6.6e-4, 1.9e-3, 5.3e-3, 1.5e-2)
"""US dollars a request, as in its paper (arXiv 2604.00136)."""
PUBLISHED = (0.793, 0.813, 0.859, 0.898, 0.917, 0.924, 0.929)
"""Its reward at each, of the same paper, on the same test prompts under its own judge."""
ORDERS = 20
SETTLED = 200
"""Requests after which a prefix of a stream counts as one that should be within its budget."""
MOST_EARLY = 1.05
"""What a settled prefix may have used of its budget."""
WAYS = tuple(product((1.0, 2.0, 4.0), (300.0, 1000.0)))
"""Reserves and horizons of the pacing, of which each budget takes what is best on the validation prompts."""
TRIED = 4
"""Orders of the validation prompts in which each is tried."""
GRANTED = 0.998
"""Of the budget: the rest pays for calls that cost more than the high end of their estimate."""


@dataclass(frozen=True, slots=True)
class Row:
    """One budget: mean reward over all orders and its difference to the zero router, with intervals over groups of
    prompts; what the streams used of their budget; the highest of any order's prefixes; and two bounds."""

    budget: float
    reward: Interval
    over_zero: Interval
    zero: float
    published: float
    oracle: float
    used: float
    used_most: float
    prefix_most: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where the data lies."""
    parser.add_argument("--folder", type=Path, help="val.jsonl and test_holdout.jsonl; default: the installed wheel's")
    parser.add_argument("--encoder", default=ENCODER, help="import string, or a table as in lyceum.toml")
    parser.add_argument("--state", type=Path, default=Path("state/bench"), help="for vectors")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"arrival orders (default {ORDERS})")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Fits, streams, prints."""
    recorded = data.paretobandit(args.folder)
    encoder = encoder_of(args.encoder)
    seen, shown = (vectors(part.prompts, encoder, args.state / "vectors") for part in (recorded.train, recorded.test))
    rows = measure(recorded, seen, shown, args.orders)
    if args.json:
        import orjson

        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
        sys.stdout.write(orjson.dumps(rows, option=options).decode())
        return 0
    Console(width=max(Console().width, 120)).print(table(rows, len(recorded.test), args.orders))
    return 0


def measure(recorded: DataSet, seen: Vectors, shown: Vectors, orders: int) -> list[Row]:
    """All budgets."""
    estimates = told(recorded.train, seen, recorded.test, shown)
    unseen = held_out(recorded.train, seen)
    worth = prices(recorded.train, unseen)
    bar = track(
        zip(BUDGETS, worth, PUBLISHED, strict=True),
        "budgets",
        len(BUDGETS),
        console=Console(stderr=True),
        transient=True,
    )
    return [
        row(recorded, estimates, steady(recorded.train, unseen, budget, price), published, orders)
        for budget, price, published in bar
    ]


def told(known: Outcomes, seen: Vectors, asked: Outcomes, shown: Vectors) -> list[Estimates]:
    """What a router fitted on `known` estimates of each prompt of `asked`."""
    router = train(known, seen)
    prompts = zip(asked.prompts, shown, strict=True)
    requests = [Request(({"role": "user", "content": prompt},), embedding=vector) for prompt, vector in prompts]
    catalog = cards(asked)
    return [router.estimate(request, catalog, ()) for request in requests]


def held_out(known: Outcomes, seen: Vectors) -> list[Estimates]:
    """What routers estimate of each prompt that were fitted without it and its duplicates."""
    import numpy as np

    fold = folds(known.groups)
    said: dict[int, Estimates] = {}
    for turn in track(range(FOLDS), "parts of the validation prompts", console=Console(stderr=True), transient=True):
        held, rest = np.flatnonzero(fold == turn), np.flatnonzero(fold != turn)
        parts = known.rows(rest.tolist()), seen[rest], known.rows(held.tolist()), seen[held]
        said.update(zip(held.tolist(), told(*parts), strict=True))
    return [said[i] for i in range(len(known))]


def prices(known: Outcomes, said: Sequence[Estimates]) -> list[float]:
    """For each budget, the highest price of quality (dollars) that keeps to it on prompts that were held out."""
    import numpy as np

    rows = [[each[name] for name in known.experts] for each in said]
    quality, cost = (np.array([[getattr(each, key) for each in row] for row in rows]) for key in ("quality", "cost"))
    ladder = np.geomspace(1e-7, 1e4, 600)
    spent = [np.nanmean(metrics.taken(known.cost, metrics.oracle(quality * p * NANO - cost, cost))) for p in ladder]
    return [float(ladder[max(0, int(np.searchsorted(spent, nano(budget) * GRANTED)) - 1)]) for budget in BUDGETS]


def steady(known: Outcomes, said: Sequence[Estimates], budget: float, price: float) -> Paced:
    """The way to pace with the most reward of those that keep to the budget in every order and early on; the
    steadiest if none does."""
    import numpy as np

    def rank(way: Paced) -> tuple[bool, float]:
        streams = [Stream.of(known, said, way, ORDERS + seed) for seed in range(TRIED)]
        early = max(max(stream.prefix / MOST_EARLY, stream.used) for stream in streams)
        return early <= 1.0, float(np.mean([stream.score for stream in streams])) if early <= 1.0 else -early

    return max(
        (Paced(Utility(0.0), budget, price, horizon, reserve, "cheapest") for reserve, horizon in WAYS), key=rank
    )


def row(recorded: DataSet, estimates: Sequence[Estimates], policy: Paced, published: float, orders: int) -> Row:
    """One budget."""
    import numpy as np

    budget = policy.usd_per_request
    streams = [Stream.of(recorded.test, estimates, policy, seed) for seed in range(orders)]
    test, each = recorded.test, np.mean([stream.score for stream in streams], axis=0)
    trivial = zero(recorded, budget)
    bound = metrics.budget_oracle(test.score, test.cost, nano(budget))
    return Row(
        budget,
        statistics.mean(each, test.groups),
        statistics.difference(each, trivial, test.groups),
        float(trivial.mean()),
        published,
        float(metrics.taken(test.score, bound).mean()),
        float(np.mean([stream.used for stream in streams])),
        max(stream.used for stream in streams),
        max(stream.prefix for stream in streams),
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """One order: the score of each prompt of the table, in the table's order; the share of the budget that was used,
    and the highest share of any prefix that had settled."""

    score: Array
    used: float
    prefix: float

    @classmethod
    def of(cls, test: Outcomes, estimates: Sequence[Estimates], policy: Paced, seed: int) -> Stream:
        import numpy as np

        order = np.random.default_rng(seed).permutation(len(test))
        budget = policy.usd_per_request * NANO
        score, spent, prefix = np.zeros(len(test)), 0.0, 0.0
        for number, i in enumerate(order.tolist(), 1):
            credit = int(budget * GRANTED * number - spent)
            decision = policy.decide(State(NOTHING, estimates[i], allowance=credit))
            assert isinstance(decision, Ask)
            place = test.experts.index(decision.experts[0])
            score[i] = test.score[i, place]
            spent += test.cost[i, place]
            if number >= SETTLED:
                prefix = max(prefix, spent / (budget * number))
        return cls(score, spent / (budget * len(test)), prefix)


NOTHING = Request(())
"""The policy looks at estimates alone."""


def zero(recorded: DataSet, budget: float) -> Array:
    """The score of each test prompt, in expectation, of the mixture of single experts that the validation prompts
    make best at the budget; the cheapest expert where none is cheap enough."""
    import numpy as np

    cost, score = np.nanmean(recorded.train.cost, axis=0), np.nanmean(recorded.train.score, axis=0)
    chain = metrics.hull_index(cost, score)
    place = float(np.interp(budget * NANO, cost[chain], np.arange(len(chain))))
    low, high = chain[int(np.floor(place))], chain[int(np.ceil(place))]
    share = place - np.floor(place)
    mixed: Array = (1.0 - share) * recorded.test.score[:, low] + share * recorded.test.score[:, high]
    return mixed


def table(rows: Sequence[Row], prompts: int, orders: int) -> Table:
    """The terminal's version."""
    title = f"ParetoBandit's test: {prompts} prompts in {orders} orders, 95 % intervals over groups of prompts"
    heads = ("$ a request", "reward", "over the zero router", "zero router", "ParetoBandit", "oracle")
    found = Table(*heads, "used", "at most", "prefix at most", title=title, title_justify="left")
    for each in rows:
        figures = (each.zero, each.published, each.oracle)
        used = (each.used, each.used_most, each.prefix_most)
        cells = [f"{each.budget:g}", f"{each.reward}", f"{each.over_zero}"]
        found.add_row(*cells, *(f"{x:.4f}" for x in figures), *(f"{x:.3f}" for x in used))
    return found

"""One data set, every router: fitted on train, scored on test, each beside the trivial policies and the oracle."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench import calibration, compare, frontier, pairs, statistics
from bench.compare import Compared
from bench.data import DataSet
from bench.frontier import Baselines, Points, Predictions
from bench.replay import cards
from bench.statistics import Interval
from experts.base import Request
from experts.build import load
from routers.base import Router
from routers.blind import Blind
from routers.costs import Costs
from routers.inputs import Inputs, inputs
from routers.learned import Learned
from routers.outcomes import Outcomes
from routers.simple import Random

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Vectors = NDArray[np.float32]

TIMED = 200
"""Requests for which the time of a decision is taken."""

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a router, or what it is measured against (`kind` is `router`, `single` for what
    has no frontier, `trivial` or `bound`)."""

    name: str
    kind: str
    compared: Compared
    ece: float = NAN
    """Mean over experts."""
    ece_gap: float = NAN
    """Of the predicted gap between the chosen expert and the best single one."""
    collapse: float = NAN
    used: float = NAN
    """Bits: the entropy of the experts chosen at the highest price of quality."""
    fit_seconds: float = NAN
    estimate_micros: float = NAN
    pair: Mapping[str, Interval] = field(default_factory=dict)
    """`apgr`, `cpt50` and `cpt80`, if there are two experts."""


@dataclass(frozen=True, slots=True)
class Contest:
    """All rows of one data set."""

    data: DataSet
    against: Baselines
    entries: tuple[Entry, ...]

    def routers(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == "router"]


def baselines(data: DataSet, against: Baselines, repetitions: int) -> list[Entry]:
    """Best single expert, a random one, zero router and oracle: always in the table."""
    test, best = data.test, against.best
    single = Points(f"best single: {test.experts[best]}", test.score[:, [best]], test.cost[:, [best]], ("",))
    zero = Points(
        "zero router", test.score[:, list(against.zero)], test.cost[:, list(against.zero)], ("",) * len(against.zero)
    )
    rows = [
        ("single", frontier.random(test)),
        ("single", single),
        ("trivial", zero),
        ("bound", frontier.oracle(test)),
    ]
    return [Entry(points.name, kind, compare.compare(points, against, 0, repetitions)) for kind, points in rows]


def by_chance(data: DataSet, against: Baselines, repetitions: int) -> Entry:
    """A router whose estimates are noise: what the others must leave behind."""
    guessed = frontier.predict(Random(), data.test)
    known = Predictions(guessed.quality, guessed.std, guessed.cost * 0.0 + data.test.cost.mean(axis=0))
    points = frontier.sweep("noise", known, data.test)
    return measured("noise", "trivial", known, points, against, repetitions)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What all routers of one data set share: prompts with their features, and the cost head."""

    data: DataSet
    against: Baselines
    train: Inputs
    test: Inputs
    costs: Costs
    blind: Blind


def prepare(data: DataSet, train: Vectors, test: Vectors) -> Prepared:
    """With the vectors of the train and the test prompts."""
    seen = inputs(data.train.prompts, train, data.train.groups)
    shown = inputs(data.test.prompts, test)
    against = frontier.baselines(data.train, data.test)
    return Prepared(data, against, seen, shown, Costs.fit(seen, data.train), Blind.fit(data.train))


def entries(name: str, use: str, ready: Prepared, repetitions: int) -> list[Entry]:
    """Fits the head `use` on train and scores it on test; the default head a second time, behind the guard."""
    began, train = time.perf_counter(), ready.data.train
    quality = load(use, "router.use").fit(ready.train, train.score, train.domains)
    seconds = time.perf_counter() - began
    router = Learned(train.experts, quality, ready.costs, ready.blind, "", ready.train.vectors.shape[1])
    known = frontier.batch(router, ready.data.test, ready.test)
    ways = {name: known}
    if name == DEFAULT:
        ways[f"{name}, guarded"] = replace(known, usual=ready.blind.quality)
    spent = micros(router, ready.data.test, ready.test.vectors)
    rows = []
    for way, told in ways.items():
        points = frontier.sweep(way, told, ready.data.test)
        row = measured(way, "router", told, points, ready.against, repetitions)
        rows.append(replace(row, fit_seconds=seconds, estimate_micros=spent))
    return rows


def measured(name: str, kind: str, known: Predictions, points: Points, against: Baselines, repetitions: int) -> Entry:
    """Everything but times."""
    test, choice = against.test, frontier.choose(known, 1e18)
    return Entry(
        name,
        kind,
        compare.compare(points, against, 0, repetitions),
        ece=sum(calibration.ece(*columns) for columns in zip(known.quality.T, test.score.T, strict=True))
        / len(test.experts),
        ece_gap=gap(known, choice, against),
        collapse=pairs.collapse(choice, test.score, test.cost),
        used=pairs.entropy(pairs.shares(choice, len(test.experts))),
        pair=pair(known, against, repetitions) if len(test.experts) == 2 else {},
    )


LEAST_GAPS = 60


def gap(known: Predictions, choice: NDArray[np.int64], against: Baselines) -> float:
    """ECE of the predicted gap between the chosen and the best single expert, where they differ; NaN if seldom."""
    from bench.metrics import taken

    rows = choice != against.best
    if rows.sum() < LEAST_GAPS:
        return NAN
    predicted = taken(known.quality, choice) - known.quality[:, against.best]
    observed = taken(against.test.score, choice) - against.test.score[:, against.best]
    return calibration.ece(predicted[rows], observed[rows])


SHARES = 100


def pair(known: Predictions, against: Baselines, repetitions: int) -> dict[str, Interval]:
    """RouteLLM's figures for a weak and a strong expert: the score of a prompt is the quality it would gain."""
    return pair_intervals([known], against, repetitions)


def pair_intervals(several: Sequence[Predictions], against: Baselines, repetitions: int) -> dict[str, Interval]:
    """The same, the mean over several routers."""
    import numpy as np

    columns = np.concatenate([pair_columns(known, against) for known in several], axis=1)

    def figures(means: Array) -> Array:
        found: Array = np.array([pair_figures(part) for part in np.split(means, len(several))]).mean(axis=0)
        return found

    means = statistics.resampled_means(columns, against.test.groups, 0, repetitions)
    low, high = np.nanquantile([figures(row) for row in means], (0.025, 0.975), axis=0)
    names = ("apgr", "cpt50", "cpt80")
    return {
        name: Interval(float(value), float(start), float(end), len(columns))
        for name, value, start, end in zip(names, figures(columns.mean(axis=0)), low, high, strict=True)
    }


def pair_columns(known: Predictions, against: Baselines) -> Array:
    """For each prompt its score at rising shares of strong calls, then whether it went to the strong expert."""
    import numpy as np

    strong, test = against.best, against.test
    weak = 1 - strong
    order = np.argsort(-(known.quality[:, strong] - known.quality[:, weak]), kind="stable")
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    edges = np.rint(np.linspace(0, len(order), SHARES + 1))
    goes = place[:, None] < edges
    score = np.where(goes, test.score[:, [strong]], test.score[:, [weak]])
    return np.concatenate([score, goes.astype(np.float64)], axis=1)


def pair_figures(means: Array) -> list[float]:
    """APGR, CPT50 and CPT80 of mean scores at rising shares of strong calls, then those shares."""
    import numpy as np

    score, share = np.split(means, 2)
    weak, strong = score[0], score[-1]
    tenths = slice(None, None, SHARES // 10)
    area = float(np.trapezoid(score[tenths], share[tenths]))
    rising = np.maximum.accumulate(score)
    calls = [float(share[np.argmax(rising >= weak + p * (strong - weak) - 1e-12)]) for p in (0.5, 0.8)]
    lead = float(strong - weak) or NAN  # equal experts have no gap to recover
    return [(area - weak) / lead, *calls]


def micros(router: Router, test: Outcomes, vectors: Vectors) -> float:
    """The median microseconds of one estimate, the vector given."""
    import numpy as np

    catalog = cards(test)
    requests = [
        Request(({"role": "user", "content": prompt},), embedding=vector)
        for prompt, vector in zip(test.prompts[:TIMED], vectors[:TIMED], strict=True)
    ]
    times = []
    for request in requests:
        began = time.perf_counter()
        router.estimate(request, catalog, ())
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e6


def select(contest: Contest, most: int = 3) -> Sequence[Entry]:
    """The routers that are drawn: the highest above the zero router, the default always among them and first."""
    ranked = sorted(contest.routers(), key=lambda each: -each.compared.figures["over_zero"].value)
    ranked.sort(key=lambda each: each.name != DEFAULT)
    return ranked[:most]


DEFAULT = "blend"

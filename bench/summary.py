"""One line a data set: the default router, with the guard and without, between the trivial policies and the oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from bench import page
from bench.contest import DEFAULT, Contest, Entry
from bench.statistics import Interval

HEADS = (
    *("data", "prompts", "experts", "best single", "router", "its best", "over best single"),
    *("AIQ", "AIQ, zero router", "AIQ, oracle", "ECE", "verdict"),
)


def rows(done: Sequence[Contest]) -> list[list[str]]:
    """The cells of the table, as text."""
    return [_row(each, entry) for each in done for entry in each.entries if entry.name.startswith(DEFAULT)]


def _row(each: Contest, entry: Entry) -> list[str]:
    figures, zero, bound = entry.compared.figures, _named(each, "zero router"), _named(each, "oracle")
    return [
        each.data.name,
        str(len(each.data.test)),
        str(len(each.data.test.experts)),
        f"{each.against.singles.curve[1][each.against.best]:.4f}",
        entry.name,
        _ranged(figures["best"]),
        _ranged(figures["over_single"], signed=True),
        _ranged(figures["aiq"]),
        f"{zero.compared.figures['aiq'].value:.4f}",
        f"{bound.compared.figures['aiq'].value:.4f}",
        f"{entry.ece:.3f}" if math.isfinite(entry.ece) else "",
        verdict(figures["over_single"]),
    ]


def verdict(over: Interval) -> str:
    """What the interval of a difference allows to say."""
    return "better" if over.gain else "worse" if over.loss else "not worse"


def _named(each: Contest, name: str) -> Entry:
    return next(entry for entry in each.entries if entry.name == name)


def _ranged(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{interval.value:{sign}.4f} [{interval.low:{sign}.4f}, {interval.high:{sign}.4f}]"


def table(done: Sequence[Contest]) -> Table:
    """The terminal's version."""
    found = Table(*HEADS, title="The default router on every data set", title_justify="left")
    for row in rows(done):
        found.add_row(*row, style="dim" if "," in row[4] else "")
    return found


def section(done: Sequence[Contest]) -> str:
    """The page's version."""
    note = "Scores at the highest price of quality; AIQ over the single experts' costs. Brackets are 95 % intervals."
    return page.section("All data sets", note, page.dense(HEADS, rows(done)))

"""Sums up a ledger: what was asked of whom, what it cost, how long it took, what failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.record import Record
from policies.schema import reader

DAY = 86_400.0
MOST_BINS = 60


@dataclass(slots=True)
class Calls:
    """The calls to one expert."""

    answers: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    spend: int = 0
    """Nano-dollars of the calls whose cost is known."""
    unpriced: int = 0
    """Calls whose cost nobody knows."""
    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    """Seconds to the first chunk and to the end of each answer."""

    @property
    def asked(self) -> int:
        return self.answers + self.failures.total()


@dataclass(slots=True)
class Traffic:
    """All of a period; times are Unix seconds, money is nano-dollars."""

    experts: dict[str, Calls] = field(default_factory=lambda: defaultdict(Calls))
    requests: int = 0
    refused: int = 0
    answered_by: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    """What every request would have cost at one expert alone, by the estimates at the time."""
    estimated: Counter[str] = field(default_factory=Counter)
    """For how many requests there was such an estimate."""
    spent: list[tuple[float, str, int]] = field(default_factory=list)
    """(time, expert, nano-dollars) of every call with a known cost, in order."""
    since: float | None = None
    until: float | None = None

    @property
    def spend(self) -> int:
        return sum(calls.spend for calls in self.experts.values())

    @property
    def calls(self) -> int:
        return sum(calls.asked for calls in self.experts.values())

    @property
    def replaced(self) -> int:
        """Calls that failed."""
        return sum(calls.failures.total() for calls in self.experts.values())


def read(path: Path, since: float = 0.0) -> Traffic:
    """The traffic of a ledger since a Unix second, up to the last answer that a client was sent; empty if there is no
    ledger yet. Does not disturb the writer."""
    traffic = Traffic()
    if not path.exists():
        return traffic
    with closing(reader(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not {"groups", "journals"} <= tables:
        return traffic
    record, tail, answered = Record(path), set[tuple[str, int]](), set[tuple[str, str]]()
    for row in record.rows("decisions", since):
        _decision(traffic, row)
        if row["last"]:
            tail.add((row["id"], row["step"]))
    for row in record.rows("outcomes", since):
        _outcome(traffic, row)
        if row["kind"] == "answer" and (row["decision"], row["step"]) in tail:
            answered.add((row["expert"], row["decision"]))
    traffic.answered_by.update(expert for expert, _ in answered)
    return traffic


def _decision(traffic: Traffic, row: Mapping[str, Any]) -> None:
    _seen(traffic, row["time"])
    if row["kind"] == "refuse":
        traffic.refused += 1
        traffic.refusals[row["reason"] or "unknown"] += 1
    if row["kind"] == "accept":
        traffic.answered_by.update(row["experts"])
    if row["step"] == 0:
        traffic.requests += 1
        traffic.policies[row["policy"]] += 1
        for name, estimate in row["estimates"].items():
            traffic.alone[name] += int(estimate["cost"])
            traffic.estimated[name] += 1


def _outcome(traffic: Traffic, row: Mapping[str, Any]) -> None:
    _seen(traffic, row["time"])
    calls = traffic.experts[row["expert"]]
    if row["kind"] == "answer":
        calls.answers += 1
        calls.total.append(row["total"])
        if row["first"] is not None:
            calls.first.append(row["first"])
    else:
        calls.failures[row["reason"] or "unknown"] += 1
    if row["cost"] is None:
        calls.unpriced += 1
    else:
        calls.spend += row["cost"]
        traffic.spent.append((row["time"], row["expert"], row["cost"]))


def _seen(traffic: Traffic, time: float) -> None:
    traffic.since = time if traffic.since is None else min(traffic.since, time)
    traffic.until = time if traffic.until is None else max(traffic.until, time)


def spend_over_time(traffic: Traffic) -> tuple[list[float], dict[str, list[int]]]:
    """Starts of at most MOST_BINS equal spans of time, and the spend of each expert in each."""
    if traffic.since is None or traffic.until is None:
        return [], {}
    width = bin_width(traffic.until - traffic.since)
    start = traffic.since // width * width
    count = int((traffic.until - start) // width) + 1
    series = {name: [0] * count for name in traffic.experts}
    for time, expert, cost in traffic.spent:
        series[expert][int((time - start) // width)] += cost
    return [start + i * width for i in range(count)], series


WIDTHS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, DAY, 7 * DAY)


def bin_width(span: float) -> float:
    """The least round number of seconds that cuts `span` into at most MOST_BINS."""
    return next((float(width) for width in WIDTHS if span / width < MOST_BINS), span / MOST_BINS + 1.0)

"""What the gateway counts, for Prometheus; labels come from closed sets, never from a request's text.

Counting is a dictionary's addition; Prometheus' own objects are made when somebody reads the page, since their locks
cost more than the rest of a request's bookkeeping.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from policies.rows import COLUMNS, Line

BUCKETS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds; local experts answer in tenths, large ones in tens."""
MANY = 250
"""Answers of an expert that are added up together at the latest."""

TOLD = itemgetter(
    *(COLUMNS["outcomes"].index(name) + 1 for name in ("total", "first", "cost", "prompt_tokens", "completion_tokens"))
)
"""Of an outcome's line."""


class Counter(defaultdict[tuple[str, ...], int]):
    """A number that only grows, for each combination of its labels."""

    def __init__(self, name: str, about: str, labels: tuple[str, ...]) -> None:
        super().__init__(int)
        self.name, self.about, self.labels = name, about, labels

    def families(self) -> Iterator[Metric]:
        """As Prometheus knows it."""
        family = CounterMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in self.items():
            family.add_metric(labels, value)
        yield family

    def state(self) -> list[Any]:
        """As JSON, for another process."""
        return [[labels, value] for labels, value in self.items()]

    def add(self, state: list[Any]) -> None:
        """What another process counted, on top."""
        for labels, value in state:
            self[tuple(labels)] += value


class Count:
    """How many answers with 200 a route has given that are still to be added to the others."""

    __slots__ = ("many",)

    def __init__(self) -> None:
        self.many = 0


class Histogram:
    """Seconds in buckets, for each value of one label."""

    def __init__(self, name: str, about: str, label: str) -> None:
        self.name, self.about, self.labels = name, about, (label,)
        self.counts: dict[str, list[int]] = {}
        self.sums: dict[str, float] = {}

    def observe(self, label: str, seconds: Sequence[float]) -> None:
        """Counts durations."""
        counts = self.counts.setdefault(label, [0] * (len(BUCKETS) + 1))
        ordered, before = sorted(seconds), 0
        for place, bound in enumerate(BUCKETS):
            until = bisect_right(ordered, bound, before)
            counts[place] += until - before
            before = until
        counts[-1] += len(ordered) - before
        self.sums[label] = self.sums.get(label, 0.0) + sum(seconds)

    def families(self) -> Iterator[Metric]:
        """As Prometheus knows it: buckets are cumulative."""
        family = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        for label, counts in self.counts.items():
            totals = [sum(counts[: place + 1]) for place in range(len(counts))]
            bounds = (*map(str, BUCKETS), "+Inf")
            family.add_metric([label], list(zip(bounds, totals, strict=True)), self.sums[label])
        yield family

    def state(self) -> list[Any]:
        """As JSON, for another process."""
        return [[label, counts, self.sums[label]] for label, counts in self.counts.items()]

    def add(self, state: list[Any]) -> None:
        """What another process observed, on top."""
        for label, counts, total in state:
            mine = self.counts.get(label, [0] * len(counts))
            self.counts[label] = [one + other for one, other in zip(mine, counts, strict=True)]
            self.sums[label] = self.sums.get(label, 0.0) + total


class Metrics:
    """Everything that is counted."""

    def __init__(self) -> None:
        self.requests = Counter("lyceum_requests", "Requests by route and status.", ("route", "status"))
        self.outcomes = Counter("lyceum_outcomes", "What asking brought.", ("expert", "outcome"))
        self.spend = Counter("lyceum_spend_nano_dollars", "Spend in nano-dollars.", ("expert",))
        self.tokens = Counter("lyceum_tokens", "Tokens by expert and kind.", ("expert", "kind"))
        self.vectors = Counter("lyceum_vectors", "Vectors that were made, or would be too late.", ("outcome",))
        self.seconds = Histogram("lyceum_expert_seconds", "To the end of an answer.", "expert")
        self.first = Histogram("lyceum_first_chunk_seconds", "To an answer's first chunk.", "expert")
        self.gathered: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
        """By expert and kind, the outcomes that are still to be added: together, or when somebody looks; each
        list stays the same."""
        self.fine: defaultdict[str, Count] = defaultdict(Count)
        """By route."""
        self.every = (self.requests, self.outcomes, self.spend, self.tokens, self.vectors, self.seconds, self.first)

    def fold(self) -> None:
        """Adds up what has gathered."""
        for route, count in self.fine.items():
            if count.many:
                self.requests[route, "200"] += count.many
                count.many = 0
        for (expert, kind), gathered in self.gathered.items():
            if not gathered:
                continue
            total, first, cost, prompt, completion = zip(*map(TOLD, gathered), strict=True)
            self.outcomes[expert, kind] += len(gathered)
            self.seconds.observe(expert, total)
            if known := first if None not in first else [seconds for seconds in first if seconds is not None]:
                self.first.observe(expert, known)
            for counter, labels, numbers in (
                (self.spend, (expert,), cost),
                (self.tokens, (expert, "prompt"), prompt),
                (self.tokens, (expert, "completion"), completion),
            ):
                if number := sum(filter(None, numbers)):
                    counter[labels] += number
            gathered.clear()

    def collect(self) -> Iterable[Metric]:
        """What Prometheus' registry asks for."""
        self.fold()
        for metric in self.every:
            yield from metric.families()

    def state(self) -> dict[str, list[Any]]:
        """All figures as JSON, for another process."""
        self.fold()
        return {metric.name: metric.state() for metric in self.every}

    def add(self, state: Mapping[str, list[Any]]) -> None:
        """Another process's figures, on top."""
        for metric in self.every:
            metric.add(state.get(metric.name, []))

    def text(self) -> bytes:
        """The page for Prometheus."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

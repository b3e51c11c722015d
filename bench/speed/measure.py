"""The figures of one target, each beside a run straight to the upstream in the same minute: medians over rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.speed.arithmetic import difference, middle
from bench.speed.load import Generator
from bench.speed.processes import memory_bytes
from bench.speed.targets import Target

REQUEST_BYTES = 1434
LONG_BYTES = 97_000
LONG_CONNECTIONS = 16
FAST_US, SLOW_US = 2_000, 10_000
"""Paces of streams: 500 and 100 chunks a second."""
SHORT_CHUNKS, BURSTS = 5, 5
"""Streams of bursts have so many chunks; so many bursts follow the one on new connections."""
AGAIN_CHUNKS = 25
"""Streams that begin one by one have so many: 64 of them begin 256 times a second."""
MEGA = 1e6

Tick = Callable[[str], None]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    levels: tuple[int, ...] = (1, 16, 64, 256, 1000)
    seconds: float = 1.0
    warm: float = 0.2
    rounds: int = 3
    streams: int = 64
    rate: float = 100.0

    @property
    def steps(self) -> int:
        """How many runs one target takes, for the progress bar."""
        return self.rounds * (len(self.levels) + 13)


FULL = Plan()
SMALL = Plan(levels=(1, 16, 64), seconds=0.3, warm=0.1, rounds=1, streams=16)


class Session:
    """One generator, one upstream, one plan; and who is told after every run."""

    def __init__(self, generator: Generator, direct: Target, plan: Plan, tick: Tick) -> None:
        self.generator, self.direct, self.plan, self.tick = generator, direct, plan, tick

    def run(self, target: Target, kind: str, connections: int, **job: Any) -> Figures:
        """One run. Raises SetupError."""
        self.tick(target.name)
        usual = {"seconds": self.plan.seconds, "warm": self.plan.warm, "size": REQUEST_BYTES}
        return self.generator.run(
            kind=kind, target=target.wire(), pid=target.pid, connections=connections, **{**usual, **job}
        )

    def target(self, target: Target) -> Figures:
        """All figures of a target. Raises SetupError."""
        idle = memory_bytes(target.pid or 0)
        rounds = [self.round(target) for _ in range(self.plan.rounds)]
        figures = middle(rounds)
        figures["start_seconds"] = target.start_seconds
        figures["rss_idle_mb"] = idle / MEGA
        figures["rss_after_mb"] = memory_bytes(target.pid or 0) / MEGA
        return figures

    def round(self, target: Target) -> Figures:
        """Everything once, through and direct in turns."""
        alone = {who.name: self.run(who, "closed", 1) for who in (target, self.direct)}
        more = {str(level): self.run(target, "closed", level) for level in self.plan.levels if level != 1}
        levels = {"1": alone[target.name], **more}
        opened = {who.name: self.run(who, "open", 64, rate=self.plan.rate) for who in (target, self.direct)}
        slow = {who.name: self.streams(who, SLOW_US) for who in (target, self.direct)}
        fast = {who.name: self.streams(who, FAST_US) for who in (target, self.direct)}
        bursts = {who.name: self.begins(who, "bursts", SHORT_CHUNKS) for who in (target, self.direct)}
        steady = {who.name: self.begins(who, "steady", AGAIN_CHUNKS) for who in (target, self.direct)}
        long = {who.name: self.run(who, "closed", LONG_CONNECTIONS, size=LONG_BYTES) for who in (target, self.direct)}
        pairs = (opened, slow, fast, bursts, steady, long)
        runs = [*levels.values(), *(each[target.name] for each in pairs)]
        return {
            "levels": {level: flat(run) for level, run in levels.items()},
            "added_us": {share: apart(alone[target.name], alone["direct"], "latency_us", share) for share in SHARES},
            "direct_us": {share: alone["direct"]["latency_us"][share] for share in SHARES},
            "open_added_us": {
                share: apart(opened[target.name], opened["direct"], "latency_us", share) for share in SHARES
            },
            "first_added_us": {
                "one_by_one": firsts(steady[target.name], steady["direct"], "kept_us"),
                "burst": firsts(bursts[target.name], bursts["direct"], "kept_us"),
                "burst_new": firsts(bursts[target.name], bursts["direct"], "new_us"),
            },
            "short_stream_cpu_us": bursts[target.name]["cpu_us"],
            "streams": {
                name: streamed(pair[target.name], pair["direct"]) for name, pair in (("100", slow), ("500", fast))
            },
            "long": flat(long[target.name]) | {"direct_per_second": long["direct"]["requests_per_second"]},
            "errors": total_errors(runs),
        }

    def streams(self, target: Target, every_us: int) -> Figures:
        """A burst of streams at a pace."""
        return self.run(target, "streams", self.plan.streams, every_us=every_us)

    def begins(self, target: Target, kind: str, chunks: int) -> Figures:
        """When first chunks come, of streams that begin together (`bursts`) or one by one (`steady`)."""
        return self.run(target, kind, self.plan.streams, every_us=SLOW_US, chunks=chunks, bursts=BURSTS)

    def ceiling(self) -> Figures:
        """What the upstream and the generator can do without anybody between them."""
        rounds = []
        for _ in range(self.plan.rounds):
            rounds.append({str(level): flat(self.run(self.direct, "closed", level)) for level in self.plan.levels})
        return {"levels": middle(rounds), "at": time.time()}


SHARES = ("p50", "p99")


def flat(run: Figures) -> Figures:
    """What is kept of a run of plain requests."""
    return {
        "requests_per_second": run["requests_per_second"],
        "cpu_us": run["cpu_us"],
        "p50_us": run["latency_us"]["p50"],
        "p99_us": run["latency_us"]["p99"],
        "errors": run["errors"],
    }


def streamed(run: Figures, direct: Figures) -> Figures:
    """What is kept of a run of streams."""
    return {
        "chunks_per_second": run["chunks_per_second"],
        "direct_per_second": direct["chunks_per_second"],
        "cpu_us": run["cpu_us"],
        "delay_p50_us": run["delay_us"]["p50"],
        "delay_p99_us": run["delay_us"]["p99"],
        "direct_p50_us": direct["delay_us"]["p50"],
        "direct_p99_us": direct["delay_us"]["p99"],
    }


def firsts(through: Figures, direct: Figures, connections: str) -> Figures:
    """What the way through adds to first chunks over new or kept connections, beside what they take without it."""
    return {share: apart(through, direct, connections, share) for share in SHARES} | {
        f"direct_{share}": direct[connections][share] for share in SHARES
    }


def apart(through: Figures, direct: Figures, name: str, share: str) -> float | None:
    """What the way through adds to a percentile."""
    return difference(through[name][share], direct[name][share])


def total_errors(runs: list[Figures]) -> dict[str, int]:
    """By what went wrong, over all runs."""
    total: dict[str, int] = {}
    for run in runs:
        for name, count in run["errors"].items():
            total[name] = total.get(name, 0) + count
    return total

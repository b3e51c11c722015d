"""`lyceum bench memory`: whether memory stays flat over many requests of many clients, and what open streams hold."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.speed.load import Generator
from bench.speed.measure import REQUEST_BYTES
from bench.speed.processes import cores, memory_bytes
from bench.speed.progress import progress
from bench.speed.targets import Target, gateway, upstream

HELP = "growth of memory over a million requests of 100,000 clients, and what each of 10,000 open streams holds"
EXAMPLE = "lyceum bench memory --requests 1000000"
REQUESTS, NAMES, STREAMS = 1_000_000, 100_000, 10_000
CONNECTIONS = 64
WARM = 0.05
"""The share of the requests that fills caches and pools before growth is counted."""
PARTS = 20
STREAM_US = 5_000_000
FILES_A_STREAM, SPARE_FILES = 2, 200
GROWTH_MB, STREAM_KIB = 10.0, 256.0
"""What may be had: growth in all, and each open stream."""
SETTLE_SECONDS = 2.0
BEGUN_A_SECOND = 250
"""Streams that a slow machine begins: what is still on its way holds little."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much."""
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"default {REQUESTS:,}")
    parser.add_argument("--names", type=int, default=NAMES, help=f"different keys, users and models ({NAMES:,})")
    parser.add_argument("--streams", type=int, default=STREAMS, help=f"open at once (default {STREAMS:,})")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Measures and judges."""
    ours, theirs = cores()
    files = allowed_files()
    streams = min(args.streams, (files - SPARE_FILES) // FILES_A_STREAM)
    with (
        progress(PARTS + 2) as bar,
        upstream(theirs) as direct,
        Generator(theirs) as generator,
        gateway(direct, ours) as target,
    ):
        report = {**growth(args, generator, target, bar), **opened(streams, generator, target, bar)}
    report["streams_wanted"] = args.streams
    if args.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        show(report)
    flat = report["growth_mb"] < GROWTH_MB and report["kib_a_stream"] <= STREAM_KIB
    return 0 if flat and not report["stream_errors"] else 1


def allowed_files() -> int:
    """Raises the number of open files as far as the system lets us; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = STREAMS * FILES_A_STREAM + 2 * SPARE_FILES
    for limit in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        except (ValueError, OSError):
            continue
        return int(limit)
    return int(soft)


def growth(
    args: argparse.Namespace, generator: Generator, target: Target, bar: Callable[[str], None]
) -> dict[str, Any]:
    """Memory while clients of many names ask: known and unknown keys, users, models, prompts that are all new."""
    idle = memory_bytes(target.pid or 0)
    series: list[float] = []
    errors: dict[str, int] = {}
    asked, warm = 0, 0
    for part in range(PARTS + 1):
        bar("requests")
        count = max(CONNECTIONS, int(args.requests * (WARM if part == 0 else (1 - WARM) / PARTS)))
        job: dict[str, Any] = {"kind": "many", "connections": CONNECTIONS, "size": REQUEST_BYTES, "names": args.names}
        figures = generator.run(**job, target=target.wire(), count=count, begin=asked)
        asked += count
        for name, each in figures["errors"].items():
            errors[name] = errors.get(name, 0) + each
        series.append(memory_bytes(target.pid or 0) / 1e6)
        warm = warm or count
    return {
        "requests": asked,
        "names": args.names,
        "idle_mb": idle / 1e6,
        "warm_mb": series[0],
        "series_mb": series,
        "growth_mb": max(series[-1], *series[-3:]) - series[0],
        "refused": errors,
    }


def opened(count: int, generator: Generator, target: Target, bar: Callable[[str], None]) -> dict[str, Any]:
    """Memory of the gateway with so many streams open, less what it held before, for each."""
    bar("streams")
    before = memory_bytes(target.pid or 0)
    figures = generator.run(
        kind="streams",
        target=target.wire(),
        connections=count,
        every_us=STREAM_US,
        size=REQUEST_BYTES,
        warm=SETTLE_SECONDS + count / BEGUN_A_SECOND,
        seconds=SETTLE_SECONDS,
        pid_memory=target.pid,
    )
    time.sleep(SETTLE_SECONDS)
    return {
        "streams": count,
        "streams_open": figures["open"],
        "stream_errors": figures["errors"],
        "kib_a_stream": (figures["memory"] - before) / max(1, figures["open"]) / 1024,
        "after_mb": memory_bytes(target.pid or 0) / 1e6,
    }


def show(report: dict[str, Any]) -> None:
    """A table."""
    table = Table("what", "found", "may be")
    refused = sum(report["refused"].values())
    table.add_row("idle", f"{report['idle_mb']:.1f} MB", "")
    table.add_row("warm", f"{report['warm_mb']:.1f} MB", "")
    table.add_row(
        f"growth over {report['requests']:,} requests of {report['names']:,} names ({refused:,} refused, as they must)",
        f"{report['growth_mb']:.1f} MB",
        f"< {GROWTH_MB:g} MB",
    )
    table.add_row(
        f"each of {report['streams_open']:,} open streams ({report['streams_wanted']:,} wanted)",
        f"{report['kib_a_stream']:.1f} KiB",
        f"{STREAM_KIB:g} KiB",
    )
    table.add_row("after them", f"{report['after_mb']:.1f} MB", "")
    console = Console()
    console.print(table)
    for name, count in {**report["refused"], **report["stream_errors"]}.items():
        console.print(f"{count:,} {name}", markup=False, highlight=False)

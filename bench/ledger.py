"""The benchmark `lyceum bench ledger`: rows a second with fsync, and what kill -9 in the middle of writing costs."""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.leaving import show
from bench.speed.machine import commit
from experts.base import Answer
from experts.card import Usage
from policies.ledger import Durability, Ledger
from policies.rows import OutcomeRow

HELP = "rows a second with fsync, and what is lost by kill -9 in the middle of writing"
EXAMPLE = "lyceum bench ledger --rows 200000 --kills 1000"
FLIGHT = 512
"""Rows that wait at once, as those of so many requests would."""
WRONG = ("rows_lost", "rows_twice", "groups_damaged", "restarts_over_a_second")
ANSWER = Answer("small", {}, "stop", Usage(250, 120), 490_000)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--rows", type=int, default=50_000, help="how many are written for the rate (default 50000)")
    parser.add_argument("--kills", type=int, default=50, help="writers that are killed (default 50)")
    parser.add_argument("--durability", choices=("full", "normal"), default="full", help="full: fsync (the default)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the result as JSON")


async def rate(path: Path, durability: Durability, rows: int) -> float:
    """Rows a second, all acknowledged as durable."""
    ledger = Ledger.open(path, durability)
    numbers = iter(range(rows))

    async def client() -> None:
        for number in numbers:
            await ledger.write(OutcomeRow.of(f"d{number}", 0, ANSWER, 1.0))

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(FLIGHT)))
    seconds = time.perf_counter() - began
    await ledger.close()
    return rows / seconds


class Zygote:
    """A process whose forks write rows and acknowledge them, until they are killed."""

    def __init__(self, path: Path, durability: Durability) -> None:
        command = [sys.executable, "-m", "bench.ledger_child", str(path), durability]
        self.opened: list[float] = []
        """Seconds from the start of a writer to its first durable row."""
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=Path(__file__).parents[1]
        )

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def life(self, acknowledgements: int) -> Iterator[str]:
        """Runs one fork and has it killed after so many rows; the names it acknowledged."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{acknowledgements}\n")
        while (line := self.process.stdout.readline().strip()) != "dead":
            if not line:
                raise RuntimeError("the writers' process has ended")
            if line.startswith("open "):
                self.opened.append(float(line.removeprefix("open ")))
            else:
                yield line


def killed(path: Path, args: argparse.Namespace, progress: Progress, task: TaskID) -> dict[str, Any]:
    """What is left of the rows that killed writers acknowledged."""
    chance = random.Random(args.seed)
    acknowledged: set[str] = set()
    with Zygote(path, args.durability) as zygote:
        for _ in range(args.kills):
            acknowledged.update(zygote.life(chance.randint(1, 160)))
            progress.advance(task)
    ledger = Ledger.open(path)
    names = [row["decision"] for row in ledger.rows("outcomes")]
    damaged = len(ledger.damaged())
    asyncio.run(ledger.close())
    return {
        "kills": args.kills,
        "acknowledged": len(acknowledged),
        "rows_lost": len(acknowledged - set(names)),
        "rows_twice": len(names) - len(set(names)),
        "groups_damaged": damaged,
        "restart_p50_ms": round(median(zygote.opened) * 1e3, 1) if zygote.opened else None,
        "restart_max_ms": round(max(zygote.opened) * 1e3, 1) if zygote.opened else None,
        "restarts_over_a_second": sum(each > 1.0 for each in zygote.opened),
    }


def measure(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The rate, then the kills."""
    began = time.perf_counter()
    task = progress.add_task("kills", total=args.kills)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = asyncio.run(rate(folder / "rate.sqlite", args.durability, args.rows))
        result = killed(folder / "kills.sqlite", args, progress, task)
    about = {"durability": args.durability, "rows": args.rows, "rows_per_second": round(rows)}
    about |= {"seed": args.seed, "commit": commit()}
    return {**about, **result, "seconds": round(time.perf_counter() - began, 1)}


def run(args: argparse.Namespace) -> int:
    """Measures and shows; 1 if an acknowledged row is lost, is there twice, or a restart takes over a second."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        result = measure(args, progress)
    result["wrong"] = [figure for figure in WRONG if result[figure]]
    show("The ledger", result, args.json)
    return int(bool(result["wrong"]))

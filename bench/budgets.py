"""The benchmark `lyceum bench budgets`: replicas that are killed share hard budgets; not a cent may be overspent."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.bill import Bill
from bench.budget_replica import Plan, limits
from bench.postgres_server import PostgresServer
from experts.base import SetupError
from policies.accounts import Accounts
from policies.book import Hold, Reservation

HELP = "replicas that share hard budgets, killed while they work, against an expert that keeps its own bill"
EXAMPLE = "lyceum bench budgets --replicas 4 --store sqlite --kills 20"
MOST = 1_000_000
"""Nano-dollars that one call can cost at most."""
FAR = 1e9
"""Seconds after which every reservation may be swept."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--replicas", type=int, default=4, help="processes that share the budgets (default 4)")
    parser.add_argument("--requests", type=int, default=10_000, help="of each replica (default 10000)")
    parser.add_argument("--flight", type=int, default=10_000, help="requests at once in each replica (default 10000)")
    parser.add_argument("--afford", type=int, default=1_000, help="calls that the budget pays for (default 1000)")
    parser.add_argument(
        "--store", default="sqlite", help="sqlite, postgres, or the URL of an empty PostgreSQL database"
    )
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs, one every --pause seconds (default 0)")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between kills (default 0.5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the result as JSON")


@dataclass(slots=True)
class Process:
    """A replica and what it said."""

    plan: Plan
    process: asyncio.subprocess.Process
    done: int = 0
    report: dict[str, Any] = field(default_factory=dict)

    async def listen(self, progress: Progress, task: TaskID) -> None:
        """Counts what ended until the process ends."""
        assert self.process.stdout is not None
        while piece := await self.process.stdout.read(65536):
            head, brace, tail = piece.partition(b"{")
            if brace:
                rest = await self.process.stdout.read()
                self.report = orjson.loads(brace + tail + rest)
            self.done += head.count(b".")
            progress.advance(task, head.count(b"."))
        await self.process.wait()


async def spawn(plan: Plan) -> Process:
    """Starts a replica."""
    command = [sys.executable, "-m", "bench.budget_replica", orjson.dumps(asdict(plan)).decode()]
    return Process(plan, await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE))


@dataclass(slots=True)
class Run:
    """Keeps as many replicas as asked at work, through all kills, until every request was tried."""

    args: argparse.Namespace
    progress: Progress
    task: TaskID
    kills: int = 0
    living: dict[str, Process] = field(default_factory=dict)
    ended: list[Process] = field(default_factory=list)

    async def replicate(self, plan: Plan) -> None:
        """One replica; if it is killed another does the rest of its work, under new names."""
        life = 0
        while plan.requests > 0:
            process = await spawn(replace(plan, name=f"{plan.name}.{life}"))
            self.living[plan.name] = process
            await process.listen(self.progress, self.task)
            del self.living[plan.name]
            self.ended.append(process)
            if process.process.returncode not in (0, -9):
                raise SetupError(f"replica {plan.name} ended with {process.process.returncode}")
            plan, life = replace(plan, requests=plan.requests - process.done), life + 1

    async def kill(self) -> None:
        """Kills a replica that is at work at every pause."""
        chance = random.Random(self.args.seed)
        while self.kills < self.args.kills:
            await asyncio.sleep(self.args.pause)
            if working := [process for process in self.living.values() if process.done]:
                chance.choice(working).process.kill()
                self.kills += 1


async def measure(args: argparse.Namespace, store: str, progress: Progress) -> dict[str, Any]:
    """Runs the replicas, sweeps what the dead left, compares the accounts with the bill."""
    bill = Bill(args.seed, seconds=0.01)
    port, started = await bill.start(), time.perf_counter()
    budget = args.afford * MOST
    plan = Plan("", store, port, args.requests, args.flight, MOST, budget, budget // 4, args.seed)
    accounts = Accounts.open(store, limits(budget, budget // 4), clock=lambda: time.time() + FAR)
    await accounts.refresh()
    run = Run(args, progress, progress.add_task("requests", total=args.replicas * args.requests))
    killer = asyncio.create_task(run.kill())
    async with asyncio.TaskGroup() as group:
        for number in range(args.replicas):
            group.create_task(run.replicate(replace(plan, name=f"r{number}")))
    killer.cancel()
    swept = await accounts.sweep()
    await use_up(accounts, bill)
    result = await audit(accounts, bill, budget)
    await accounts.close()
    await bill.stop()
    return {**about(run), **result, "swept": swept, "seconds": round(time.perf_counter() - started, 1)}


async def use_up(accounts: Accounts, bill: Bill) -> None:
    """Spends what is left, call by call: money that nobody can spend has been lost."""
    for number in range(8):
        scopes, call = {"team": "all", "key": f"k{number}"}, 0
        while isinstance(hold := await accounts.reserve(f"last-{number}-{call}", scopes, MOST), Hold):
            bill.costs[hold.id] = MOST
            await accounts.settle(hold, MOST)
            call += 1


async def audit(accounts: Accounts, bill: Bill, budget: int) -> dict[str, Any]:
    """In nano-dollars and counts. `rows_lost` are calls on the bill without a row of their own: they were under way
    when their replica was killed. Those `in_swept_slices` are paid in rows of slices that name their replica, and which
    the sweep has booked whole; there must be no others. `unused` must be less than one call, and all faults 0."""
    balances = {account.bucket: account for account in await accounts.store.balances(0)}
    rows: dict[str, Reservation] = {row.id: row for row in await accounts.store.reservations()}
    settled = [row for row in rows.values() if row.state == "settled"]
    spent = balances["all"].spent if "all" in balances else 0
    keys = [account for account in balances.values() if account.bucket != "all"]
    lost = bill.costs.keys() - rows.keys()
    return {
        "overspend": max(sum(bill.costs.values()) - budget, spent - budget, *(a.spent - budget // 4 for a in keys), 0),
        "stuck": sum(account.held for account in balances.values()),
        "money_error": sum(abs((row.cost or 0) - bill.costs.get(row.id, 0)) for row in settled)
        + abs(spent - sum(row.cost or 0 for row in rows.values()))
        + abs(spent - sum(account.spent for account in keys)),
        "rows_lost": len(lost),
        "in_swept_slices": swept(bill, lost, rows),
        "asked_twice": bill.twice,
        "unused": budget - spent,
        "billed": sum(bill.costs.values()),
        "budget": budget,
    }


def swept(bill: Bill, lost: Iterable[str], rows: Mapping[str, Reservation]) -> int:
    """How many calls without a row are paid in swept slices, each of which covers all of its own."""
    slices: dict[str, list[int]] = {}
    for name in lost:
        slices.setdefault(bill.slices.get(name, ""), []).append(bill.costs[name])
    covers = {row.id: row.cost or 0 for row in rows.values() if row.state == "swept"}
    return sum(len(costs) for name, costs in slices.items() if sum(costs) <= covers.get(name, -1))


def about(run: Run) -> dict[str, Any]:
    """What was run and how its calls ended."""
    reports = [process.report for process in run.ended if process.report]
    waits = sorted(wait for report in reports for wait in report["waits"])
    tally: dict[str, int] = {}
    for report in reports:
        for ended, count in report["tally"].items():
            tally[ended] = tally.get(ended, 0) + count
    return {
        "store": "sqlite" if run.args.store == "sqlite" else "postgres",
        "replicas": run.args.replicas,
        "requests": sum(process.done for process in run.ended),
        "kills": run.kills,
        "seed": run.args.seed,
        "ended": dict(sorted(tally.items())),
        "admission_p50_ms": round(median(waits) * 1e3, 2) if waits else None,
    }


def run(args: argparse.Namespace) -> int:
    """Measures and shows; 1 if a cent is wrong."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    with place(args.store) as store, shown as progress:
        result = asyncio.run(measure(args, store, progress))
    if args.json:
        sys.stdout.write(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _show(result)
    wrong = any(result[figure] for figure in ("overspend", "stuck", "money_error", "asked_twice"))
    return int(wrong or result["rows_lost"] != result["in_swept_slices"] or result["unused"] >= MOST)


@contextmanager
def place(store: str) -> Iterator[str]:
    """Where the accounts are kept: a new file, a server started for this, or the one named."""
    if store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "accounts.sqlite")
    elif store == "postgres":
        with PostgresServer() as server:
            yield server.url
    else:
        yield store


def _show(result: dict[str, Any]) -> None:
    table = Table("figure", "value", title="Hard budgets over replicas")
    for figure, value in result.items():
        table.add_row(figure, str(value))
    Console().print(table)

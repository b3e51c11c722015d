"""The benchmark `lyceum bench budgets`: gateways that are killed share hard budgets; not a cent may be overspent."""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.admission import admission
from bench.bill import READ, Bill
from bench.budget_audit import Books, faults
from bench.budget_clients import KEYS, WIDTH, WORDS, Plan
from bench.budget_gateways import About, Replica
from bench.leaving import show
from bench.postgres_server import PostgresServer
from bench.speed.machine import commit
from bench.wall_talk import COMPLETION_PRICE, PROMPT_PRICE
from experts.base import SetupError
from policies.accounts import Accounts

HELP = "gateways that share hard budgets, killed while they work, against an expert that keeps its own bill"
EXAMPLE = "lyceum bench budgets --replicas 8 --store postgres --kills 20"
DEAREST = (WIDTH + READ) * PROMPT_PRICE + WORDS * COMPLETION_PRICE
"""Nano-dollars that the expert charges at most for one call."""
STORE = "LYCEUM_BENCH_STORE"
FAR = 1e9
"""Seconds after which every reservation may be swept."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--replicas", type=int, default=4, help="gateways that share the budgets (default 4)")
    parser.add_argument("--requests", type=int, default=10_000, help="to each gateway (default 10000)")
    parser.add_argument("--flight", type=int, default=10_000, help="requests at once to each gateway (default 10000)")
    parser.add_argument(
        "--afford", type=int, default=1_000, help="dearest calls that the budget pays for (default 1000)"
    )
    parser.add_argument(
        "--store", default="sqlite", help="sqlite, postgres, or the URL of an empty PostgreSQL database"
    )
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs, one every --pause seconds (default 0)")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between kills (default 0.5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the result as JSON")


@dataclass(slots=True)
class Run:
    """Gateways, their clients, and who kills them."""

    args: argparse.Namespace
    progress: Progress
    replicas: list[Replica]
    secret: str
    ended: Counter[str] = field(default_factory=Counter)
    answered: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    late: int = 0
    """How often a gateway could not start again at once."""

    async def clients(self, number: int, spender: int | None = None) -> None:
        """The clients of one gateway, or one that spends what is left for a key."""
        alone = spender is not None
        requests, flight = (self.args.afford, 1) if alone else (self.args.requests, self.args.flight)
        name = f"last-{spender}" if alone else str(number)
        task = self.progress.add_task(f"key {spender}" if alone else f"gateway {number + 1}", total=requests)
        plan = Plan(name, self.replicas[number].port, requests, flight, self.secret, self.args.seed, spender)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.budget_clients", orjson.dumps(asdict(plan)).decode()),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        said = b""
        try:
            while piece := await process.stdout.read(65536):
                dots, brace, tail = (b"", b"", piece) if said else piece.partition(b"{")
                self.progress.advance(task, dots.count(b"."))
                said += brace + tail
        finally:
            if process.returncode is None and not said:
                process.kill()
        if await process.wait() != 0:
            raise SetupError("the clients of a gateway failed")
        report = orjson.loads(said)
        self.ended.update(report["ended"])
        self.answered.update(report["answered"])

    async def kill(self) -> None:
        """Kills a gateway at every pause."""
        chance = random.Random(self.args.seed)
        while self.kills < self.args.kills:
            await asyncio.sleep(self.args.pause)
            self.kills += chance.choice(self.replicas).kill()

    async def all(self) -> None:
        """Every request and every kill; a kill that comes late finds nobody at work, and is done all the same.
        Raises SetupError."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.kill())
                for number in range(len(self.replicas)):
                    group.create_task(self.clients(number))
        except* SetupError as errors:
            raise SetupError(str(errors.exceptions[0])) from errors


async def measure(args: argparse.Namespace, store: str, folder: Path, progress: Progress) -> dict[str, Any]:
    """Runs the gateways, sweeps what the dead left, spends the rest, compares the budgets with the bill."""
    began, bill = time.perf_counter(), Bill(args.seed, seconds=0.01)
    run = Run(args, progress, [], secrets.token_hex(16))
    expert = await bill.start()
    try:
        async with gateways(args, store, folder, run, expert):
            await run.all()
        swept = await sweep(store)
        async with gateways(args, store, folder, run, expert):  # money that nobody can spend has been lost
            for key in range(KEYS):
                await run.clients(0, spender=key)
    finally:
        await bill.stop()
    await sweep(store)
    about = {"store": "sqlite" if args.store == "sqlite" else "postgres", "replicas": args.replicas, "kills": run.kills}
    about |= {"requests": run.ended.total(), "ended": dict(sorted(run.ended.items())), "seed": args.seed}
    about |= {"starts_repeated": run.late}
    about |= {"commit": commit(), **await compared(run, bill, store), "slices_swept": swept}
    return {**about, "admission_p50_ms": await admission(store), "seconds": round(time.perf_counter() - began, 1)}


async def compared(run: Run, bill: Bill, store: str) -> dict[str, Any]:
    """The budgets and the gateways' ledgers beside the bill."""
    books = Books(bill.costs, run.answered)
    books.read(replica.folder / "state" / "ledger.sqlite" for replica in run.replicas)
    accounts, budget = Accounts.open(store), run.args.afford * DEAREST
    try:
        result = books.audit(await accounts.store.balances(), budget, budget // 4)
    finally:
        await accounts.close()
    return {**result, "asked_twice": bill.twice}


@asynccontextmanager
async def gateways(args: argparse.Namespace, store: str, folder: Path, run: Run, expert: int) -> AsyncIterator[None]:
    """All gateways of a run serve, each with a folder of its own and all with the same budgets."""
    budget = args.afford * DEAREST
    place = f'store_env = "{STORE}"' if store.startswith("postgres") else f'store = "{store}"'
    about = About(expert, place, usd=budget / 1e9, usd_of_key=budget // 4 / 1e9)
    hidden = {f"K{number}": f"{run.secret}{number}" for number in range(KEYS)} | {STORE: store}
    run.replicas = [Replica(folder / str(number), about, hidden) for number in range(args.replicas)]
    try:
        await asyncio.gather(*(replica.start() for replica in run.replicas))
        yield
    finally:
        await asyncio.gather(*(replica.stop() for replica in run.replicas))
        run.late += sum(replica.late for replica in run.replicas)


async def sweep(store: str) -> int:
    """Books what the dead held; how many slices and calls."""
    accounts = Accounts.open(store, clock=lambda: time.time() + FAR)
    swept = await accounts.sweep()
    await accounts.close()
    return swept


def run(args: argparse.Namespace) -> int:
    """Measures and shows; 1 if a cent is wrong."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    with tempfile.TemporaryDirectory() as folder, place(args.store, Path(folder)) as store, shown as progress:
        result = asyncio.run(measure(args, store, Path(folder), progress))
    result["wrong"] = faults(result)
    show("Hard budgets over gateways", result, args.json)
    return int(bool(result["wrong"]))


@contextmanager
def place(store: str, folder: Path) -> Iterator[str]:
    """Where the accounts are kept: a new file, a server started for this, or the one named."""
    if store == "sqlite":
        yield str(folder / "accounts.sqlite")
    elif store == "postgres":
        with PostgresServer() as server:
            yield server.url
    else:
        yield store

"""The benchmark `lyceum bench restarts`: a gateway that is reloaded, or loses workers, under steady requests."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.billed import configuration
from bench.faults_gateway import Serving, serving, wall
from bench.leaving import prompt, show
from bench.speed.machine import commit
from bench.spoils import Spoils
from bench.visitor import Broken, Visitor

HELP = "a gateway that is reloaded, or loses workers, under a steady stream of requests: who fails, what is lost"
EXAMPLE = "lyceum bench restarts --restarts 100 --rate 100"
WORKERS = 2
PATIENCE = 60.0
NEAR = 1.0
"""Seconds: a request that breaks off so soon after a kill was the dead worker's."""
WRONG = ("failed", "failed_elsewhere", "answered_unrecorded", "stuck")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--restarts", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default 100)")
    parser.add_argument("--kill", action="store_true", help="SIGKILL one worker each time instead of a reload")
    parser.add_argument("--pause", type=float, default=None, help="seconds between restarts (default 0, kills 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the result as JSON")


@dataclass(slots=True)
class Run:
    """Requests that come whatever happens, and what does."""

    gateway: Serving
    args: argparse.Namespace
    visitor: Visitor
    step: Callable[[], None]
    answered: dict[str, int] = field(default_factory=dict)
    """The number of each answered request by its name."""
    broken: list[tuple[int, float, float, str]] = field(default_factory=list)
    """Number, beginning, end and reason of each request that failed."""
    moments: list[tuple[float, float]] = field(default_factory=list)
    """When workers were killed, and when they were gone: a busy machine takes its time."""

    async def come(self, over: asyncio.Event) -> int:
        """Requests at the rate, on kept connections and on new ones, until it is over; how many."""
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(self.ask(number))
                number += 1
                await asyncio.sleep(max(0.0, began + number / self.args.rate - time.monotonic()))
        return number

    async def ask(self, number: int) -> None:
        """One request, half of them streams; whoever fails tries no second time."""
        body: dict[str, Any] = {
            "model": "paced",
            "messages": [{"role": "user", "content": prompt(self.args.seed, number)}],
        }
        body |= {"max_tokens": 12, "stream": number % 2 == 0}
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                name = await self.visitor.ask(orjson.dumps(body), new=number % 4 == 0)
            self.answered[name] = number
        except (Broken, OSError, EOFError, TimeoutError) as error:
            self.broken.append((number, began, time.monotonic(), str(error) or type(error).__name__))

    async def restart(self) -> None:
        """Every restart, one after the other."""
        chance = random.Random(self.args.seed)
        for number in range(self.args.restarts):
            if self.args.kill:
                living = await self.living()
                self.moments.append(await killed(chance.choice(living)))
            else:
                self.gateway.process.send_signal(signal.SIGHUP)
                async with asyncio.timeout(PATIENCE):
                    while sum("reloaded" in line for line in self.gateway.log) <= number:
                        await asyncio.sleep(0.05)
            await asyncio.sleep(self.args.pause if self.args.pause is not None else 5.0 * self.args.kill)
            self.step()

    async def living(self) -> list[psutil.Process]:
        """The workers that live, once there are any."""
        async with asyncio.timeout(PATIENCE):
            while not (found := self.workers()):
                await asyncio.sleep(0.05)
        return found

    def workers(self) -> list[psutil.Process]:
        """Those that live now."""
        found = psutil.Process(self.gateway.process.pid).children()
        return [child for child in found if "gateway.worker" in words(child)]

    def elsewhere(self) -> int:
        """Failures that no kill explains."""
        return sum(
            not any(began <= gone + NEAR and moment <= ended for moment, gone in self.moments)
            for _, began, ended, _ in self.broken
        )


async def measure(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Requests and restarts side by side, then the audit."""
    began = time.perf_counter()
    task = progress.add_task("kills" if args.kill else "reloads", total=args.restarts)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with wall(1.0, Path.cwd()) as port:
            text = configuration("paced", port, workers=WORKERS, more='when_left = "count"')
            async with serving(text, folder) as gateway:
                visitor = Visitor(gateway.port, gateway.key)
                run = Run(gateway, args, visitor, lambda: progress.advance(task))
                over = asyncio.Event()
                coming = asyncio.create_task(run.come(over))
                try:
                    await run.restart()
                finally:
                    over.set()
                    requests = await coming
                    visitor.close()
        result = await audit(run, Spoils(folder / "state"))
    about = {"mode": "kills" if args.kill else "reloads", "restarts": args.restarts, "rate": args.rate}
    about |= {"seed": args.seed, "commit": commit(), "requests": requests, "answered": len(run.answered)}
    seconds = round(time.perf_counter() - began, 1)
    complaints = Counter(f"{reason[:80]} ({kind(number)})" for number, _, _, reason in run.broken)
    return {**about, **result, "seconds": seconds, "complaints": dict(complaints.most_common(5))}


async def killed(process: psutil.Process) -> tuple[float, float]:
    """SIGKILL; when it was sent, and when the process was gone."""
    moment = time.monotonic()
    process.kill()
    await asyncio.to_thread(process.wait, PATIENCE)
    return moment, time.monotonic()


def words(process: psutil.Process) -> list[str]:
    """The command of a process; none if it has just ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def kind(number: int) -> str:
    """How the request of a number came."""
    return f"{'stream' if number % 2 == 0 else 'plain'}, {'new' if number % 4 == 0 else 'kept'} connection"


async def audit(run: Run, spoils: Spoils) -> dict[str, int]:
    """What failed and what the ledger lost. A killed worker takes its own requests with it, and nothing else: all that
    was answered is recorded, with its price."""
    names = spoils.recorded()
    result = {"answered_unrecorded": sum(name not in names for name in run.answered)}
    if run.args.kill:
        return {"broken_by_kills": len(run.broken) - run.elsewhere(), "failed_elsewhere": run.elsewhere(), **result}
    return {"failed": len(run.broken), **result, "stuck": (await spoils.balance())["stuck"]}


def run(args: argparse.Namespace) -> int:
    """Measures and shows; 1 if a request failed that no killed worker had, or a row is lost."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        result = asyncio.run(measure(args, progress))
    result["wrong"] = [figure for figure in WRONG if result.get(figure)]
    show("Restarts under load", result, args.json)
    return int(bool(result["wrong"]))

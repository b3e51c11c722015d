"""`lyceum bench loop`: microseconds a request of the gateway's loop, step by step, and the import time of each room.

The gateway is this room's sibling and is never imported here: its entry points are loaded by import string from the
table below, as the command line does, so that what is measured is what runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from experts.base import Expert, Request, SetupError
from experts.build import load
from experts.card import Card, Price
from experts.catalog import Demand, eligible
from experts.scripted import Scripted
from policies.base import State
from policies.ledger import Ledger
from policies.pick import Utility
from routers.base import Router
from routers.fit import DEFAULT, train
from routers.outcomes import from_rows

HELP = "microseconds a request of the gateway's loop, and the import time of each room"
EXAMPLE = "lyceum bench loop --json"

GATEWAY = {
    "parse": "gateway.chat:parse",
    "School": "gateway.school:School",
    "Books": "gateway.books:Books",
    "Life": "gateway.life:Life",
    "run": "gateway.run:run",
}
ROOMS = ("experts", "routers", "policies", "bench", "gateway")
HEAVY = ("torch", "litellm", "faiss", "onnxruntime", "pyarrow", "sympy", "z3", "matplotlib", "xllamacpp")
MICRO = 1e6
DIMENSIONS = 384
PROMPT = "The train leaves at nine and arrives at noon: how long does the journey take?"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step costs: microseconds, the best of several runs."""

    step: str
    micros: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much is measured."""
    parser.add_argument("--experts", type=int, default=20, help="scripted experts in the school (default 20)")
    parser.add_argument("--requests", type=int, default=2000, help="requests a run (default 2000)")
    parser.add_argument("--router", default=DEFAULT, help=f"import string of the router's head (default {DEFAULT})")
    parser.add_argument("--prompts", type=int, default=500, help="made-up prompts that it is fitted on (default 500)")
    parser.add_argument("--at-once", type=int, default=64, help="requests under way at once (default 64)")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the best counts (default 3)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Measures, then prints."""
    with tempfile.TemporaryDirectory() as folder:
        steps = asyncio.run(measure(args, Path(folder)))
    rooms = [
        imported(room, args.runs)
        for room in track(ROOMS, "importing rooms", console=Console(stderr=True), transient=True)
    ]
    if args.json:
        body = {"steps_us": {cost.step: cost.micros for cost in steps}, "rooms": rooms}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return 0
    show(args, steps, rooms)
    return 0


async def measure(args: argparse.Namespace, folder: Path) -> list[Cost]:
    """Every step alone, then the whole loop with its ledger."""
    router, vector = learned(args.experts, args.prompts, args.router)
    experts = {f"e{i}": scripted(f"e{i}") for i in range(args.experts)}
    policy = Utility(usd_per_quality=0.01)
    books = load(GATEWAY["Books"], "books")(Ledger.open(folder / "ledger.sqlite"))
    school = load(GATEWAY["School"], "school")(experts, router, policy, books)
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}).encode()
    steps = alone(args, experts, router, vector, body)
    for new, label in ((True, "whole loop, every prompt new"), (False, "whole loop, prompt seen before")):
        runs = [await whole(args, school, vector, f"{number}-{new}", new) for number in range(args.runs)]
        steps.append(Cost(f"{label}, CPU", min(cpu for cpu, _ in runs)))
        steps.append(Cost(f"{label}, wall", min(clock for _, clock in runs)))
    await school.stop()
    return steps


def scripted(name: str) -> Expert:
    """An expert that answers at once."""
    return Scripted(name, Card(tools=True, price=Price(prompt=1.0, completion=2.0)), answer="three hours")


def learned(experts: int, prompts: int, use: str) -> tuple[Router, Any]:
    """A router fitted on made-up outcomes, and one prompt's vector: its work does not depend on what they say."""
    import numpy as np

    random = np.random.default_rng(0)
    rows = [
        {"prompt": f"{PROMPT} {i}", "expert": f"e{j}", "score": float(random.random()), "cost": 1000 * (j + 1)}
        for i in range(prompts)
        for j in range(experts)
    ]
    vectors = random.normal(size=(prompts, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return train(from_rows(rows), vectors, use), vectors[0]


def alone(args: argparse.Namespace, experts: dict[str, Expert], router: Router, vector: Any, body: bytes) -> list[Cost]:
    """The steps that need no loop around them."""
    parse = load(GATEWAY["parse"], "parse")
    request = Request(parse(body, "r").messages, embedding=vector)
    catalog = {name: expert.card for name, expert in experts.items()}
    state = State(request, router.estimate(request, catalog, ()))
    policy = Utility(usd_per_quality=0.01)
    return [
        Cost("parse the body", best(args, lambda: parse(body, "r"))),
        Cost("keep the eligible experts", best(args, lambda: eligible(Demand.of(request), catalog))),
        Cost("estimate", best(args, lambda: router.estimate(request, catalog, ()))),
        Cost("decide", best(args, lambda: policy.decide(state))),
    ]


def best(args: argparse.Namespace, step: Callable[[], object]) -> float:
    """Microseconds of CPU a call, the best run of several."""
    return min(_timed(step, args.requests) for _ in range(args.runs))


def _timed(step: Callable[[], object], count: int) -> float:
    began = time.thread_time()
    for _ in range(count):
        step()
    return (time.thread_time() - began) / count * MICRO


async def whole(args: argparse.Namespace, school: Any, vector: Any, name: str, new: bool) -> tuple[float, float]:
    """Requests through the gateway's loop, so many at once, each waiting for its ledger rows: microseconds a
    request of the process's CPU, the ledger's thread included, and of the clock."""
    make_life, run_life = load(GATEWAY["Life"], "life"), load(GATEWAY["run"], "run")

    async def one(number: int) -> None:
        content = f"{PROMPT} {name} {number}" if new else PROMPT
        messages = ({"role": "user", "content": content},)
        request = Request(messages, id=f"{name}-{number}", embedding=vector)
        life = make_life(school, request, school.policy, "", "me")
        life.begin()
        result = await run_life(life)
        async for _ in result.chunks:
            pass

    cpu, clock = time.process_time(), time.perf_counter()
    await _at_once(one, args.requests, args.at_once)
    return (time.process_time() - cpu) / args.requests * MICRO, (time.perf_counter() - clock) / args.requests * MICRO


async def _at_once(one: Callable[[int], Awaitable[None]], count: int, limit: int) -> None:
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(limit)))


IMPORTS = """
import importlib, json, pkgutil, sys, time
room = sys.argv[1]
began, clock = time.process_time(), time.perf_counter()
package = importlib.import_module(room)
for found in pkgutil.walk_packages(package.__path__, room + "."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(json.dumps({"room": room, "cpu": time.process_time() - began, "seconds": time.perf_counter() - clock,
                  "heavy": [name for name in sys.argv[2:] if name in sys.modules]}))
"""


def imported(room: str, runs: int) -> dict[str, Any]:
    """Seconds of CPU and of the clock to import every module of a room in a fresh interpreter, the best of several,
    and what heavy libraries that loads. Raises SetupError if it cannot be imported."""
    found = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS, room, *HEAVY], capture_output=True, check=False, text=True
        )
        if done.returncode:
            raise SetupError(f"{room}: cannot be imported: {(done.stderr.splitlines() or ['?'])[-1]}")
        found.append(json.loads(done.stdout))
    return min(found, key=lambda each: float(each["cpu"]))


def show(args: argparse.Namespace, steps: Sequence[Cost], rooms: Sequence[dict[str, Any]]) -> None:
    """Two tables."""
    title = f"Microseconds a request, {args.experts} experts, {args.at_once} requests at once"
    table = Table("step", title=title, title_justify="left")
    table.add_column("µs", justify="right")
    for cost in steps:
        table.add_row(cost.step, f"{cost.micros:.0f}", style="bold" if cost.step.startswith("whole") else "")
    Console().print(table)
    table = Table("room", "heavy libraries loaded", title="Importing every module of a room", title_justify="left")
    table.add_column("seconds of CPU", justify="right")
    table.add_column("of the clock", justify="right")
    for room in rooms:
        table.add_row(room["room"], ", ".join(room["heavy"]) or "none", f"{room['cpu']:.3f}", f"{room['seconds']:.3f}")
    Console().print(table)

"""The benchmark `lyceum bench leaving`: clients that leave at random points, and whether a cent is wrong after that."""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.billed import configuration
from bench.faults_gateway import Serving, serving, wall
from bench.speed.machine import commit
from bench.spoils import Spoils
from experts.http1 import Client

HELP = "clients that leave at random points: the ledger and the budgets beside the expert's own bill"
EXAMPLE = "lyceum bench leaving --requests 100000 --json"
WORDS = 12
"""Of an answer."""
PATIENCE = 60.0
WRONG = ("failed", "money_error", "rows_lost", "rows_twice", "stuck", "booked_beside")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--requests", type=int, default=5_000, help="how many (default 5000)")
    parser.add_argument("--leave", type=float, default=0.3, help="share of clients that leave (default 0.3)")
    parser.add_argument("--flight", type=int, default=64, help="requests at once (default 64)")
    parser.add_argument("--workers", type=int, default=1, help="of the gateway (default 1)")
    parser.add_argument("--when-left", choices=("count", "finish", "cancel"), default="count", help="of the expert")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the result as JSON")


@dataclass(slots=True)
class Crowd:
    """Clients, each on a connection of its own."""

    gateway: Serving
    seed: int
    leave: float
    ended: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    async def come(self, number: int) -> None:
        """One request: read to its end, or left somewhere."""
        chance = random.Random(f"{self.seed} {number}")
        stream, leaves = chance.random() < 0.7, chance.random() < self.leave
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        writer.write(self.request(number, stream))
        try:
            async with asyncio.timeout(PATIENCE):
                if leaves:
                    await part(chance, reader)
                    how = "left"
                else:
                    how = whole(await reader.read(), stream)
                    if how != "answered":
                        self.complaints.append(f"request {number}: {how}")
                        how = "failed"
        except (TimeoutError, ConnectionError) as error:
            how = "left" if leaves else "failed"
            self.complaints += [] if leaves else [f"request {number}: {type(error).__name__}"]
        if leaves and chance.random() < 0.5:
            reset(writer)
        writer.transport.abort() if chance.random() < 0.5 else writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.ended[how] += 1

    def request(self, number: int, stream: bool) -> bytes:
        """The whole request."""
        body = {
            "model": "paced",
            "messages": [{"role": "user", "content": prompt(self.seed, number)}],
            "max_tokens": WORDS,
            **({"stream": True} if stream else {}),
        }
        data = orjson.dumps(body)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self.gateway.key}\r\n"
            f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


def prompt(seed: int, number: int) -> str:
    """Each is another, so that the ledger's fingerprints tell them apart."""
    return f"the request {number} of seed {seed}"


async def part(chance: random.Random, reader: asyncio.StreamReader) -> None:
    """Until a client leaves: at once, after a while, or in the middle of what it reads."""
    if chance.random() < 0.5:
        await asyncio.sleep(chance.random() * 0.002 * (WORDS + 4))
        return
    left = chance.randint(1, 2500)
    while left > 0 and (data := await reader.read(left)):
        left -= len(data)


def whole(data: bytes, stream: bool) -> str:
    """`answered`, or what is wrong with an answer."""
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return (data[:200] or b"closed unanswered").decode(errors="replace")
    end = b"data: [DONE]\n\n\r\n0\r\n\r\n" if stream else b"}"
    return "answered" if body.endswith(end) else "an answer that is not whole"


def reset(writer: asyncio.StreamWriter) -> None:
    """The connection will end with RST."""
    taken: socket.socket = writer.get_extra_info("socket")
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def at_once(count: int, flight: int, one: Callable[[int], Any], step: Callable[[], None]) -> None:
    """Calls `one` with every number, so many at a time."""
    numbers: Iterator[int] = iter(range(count))

    async def several() -> None:
        for number in numbers:
            await one(number)
            step()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(flight, count)):
            group.create_task(several())


async def measure(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The clients, then the audit."""
    began = time.perf_counter()
    task = progress.add_task("requests", total=args.requests)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with wall(1.0, Path.cwd()) as port:
            text = configuration("paced", port, workers=args.workers, more=f'when_left = "{args.when_left}"')
            async with serving(text, folder) as gateway:
                crowd = Crowd(gateway, args.seed, args.leave)
                await at_once(args.requests, args.flight, crowd.come, lambda: progress.advance(task))
                await asyncio.sleep(2.0)  # what is read on after its client has left
            bill = await charged(port)
        numbers = {prompt(args.seed, number): number for number in range(args.requests)}
        result = await Spoils(folder / "state").audit({text: bill[text] for text in bill if text in numbers})
    ended = {"requests": args.requests, "answered": 0, "left": 0, "failed": 0, **crowd.ended}
    about = {"when_left": args.when_left, "seed": args.seed, "commit": commit()}
    seconds = round(time.perf_counter() - began, 1)
    return {**about, **ended, **result, "seconds": seconds, "complaints": crowd.complaints[:5]}


async def charged(port: int) -> dict[str, int]:
    """The expert's own bill: what each prompt cost."""
    client = Client(f"http://127.0.0.1:{port}")
    total: Counter[str] = Counter()
    try:
        async with client.request("GET", "/bill", {}) as response:
            for call in orjson.loads(await response.read()):
                total[call["prompt"]] += call["cost"]
    finally:
        await client.aclose()
    return total


def run(args: argparse.Namespace) -> int:
    """Measures and shows; 1 if a cent or a row is wrong."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        result = asyncio.run(measure(args, progress))
    result["wrong"] = [figure for figure in WRONG if result[figure]]
    show("Clients that leave", result, args.json)
    return int(bool(result["wrong"]))


def show(title: str, result: dict[str, Any], as_json: bool) -> None:
    """The result as JSON, or as a table for people."""
    if as_json:
        sys.stdout.write(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    table = Table("figure", "value", title=title)
    for figure, value in result.items():
        table.add_row(figure, str(value))
    Console().print(table)

"""`lyceum bench instructions`: user instructions a request and a stream's chunk, counted by valgrind's callgrind.

Counts repeat where times do not, so CI can hold a limit. Two windows of different size are counted in one process that
really serves, and their difference is divided by the difference in requests: what is there without requests cancels.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.speed.load import Generator
from bench.speed.measure import REQUEST_BYTES
from bench.speed.processes import cores
from bench.speed.progress import progress
from bench.speed.targets import Target, gateway, upstream
from experts.base import SetupError
from policies.ledger import ROLL_SECONDS

HELP = "user instructions a plain request and a stream's chunk cost under callgrind, and a gate on them"
EXAMPLE = "lyceum bench instructions --gate"
RECORD = Path(__file__).with_name("instructions.json")
SLACK = {"instructions_per_request": 0.05, "instructions_per_chunk": 0.15}
"""How far above the record a count may be. Of few chunks each, what else a second brings repeats less well."""
CONNECTIONS = 32
FEW, MANY = 200, 800
STREAMS, CHUNK_US = 1, 5_000
"""A stream of its own, slow enough that each chunk is read alone: how many of several come together is chance."""
SHORT, LONG = 20, 820
"""Chunks of the stream in the two windows, which are equally long: what runs by the clock cancels."""
REST_SECONDS = ROLL_SECONDS + 0.5
"""After a stream, in its window: until its rows have been brought into the ledger, which costs as much as many chunks
and would else be counted with the next stream, or not at all."""
COUNTS = 3
"""How often is counted before a gate says no. Other work on the machine only adds: what runs by the clock falls on
fewer requests then."""
NAMES = {"instructions_per_request": "a plain request", "instructions_per_chunk": "a chunk of a stream"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is counted and what is done with it."""
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    parser.add_argument(
        "--gate", action="store_true", help="fail if a request is 5 %% above the record, or a chunk 15 %%"
    )
    parser.add_argument("--record", action="store_true", help="make these counts the record")
    parser.add_argument("--requests", type=int, default=MANY, help=f"in the larger window (default {MANY})")
    parser.add_argument("--profile", type=Path, help="keep callgrind's profile of the larger window in a folder")


def run(args: argparse.Namespace) -> int:
    """Counts, shows, and judges."""
    record: dict[str, int] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    found = least(partial(counted, args.requests, args.profile), record if args.gate else {})
    if args.record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
        record = found
    if args.json:
        sys.stdout.write(json.dumps(found) + "\n")
    console = Console(stderr=args.json)
    for name, count in found.items():
        console.print(f"{NAMES[name]}: {count:,} instructions{compared(name, count, record)}", highlight=False)
    return 1 if args.gate and over(found, record) else 0


def least(count: Callable[[], dict[str, int]], record: dict[str, int]) -> dict[str, int]:
    """The counts; where they are too far above the record, the least of several."""
    found = count()
    for _ in range(COUNTS - 1):
        if over(found, record):
            found = {name: min(found[name], again) for name, again in count().items()}
    return found


def compared(name: str, count: int, record: dict[str, int]) -> str:
    """How a count stands to the record."""
    if not record.get(name):
        return ", nothing on record"
    verdict = ": too much" if over({name: count}, record) else ""
    return f" ({count / record[name] - 1:+.1%} to the record of {record[name]:,}{verdict})"


def over(found: dict[str, int], record: dict[str, int]) -> list[str]:
    """The counts that are too far above the record."""
    return [name for name, count in found.items() if count > record.get(name, count) * (1 + SLACK[name])]


def counted(requests: int, profile: Path | None = None) -> dict[str, int]:
    """Both counts. Raises SetupError."""
    ours, theirs = cores()
    with (
        tempfile.TemporaryDirectory() as name,
        progress(7) as bar,
        upstream(theirs) as direct,
        Generator(theirs) as generator,
        under_callgrind(Path(name), direct, ours) as (target, count),
    ):

        def ask(number: int) -> None:
            bar("requests")
            job: dict[str, Any] = {"kind": "closed", "connections": CONNECTIONS, "count": number}
            checked(generator.run(**job, target=target.wire(), size=REQUEST_BYTES))

        def listen(chunks: int) -> None:
            bar("streams")
            job = {"kind": "streams", "connections": STREAMS, "every_us": CHUNK_US * LONG // chunks, "chunks": chunks}
            checked(generator.run(**job, target=target.wire(), size=REQUEST_BYTES, warm=0.0, seconds=0.0))
            time.sleep(REST_SECONDS)

        ask(FEW)
        plain = count(lambda: ask(requests)) - count(lambda: ask(FEW))
        if profile is not None:
            keep(Path(name), profile)
        listen(SHORT)
        chunks = count(lambda: listen(LONG)) - count(lambda: listen(SHORT))
    return {
        "instructions_per_request": round(plain / (requests - FEW)),
        "instructions_per_chunk": round(chunks / (STREAMS * (LONG - SHORT))),
    }


def checked(figures: dict[str, Any]) -> None:
    """Raises SetupError if anything failed: a count of failures says nothing."""
    if figures["errors"]:
        raise SetupError(f"requests failed while they were counted: {figures['errors']}")


def keep(folder: Path, to: Path) -> None:
    """Copies the profile of the larger window."""
    to.mkdir(parents=True, exist_ok=True)
    largest = max(folder.glob("out.*.*"), key=total)
    shutil.copy(largest, to / "callgrind.out")


Counted = Callable[[Callable[[], None]], int]


@contextmanager
def under_callgrind(folder: Path, direct: Target, on: set[int]) -> Iterator[tuple[Target, Counted]]:
    """Our gateway under callgrind, and a function that counts the instructions during another."""
    for tool in ("valgrind", "callgrind_control"):
        if shutil.which(tool) is None:
            raise SetupError(
                f"{tool} is not installed: `apt-get install valgrind`, or your system's package of that name"
            )
    words = ("--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out.%p")
    with gateway(direct, on, runner=("valgrind", *words, sys.executable)) as target:
        assert target.pid is not None
        pid = str(target.pid)

        def count(step: Callable[[], None]) -> int:
            before = {path: total(path) for path in folder.glob("out.*.*")}
            control("-i", "on", pid)
            step()
            control("-i", "off", pid)
            control("-d", pid)
            return sum(total(path) for path in folder.glob("out.*.*") if path not in before)

        yield target, count


def control(*words: str) -> None:
    """Tells callgrind. Raises SetupError."""
    done = subprocess.run(["callgrind_control", *words], capture_output=True, text=True, check=False)
    if done.returncode or "OK" not in done.stdout:
        raise SetupError(f"callgrind_control {' '.join(words)} failed: {(done.stderr or done.stdout).strip()[-200:]}")


def total(path: Path) -> int:
    """The instructions that a profile sums up."""
    found = re.search(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE)
    return int(found[1]) if found else 0

"""Processes for tests of the ledger: each line on standard input forks a writer, killed after so many rows.

`python -m bench.ledger_child FILE DURABILITY` says the name of every acknowledged row, `open SECONDS` when a writer's
first row is durable, and `dead` when it has been killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import cast

from experts.base import Answer
from policies.ledger import Durability, Ledger
from policies.rows import OutcomeRow

WORKERS = 8


async def write(path: Path, durability: Durability, pipe: int) -> None:
    """Rows without an end, each acknowledged once it is durable."""
    began = time.monotonic()
    ledger = Ledger.open(path, durability)

    async def one(worker: int) -> None:
        for number in range(1_000_000):
            name = f"{os.getpid()}-{worker}-{number}"
            await ledger.write(OutcomeRow.of(name, 0, Answer("small", {}, cost=1), 1.0))
            os.write(pipe, f"{name}\n".encode())

    await ledger.write(OutcomeRow.of(f"{os.getpid()}-first", 0, Answer("small", {}, cost=1), 1.0))
    os.write(pipe, f"open {time.monotonic() - began:.6f}\n".encode())
    await asyncio.gather(*map(one, range(WORKERS)))


def life(path: Path, durability: Durability, acknowledgements: int) -> None:
    """Forks a writer, passes on what it acknowledges, kills it in the middle of its work."""
    read, written = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        asyncio.run(write(path, durability, written))
        os._exit(1)
    os.close(written)
    with os.fdopen(read) as names:
        for count, name in enumerate(names):
            sys.stdout.write(name)
            if count == acknowledgements:
                os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    sys.stdout.write("dead\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        life(Path(sys.argv[1]), cast(Durability, sys.argv[2]), int(line))

"""A process for test_ledger: each line on stdin forks a writer, which is killed once it acknowledged so many rows."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import cast

from experts.base import Answer
from policies.ledger import Durability, Ledger
from policies.rows import OutcomeRow


async def write(path: Path, durability: Durability, pipe: int) -> None:
    ledger = Ledger.open(path, durability)

    async def one(worker: int) -> None:
        for number in range(1_000_000):
            name = f"{os.getpid()}-{worker}-{number}"
            await ledger.write(OutcomeRow.of(name, 0, Answer("small", {}, cost=1), 1.0))
            os.write(pipe, f"{name}\n".encode())

    await asyncio.gather(*(one(worker) for worker in range(8)))


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

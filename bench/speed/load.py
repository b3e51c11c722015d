"""The load generator in a process of its own: a job a line on standard input, its figures a line on standard output."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson
import uvloop

from bench.speed.arithmetic import MICRO
from bench.speed.begins import Bursts, Steady
from bench.speed.many import Many
from bench.speed.processes import cpu_seconds, end, python, start
from bench.speed.runs import Closed, Job, Open
from bench.speed.streams import Streams
from experts.base import SetupError


class Run(Protocol):
    """One kind of load."""

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """The figures; `begin` is called when the window opens."""
        ...

    async def end(self) -> None:
        """Leaves."""
        ...


KINDS: dict[str, Callable[[Job], Run]] = {
    "bursts": Bursts,
    "closed": Closed,
    "many": Many,
    "open": Open,
    "steady": Steady,
    "streams": Streams,
}


async def carry_out(job: Job) -> dict[str, Any]:
    """The figures of one job, and what the tree of the process `pid` used meanwhile."""
    pid = job.get("pid")
    before = 0.0

    def begin() -> None:
        nonlocal before
        before = cpu_seconds(pid) if pid else 0.0

    run = KINDS[job["kind"]](job)
    try:
        figures = await run.run(begin)
        used = cpu_seconds(pid) - before if pid else None
    finally:
        await run.end()
    done = figures.get("requests", figures.get("chunks"))
    figures["cpu_us"] = used / done * MICRO if used is not None and done else None
    return figures


def main() -> None:
    """`python -m bench.speed.load`."""
    gc.disable()  # no pauses of ours in what we measure; the process is short-lived
    for line in sys.stdin.buffer:
        try:
            figures = uvloop.run(carry_out(orjson.loads(line)))
        except OSError as error:
            figures = {"failed": f"cannot connect: {error.strerror or error}"}
        sys.stdout.buffer.write(orjson.dumps(figures) + b"\n")
        sys.stdout.flush()
        gc.collect()


class Generator:
    """The generator as the measuring process sees it: a job in, figures out."""

    def __init__(self, on: Iterable[int] = ()) -> None:
        pipe = subprocess.PIPE
        self.process = start(python("bench.speed.load"), on, stdin=pipe, stdout=pipe)

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)

    def run(self, **job: Any) -> dict[str, Any]:
        """Raises SetupError if the target cannot be reached."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps(job) + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SetupError("the load generator ended: run `python -m bench.speed.load` to see why")
        figures: dict[str, Any] = orjson.loads(line)
        if "failed" in figures:
            raise SetupError(figures["failed"])
        return figures


if __name__ == "__main__":
    main()

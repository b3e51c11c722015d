"""Streams begun all at once: how long every chunk is under way."""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.speed.arithmetic import spread
from bench.speed.processes import memory_bytes
from bench.speed.runs import PATIENCE, Job, Window, connected
from bench.speed.upstream import pace
from bench.speed.wire import Asker, Payload

STAMP = re.compile(rb"@(\d{20})@")
STAMP_BYTES = 22
NANO = 1e-9
MOST_SECONDS = 60.0
"""How long streams of so many chunks may take; others are left when their window closes."""


class Listener:
    """One stream's chunks: how long each was under way."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.asker = Asker(self.done, self.on_body)
        self.kept = b""
        self.waits = True

    def on_body(self, data: bytes) -> None:
        """Reads the stamps of a piece."""
        now = time.monotonic_ns()
        data = self.kept + data
        end = 0
        for found in STAMP.finditer(data):
            self.streams.chunk(now - int(found[1]))
            end = found.end()
        self.waits = self.waits and not end
        self.kept = data[max(end, len(data) - STAMP_BYTES + 1) :]

    def done(self, asker: Asker) -> None:
        """The stream ended, or never will."""
        failed = asker.failed or ("no first chunk" if self.waits else "")
        self.waits = False
        self.streams.done(failed)


class Streams:
    """So many streams begun at once; the window opens after `warm` seconds and closes before they end, but not before
    each has begun."""

    def __init__(self, job: Job) -> None:
        self.job, self.window = job, Window()
        self.delays = array("d")
        self.every = job["every_us"]
        chunks = int((job["warm"] + job["seconds"]) * 1.2e6 / self.every) + 10
        self.payload = Payload(job["target"], job["size"], pace(job.get("chunks") or chunks, self.every))
        self.listeners: list[Listener] = []
        self.ended = 0

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """Delays of the window's chunks."""

        def make() -> Asker:
            self.listeners.append(Listener(self))
            return self.listeners[-1].asker

        askers = await connected(self.job["target"], make, self.job["connections"])
        for asker in askers:
            asker.ask(self.payload.next())
        await asyncio.sleep(self.job["warm"])
        begin()
        self.window.counts, began = True, time.monotonic()
        await asyncio.sleep(self.job["seconds"])
        while self.job.get("chunks") and self.ended < len(askers) and time.monotonic() < began + MOST_SECONDS:
            await asyncio.sleep(0.005)
        await self.begun(time.monotonic() + PATIENCE)
        self.window.counts, seconds = False, time.monotonic() - began
        held = memory_bytes(self.job["pid_memory"]) if self.job.get("pid_memory") else None
        return {
            "chunks": len(self.delays),
            "seconds": seconds,
            "chunks_per_second": len(self.delays) / seconds,
            "offered_per_second": len(askers) * 1e6 / self.every,
            "delay_us": spread(self.delays),
            "memory": held,
            "open": sum(asker.busy for asker in askers),
            "errors": dict(self.window.errors),
        }

    async def begun(self, until: float) -> None:
        """Waits for first chunks that are late; those that never come are errors."""
        while (never := sum(each.waits for each in self.listeners)) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        self.window.errors += Counter({"no first chunk": never})  # a name without a count goes

    def chunk(self, nanoseconds: int) -> None:
        """One chunk, so long under way."""
        if self.window.counts:
            self.delays.append(nanoseconds * NANO)

    def done(self, failed: str) -> None:
        """A stream ended."""
        self.ended += 1
        if failed:
            self.window.errors[failed] += 1

    async def end(self) -> None:
        """Leaves."""
        for listener in self.listeners:
            listener.asker.busy = False
            listener.asker.transport.abort()
        await asyncio.sleep(0.05)

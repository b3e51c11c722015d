"""When a stream's first chunk comes: of streams that begin at one moment, and of streams that begin one by one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.speed.arithmetic import spread
from bench.speed.runs import PATIENCE, Job, connected, over
from bench.speed.upstream import pace
from bench.speed.wire import Asker, Payload

STAMP = re.compile(rb"@\d{20}@")
NANO = 1e-9
REST_SECONDS = 0.02
"""Between the end of a burst and the next."""
MOST_SECONDS = 5.0
"""No burst begins later than this after the first: a slow gateway has fewer of them."""


class Stream:
    """One connection and its streams one after the other; `since` is when the request of this one was written."""

    def __init__(self, run: Begins) -> None:
        self.run = run
        self.asker = Asker(self.done, self.on_body)
        self.since, self.kept, self.waits = 0, b"", False
        self.new = True
        """No stream has ended on this connection yet."""

    def begin(self, request: bytes) -> None:
        """Writes a request at once; the loop would write it after it has been told of all others."""
        self.kept, self.waits, self.asker.busy = b"", True, True
        self.since = time.monotonic_ns()
        with contextlib.suppress(OSError):  # the loop tells of a connection that is lost, and that ends the stream
            os.write(self.asker.transport.get_extra_info("socket").fileno(), request)

    def on_body(self, data: bytes) -> None:
        """Looks for the first chunk; the event before it, a role without a word, is none."""
        if self.waits:
            self.kept += data
            if STAMP.search(self.kept):
                self.waits = False
                self.run.first(self, (time.monotonic_ns() - self.since) * NANO)

    def done(self, asker: Asker) -> None:
        """The stream has ended, or its connection."""
        failed = asker.failed or ("no first chunk" if self.waits else "")
        if failed:
            self.run.errors[failed] += 1
        self.waits = self.new = False
        self.run.ended(self)


class Begins:
    """What both kinds have in common: so many connections, and what new and kept ones brought."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seconds = job["chunks"] * job["every_us"] / 1e6
        self.payload = Payload(job["target"], job["size"], pace(job["chunks"], job["every_us"]))
        self.new: list[float] = []
        self.kept: list[float] = []
        self.errors: Counter[str] = Counter()
        self.streams: list[Stream] = []

    async def open(self, count: int) -> list[Stream]:
        """So many new connections. Raises OSError."""
        made: list[Stream] = []

        def make() -> Asker:
            made.append(Stream(self))
            return made[-1].asker

        await connected(self.job["target"], make, count)
        return made

    def first(self, stream: Stream, seconds: float) -> None:
        """A first chunk came after so long."""
        (self.new if stream.new else self.kept).append(seconds)

    def ended(self, stream: Stream) -> None:
        """A stream has ended."""

    def figures(self) -> dict[str, Any]:
        """First chunks by the connection that they came over: a new one, or one that had carried a stream before."""
        return {
            "requests": len(self.new) + len(self.kept),
            "new_us": spread(self.new),
            "kept_us": spread(self.kept),
            "errors": dict(self.errors),
        }

    async def end(self) -> None:
        """Leaves."""
        for stream in self.streams:
            stream.asker.busy = False
        await over([stream.asker for stream in self.streams])


class Bursts(Begins):
    """All streams begin at one moment, on new connections; and again on the same ones when all have ended."""

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """First chunks of the first burst and of the others."""
        begin()
        until = time.monotonic() + MOST_SECONDS
        for _ in range(1 + self.job["bursts"]):
            if not await self.burst() or time.monotonic() > until:
                break
            await asyncio.sleep(REST_SECONDS)
        return self.figures()

    async def burst(self) -> bool:
        """One of them; whether all its streams ended in time."""
        kept = [stream for stream in self.streams if not stream.asker.closed]
        self.streams = kept + await self.open(self.job["connections"] - len(kept))
        requests = [self.payload.next() for _ in self.streams]
        for stream, request in zip(self.streams, requests, strict=True):
            stream.begin(request)
        until = time.monotonic() + self.seconds + PATIENCE
        while (busy := sum(stream.asker.busy for stream in self.streams)) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        self.errors += Counter({"not ended": busy})  # a name without a count goes
        return not busy


class Steady(Begins):
    """Streams one by one: their beginnings are spread evenly, and each begins again as soon as it has ended."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.running, self.opened = True, 0
        self.again: set[asyncio.Task[None]] = set()

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """First chunks of the streams that begin in the window, however late they come."""
        self.streams = await self.open(self.job["connections"])
        for stream in self.streams:
            stream.begin(self.payload.next())
            await asyncio.sleep(self.seconds / len(self.streams))
        await asyncio.sleep(self.job["warm"])
        begin()
        self.opened = time.monotonic_ns()
        await asyncio.sleep(self.job["seconds"])
        self.running, until = False, time.monotonic() + PATIENCE
        while (late := sum(map(self.owed, self.streams))) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        self.errors += Counter({"no first chunk": late})  # a name without a count goes
        return self.figures()

    def owed(self, stream: Stream) -> bool:
        """Whether it began in the window and has no first chunk yet."""
        return stream.waits and stream.since >= self.opened

    def first(self, stream: Stream, seconds: float) -> None:
        """Counts what began in the window."""
        if self.opened and stream.since >= self.opened:
            super().first(stream, seconds)

    def ended(self, stream: Stream) -> None:
        """Begins the next, on the same connection if it is left."""
        if self.running and not stream.asker.closed:
            stream.begin(self.payload.next())
        elif self.running:
            task = asyncio.ensure_future(self.reopen(stream))
            self.again.add(task)
            task.add_done_callback(self.again.discard)

    async def reopen(self, old: Stream) -> None:
        """Another connection in the place of one that was closed."""
        self.streams.remove(old)
        try:
            self.streams += (made := await self.open(1))
        except OSError:
            self.errors["cannot connect"] += 1
            return
        made[0].begin(self.payload.next())

    async def end(self) -> None:
        """Begins no more; a connection that is being opened is closed with the others."""
        self.running = False
        await asyncio.gather(*self.again)
        await super().end()

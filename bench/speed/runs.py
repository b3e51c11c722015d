"""The kinds of load of plain requests: closed loop, and open loop whose latency counts from the due time."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.speed.arithmetic import spread
from bench.speed.wire import Asker, Payload

Job = Mapping[str, Any]
END_SECONDS = 3.0
"""How long answers under way may take after the window."""
MOST_OPEN = 2000
"""Connections of an open loop."""
LONGEST_SECONDS = 5.0
"""A closed loop's window stays open until every connection could have had an answer, but not longer than this."""
PATIENCE = 5.0
"""How long first chunks of streams may take after their window; what has none by then is an error."""
AT_ONCE = 200
"""Connections that are opened side by side."""


class Requests(Protocol):
    """Where requests come from."""

    def next(self) -> bytes:
        """The next one's bytes."""
        ...


class Window:
    """What is counted, and only while the window is open."""

    def __init__(self) -> None:
        self.counts = False
        self.latency = array("d")
        self.errors: Counter[str] = Counter()

    @property
    def noted(self) -> int:
        """How many answers and failures so far."""
        return len(self.latency) + self.errors.total()

    def note(self, asker: Asker, since: float) -> None:
        """One answer."""
        if self.counts:
            if asker.failed:
                self.errors[asker.failed] += 1
            else:
                self.latency.append(time.monotonic() - since)

    def result(self, seconds: float) -> dict[str, Any]:
        """The figures of a window of so many seconds."""
        return {
            "requests": len(self.latency),
            "seconds": seconds,
            "requests_per_second": len(self.latency) / seconds,
            "latency_us": spread(self.latency),
            "errors": dict(self.errors),
        }


async def connected(job: Job, make: Callable[[], Asker], count: int) -> list[Asker]:
    """So many open connections. Raises OSError."""
    loop = asyncio.get_running_loop()
    askers: list[Asker] = []
    for begin in range(0, count, AT_ONCE):
        some = range(begin, min(begin + AT_ONCE, count))
        pairs = await asyncio.gather(*(loop.create_connection(make, job["host"], job["port"]) for _ in some))
        askers += [asker for _, asker in pairs]
    return askers


async def over(askers: list[Asker]) -> None:
    """Waits for the answers under way and closes the connections."""
    until = time.monotonic() + END_SECONDS
    while any(asker.busy for asker in askers) and time.monotonic() < until:
        await asyncio.sleep(0.005)
    for asker in askers:
        asker.busy = False
        asker.transport.abort()
    await asyncio.sleep(0)


class Closed:
    """Each of so many connections asks again as soon as it has its answer."""

    def __init__(self, job: Job) -> None:
        self.job, self.window = job, Window()
        self.payload: Requests = Payload(job["target"], job["size"], same=job.get("same", False))
        self.askers: list[Asker] = []
        self.running = True
        self.left = job.get("count") or -1
        """Requests still to be asked; negative: no limit."""
        self.again: set[asyncio.Task[None]] = set()

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """The window's figures; `begin` is called when it opens. A slow one stays open for as many answers as there
        are connections: a rate of those that came by chance is none."""
        self.askers = await connected(self.job["target"], lambda: Asker(self.done), self.job["connections"])
        if self.left > 0:
            return await self.counted(begin)
        for asker in self.askers:
            self.ask(asker)
        await asyncio.sleep(self.job["warm"])
        begin()
        self.window.counts, began = True, time.monotonic()
        await asyncio.sleep(self.job["seconds"])
        while self.window.noted < len(self.askers) and time.monotonic() - began < LONGEST_SECONDS:
            await asyncio.sleep(0.005)
        self.window.counts, seconds = False, time.monotonic() - began
        return self.window.result(seconds)

    async def counted(self, begin: Callable[[], None]) -> dict[str, Any]:
        """The same for so many requests instead of so many seconds."""
        begin()
        self.window.counts, began = True, time.monotonic()
        for asker in self.askers:
            self.ask(asker)
        while any(asker.busy for asker in self.askers) or self.again:
            await asyncio.sleep(0.005)
        return self.window.result(time.monotonic() - began)

    def ask(self, asker: Asker) -> None:
        """One more request, if any is left."""
        if self.left == 0:
            return
        self.left -= 1
        asker.sent = time.monotonic()
        asker.ask(self.payload.next())

    def done(self, asker: Asker) -> None:
        """An answer came, or will not."""
        self.window.note(asker, asker.sent)
        if not self.running:
            return
        if asker.closed:
            task = asyncio.ensure_future(self.reopen(asker))
            self.again.add(task)
            task.add_done_callback(self.again.discard)
        else:
            self.ask(asker)

    async def reopen(self, old: Asker) -> None:
        """Another connection in the place of one that was closed."""
        self.askers.remove(old)
        try:
            (asker,) = await connected(self.job["target"], lambda: Asker(self.done), 1)
        except OSError:
            self.window.errors["cannot connect"] += 1
            return
        self.askers.append(asker)
        self.ask(asker)

    async def end(self) -> None:
        """Asks no more."""
        self.running = False
        await over(self.askers)


class Open:
    """Requests fall due at a fixed rate whatever the answers do; what waits for a connection is late already."""

    def __init__(self, job: Job) -> None:
        self.job, self.window = job, Window()
        self.payload = Payload(job["target"], job["size"], first=job.get("first", 0))
        self.askers: list[Asker] = []
        self.free: list[Asker] = []
        self.waiting: deque[float] = deque()
        self.running = True

    async def run(self, begin: Callable[[], None]) -> dict[str, Any]:
        """The window's figures; those due in it count, however late they are answered."""
        count = min(MOST_OPEN, self.job["connections"])
        self.askers = await connected(self.job["target"], lambda: Asker(self.done), count)
        self.free = list(self.askers)
        clock = asyncio.get_running_loop().run_in_executor(None, self.clock, asyncio.get_running_loop())
        await asyncio.sleep(self.job["warm"])
        begin()
        self.window.counts, began = True, time.monotonic()
        await asyncio.sleep(self.job["seconds"])
        self.running, seconds = False, time.monotonic() - began
        await clock
        while self.waiting and time.monotonic() - began < seconds + END_SECONDS:
            await asyncio.sleep(0.005)
        await over(self.askers)
        self.window.errors += Counter({"never asked": len(self.waiting)})  # a name without a count goes
        return self.window.result(seconds)

    def clock(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells the loop what falls due, from a thread: the loop's own timers know whole milliseconds only."""
        due, every = time.monotonic(), 1.0 / self.job["rate"]
        while self.running:
            loop.call_soon_threadsafe(self.ask, due)
            due += every
            time.sleep(max(0.0, due - time.monotonic()))

    def ask(self, due: float) -> None:
        """A request fell due."""
        self.waiting.append(due)
        self.serve()

    def serve(self) -> None:
        """Hands the requests that wait longest to free connections."""
        while self.waiting and self.free:
            asker = self.free.pop()
            if not asker.closed:
                asker.due = self.waiting.popleft()
                asker.ask(self.payload.next())

    def done(self, asker: Asker) -> None:
        """An answer came: its latency counts from when it was due."""
        self.window.note(asker, asker.due)
        self.free.append(asker)
        self.serve()

    async def end(self) -> None:
        """All is over already."""

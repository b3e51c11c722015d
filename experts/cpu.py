"""Meters the CPU of a process and shares it among the requests that were active while it was burnt."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


def process_seconds(pid: int) -> float:
    """CPU seconds of all threads of a living process. Raises ProcessLookupError."""
    if sys.platform == "linux":
        # clock_getcpuclockid(3): nanoseconds, where /proc counts ticks of 10 milliseconds.
        try:
            return time.clock_gettime(~pid << 3 | 2)
        except OSError as error:
            raise ProcessLookupError(pid) from error
    return ticked_seconds(pid)


def ticked_seconds(pid: int) -> float:
    """The same by psutil, where there is no such clock. Raises ProcessLookupError."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error
    return float(times.user + times.system)


@dataclass(eq=False, slots=True)
class Share:
    """What one request has used so far."""

    seconds: float = 0.0


class Crowd:
    """How many requests each of several processes has with the one that is metered: a row in memory that they share.
    `place` is our own number in it."""

    def __init__(self, row: memoryview[int], place: int) -> None:
        self.row, self.place = row, place

    def tell(self, count: int) -> None:
        """We have so many now."""
        self.row[self.place] = count

    def total(self) -> int:
        """All have so many now."""
        return sum(self.row)


class CpuMeter:
    """At every event the seconds since the last one are split equally among the active requests, so the shares
    and `idle` (what was burnt while nobody asked: loading, warming up) sum to what the process used. Where several
    processes ask it, each meters its own requests and counts those of the others beside them."""

    def __init__(self) -> None:
        self.idle = 0.0
        self.crowd: Crowd | None = None
        self._active: set[Share] = set()
        self._read: Callable[[], float] | None = None
        self._last = 0.0

    def follow(self, read: Callable[[], float]) -> None:
        """Meters a new process from its start: `read` gives its CPU seconds or raises ProcessLookupError."""
        self.leave()
        self._read, self._last = read, 0.0
        self.tick()

    def leave(self) -> None:
        """Meters no process: its number may soon be another's."""
        self.tick()
        self._read = None

    def tick(self) -> None:
        """Shares out what was burnt since the last event. A process that is gone burns nothing more."""
        if self._read is None:
            return
        try:
            now = self._read()
        except ProcessLookupError:
            self._read = None
            return
        burnt, self._last = now - self._last, now
        if not self._active:
            self.idle += burnt
        count = len(self._active)
        if self.crowd is not None:
            count = max(count, self.crowd.total())
        for share in self._active:
            share.seconds += burnt / count

    def begin(self) -> Share:
        """A request starts to use the process."""
        self.tick()
        share = Share()
        self._active.add(share)
        self._tell()
        return share

    def end(self, share: Share) -> float:
        """A request ends; the seconds that are its own. A second call changes nothing."""
        self.tick()
        self._active.discard(share)
        self._tell()
        return share.seconds

    def _tell(self) -> None:
        if self.crowd is not None:
            self.crowd.tell(len(self._active))

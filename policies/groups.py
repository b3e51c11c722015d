"""Rows on their way to the disk: what one turn of the event loop queues is one group, written and awaited together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from functools import partial

from policies.rows import Line, writable, write


class Group:
    """Rows that become durable together. Whoever depends on them awaits the group, or leaves a call with `then`."""

    __slots__ = ("cost", "done", "error", "first", "hurry", "last", "lines", "rows", "waiting")

    def __init__(self, time: float = 0.0, hurry: Callable[[], None] | None = None) -> None:
        """`hurry` is called when the first one waits: until then the rows may gather."""
        self.hurry = hurry
        self.rows = bytearray()
        """Each with a comma behind it; once it is closed, but the last."""
        self.lines: list[Line] = []
        """Those that are still to be written, behind them."""
        self.first = self.last = time
        """Unix seconds of the earliest and the latest row."""
        self.cost = 0
        """Nano-dollars of the outcomes with a known cost."""
        self.done = False
        self.error: Exception | None = None
        self.waiting: list[Callable[[], None]] = []

    def covers(self, time: float, cost: int | None) -> None:
        """A row of this time and cost is in it."""
        if time > self.last:
            self.last = time
        elif time < self.first:
            self.first = time
        if cost:
            self.cost += cost

    def close(self) -> bool:
        """Writes the lines; whether there are any rows."""
        rows, lines, size = self.rows, self.lines, len(self.rows)
        if lines:
            self.lines = []
            try:
                write(lines, rows, -1)
            except (TypeError, ValueError, OverflowError):  # the other lines are none the worse for it
                del rows[size:]
                write(writable(lines), rows, -1)
            del rows[size]  # of the list its brackets are not wanted
        if rows:
            del rows[-1]
        return bool(rows)

    def then(self, call: Callable[[], None]) -> None:
        """Calls once the rows are durable or have failed: at once if they are."""
        if self.done:
            call()
            return
        if not self.waiting and self.hurry is not None:
            self.hurry()
        self.waiting.append(call)

    def end(self, error: Exception | None = None) -> None:
        """The rows are durable, or cannot be."""
        self.done, self.error = True, error
        waiting, self.waiting = self.waiting, []
        _tell(iter(waiting))

    def __await__(self) -> Generator[asyncio.Future[None], None, None]:
        """Raises StoreUnavailable if the rows cannot be written."""
        if not self.done:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.then(partial(_wake, future))
            yield from future
        if self.error is not None:
            raise self.error


def refused(error: Exception) -> Group:
    """A group that has failed already."""
    group = Group()
    group.end(error)
    return group


def _tell(waiting: Iterator[Callable[[], None]]) -> None:
    """One call that fails does not keep the others waiting."""
    for call in waiting:
        try:
            call()
        except BaseException:
            asyncio.get_running_loop().call_soon(_tell, waiting)
            raise


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

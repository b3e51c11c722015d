"""A thread that does what is queued in batches, and answers in the event loop that asked.

While one batch is being made durable the next gathers, so the busier it is the more share one commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Entry = tuple[Item, "asyncio.Future[Any]", asyncio.AbstractEventLoop]

LARGEST_BATCH = 500


class StoreUnavailable(Exception):
    """The store cannot be written. What was queued is not acknowledged; nothing that depends on it may go on."""


class Batches(Generic[Item]):
    """`commit` does a batch and gives a result or an exception for each item; `end` cleans up. Both run in the
    thread."""

    def __init__(self, name: str, commit: Callable[[Sequence[Item]], Sequence[Any]], end: Callable[[], None]) -> None:
        self._name, self._commit, self._end = name, commit, end
        self._queue: queue.SimpleQueue[Entry[Item] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"writer of {name}", daemon=True)
        self.closed = False

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Queues an item; the future has its result, or StoreUnavailable."""
        if self.closed:
            return refused(f"{self._name} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.put((item, future, loop))
        return future

    async def close(self) -> None:
        """Does all that is queued, then ends the thread. May be called twice."""
        if not self.closed:
            self.closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        more = True
        try:
            while more:
                batch = self._next()
                entries = [entry for entry in batch if entry is not None]
                more = len(entries) == len(batch)
                results: Sequence[Any] = [StoreUnavailable(f"the writer of {self._name} has failed")] * len(entries)
                try:
                    results = self._commit([item for item, _, _ in entries]) if entries else []
                finally:
                    _deliver(entries, results)
        finally:
            self.closed = True
            self._refuse()
            self._end()

    def _refuse(self) -> None:
        """Answers what is still queued when the thread ends before its time."""
        with suppress(queue.Empty):
            while entry := self._queue.get_nowait():
                _deliver([entry], [StoreUnavailable(f"the writer of {self._name} has failed")])

    def _next(self) -> list[Entry[Item] | None]:
        batch = [self._queue.get()]
        with suppress(queue.Empty):
            while batch[-1] is not None and len(batch) < LARGEST_BATCH:
                batch.append(self._queue.get_nowait())
        return batch


def refused(why: str) -> asyncio.Future[Any]:
    """A future that has failed already."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    _settle([(future, StoreUnavailable(why))])
    return future


def _deliver(entries: Sequence[Entry[Item]], results: Sequence[Any]) -> None:
    """Answers every item in the event loop that asked, one call a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for (_, future, loop), result in zip(entries, results, strict=True):
        by_loop.setdefault(loop, []).append((future, result))
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in settled:
        if future.done():
            continue  # the one who waited has gone; what was done stands
        if isinstance(result, Exception):
            future.set_exception(result)
            future.exception()  # counts as seen: whoever awaits still gets it, whoever does not raises no warning
        else:
            future.set_result(result)

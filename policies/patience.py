"""What accounts need of a store, and how long callers wait for it: as long as it makes progress or at least answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

from policies.batches import StoreUnavailable
from policies.book import Account, Operation, Reservation

TURNS = 3
"""Of the event loop, from the store's answer to the caller's."""


class Working(Protocol):
    """What shows whether a store still works."""

    @property
    def patience(self) -> float:
        """Seconds without progress after which what waits is refused."""
        ...

    @property
    def progress(self) -> int:
        """Grows while the store works: tells a busy one from one that is stuck."""
        ...

    async def alive(self) -> bool:
        """Whether a store without progress still answers, within its patience."""
        ...


class Store(Working, Protocol):
    """Runs operations in durable transactions, or raises StoreUnavailable."""

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation; the future has what it returned once that is durable."""
        ...

    async def expired(self, now: float) -> list[str]:
        """Names of open reservations whose time is over."""
        ...

    async def balances(self, starts: Collection[int] | None = None) -> list[Account]:
        """The accounts of budgets whose period began at one of these; of all periods, and rates, for an audit."""
        ...

    async def reservations(self) -> list[Reservation]:
        """All reservations, for an audit."""
        ...

    async def close(self) -> None: ...


class Patience:
    """Fails the futures that wait for a store which is stuck, or that have waited for too long; with one timer."""

    def __init__(self, store: Working, longest: float) -> None:
        """`longest`: seconds after which nobody waits any longer, however busy the store is."""
        self._store, self._longest = store, longest
        self._waiting: dict[asyncio.Future[Any], float] = {}
        self._looking: asyncio.Task[None] | None = None

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Looks after a future until it is done."""
        loop = asyncio.get_running_loop()
        self._waiting[future] = loop.time() + self._longest
        future.add_done_callback(self._done)
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look())

    async def close(self) -> None:
        """Ends; what still waits is nobody's."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting.pop(future, None)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            progress, before = self._store.progress, list(self._waiting)
            await asyncio.sleep(self._store.patience)
            stuck = any(future in self._waiting for future in before) and self._store.progress == progress
            stuck = stuck and not await self._store.alive()
            for _ in range(TURNS):  # a busy loop may have the store's answer, and has not come to it yet
                await asyncio.sleep(0)
            for future in before:
                until = self._waiting.get(future)
                if until is not None and (stuck or loop.time() > until) and not future.done():
                    future.set_exception(StoreUnavailable("the store of budgets did not answer in time"))
                    future.exception()  # counts as seen: whoever awaits still gets it

"""Books the calls of slices: those that end within a moment are one operation of the store.

Each alone would cost more than all else that is done for its call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from policies.batches import StoreUnavailable
from policies.book import Moves, Operation

DRAW_SECONDS = 0.1
"""How long bookings gather before they go to the store together: nobody waits for them."""
SOON_SECONDS = 0.01
"""How long they gather for whoever waits."""

Drawn = list[tuple[Operation, "asyncio.Future[Any]"]]
"""Bookings, each with the future of its moves."""


class Draws:
    """`submit` queues an operation whose result comes first in its future's; `booked` is told of each that is durable,
    `late` of each that the store could not take."""

    def __init__(
        self,
        submit: Callable[[Operation], asyncio.Future[Any]],
        booked: Callable[[Operation, Moves | None], None],
        late: Callable[[Operation], None],
    ) -> None:
        self._submit, self._booked, self._late = submit, booked, late
        self._drawn: Drawn = []

    def add(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues a booking; the future has its moves first, or StoreUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not self._drawn:
            loop.call_later(DRAW_SECONDS, self.flush)
        self._drawn.append((operation, future))
        return future

    def soon(self) -> None:
        """Somebody waits for what has gathered."""
        asyncio.get_running_loop().call_later(SOON_SECONDS, self.flush)

    def flush(self) -> None:
        """Hands over what has gathered."""
        drawn, self._drawn = self._drawn, []
        if not drawn:
            return
        names = tuple({name for operation, _ in drawn for name in (operation.id, *operation.also)})
        keys = tuple({key for operation, _ in drawn for key in operation.accounts})
        runs = [operation.run for operation, _ in drawn]
        together = Operation(names[0], lambda book: [run(book) for run in runs], keys, names)
        self._submit(together).add_done_callback(partial(self._ended, drawn))

    def _ended(self, drawn: Drawn, done: asyncio.Future[Any]) -> None:
        error = done.exception()
        results = [None] * len(drawn) if error else done.result()[0]
        for (operation, future), moves in zip(drawn, results, strict=True):
            if error is None:
                self._booked(operation, moves)
            elif isinstance(error, StoreUnavailable):
                self._late(operation)
            if not future.done():
                _tell(future, moves, error)


def _tell(future: asyncio.Future[Any], moves: Moves | None, error: BaseException | None) -> None:
    if error is None:
        future.set_result((moves, {}))
    else:
        future.set_exception(error)
        future.exception()  # counts as seen: whoever awaits still gets it

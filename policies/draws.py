"""Books the calls of slices: those that end within a moment are one sum for each slice, and one operation together.

Each alone would cost more than all else that is done for its call. Of a slice the store is told one sum after another:
one that it may or may not have taken is told again, under the same number, before any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from logging import getLogger
from typing import Any

from policies.batches import StoreUnavailable
from policies.book import Book, Moves, Operation
from policies.lease import Slice
from policies.slices import Draw, draw

logger = getLogger("lyceum")

DRAW_SECONDS, BACK_SECONDS = 0.25, 0.1
"""How long bookings gather before they go to the store together: nobody waits for them; and where they give money back
to the budgets."""
SOON_SECONDS = 0.01
"""How long they gather for whoever waits; after an answer of the store also what gives money back to the budgets."""

Waiting = Sequence["asyncio.Future[None]"]
"""Those who are told once calls are durable."""

Again = Callable[[], "asyncio.Future[Any]"]
"""Tells the store once more; the future has what it returned first."""


class Draws:
    """`submit` queues an operation whose result comes first in its future's; `watch` is told how accounts moved, `late`
    the name of what the store could not take, and how to try again."""

    def __init__(
        self,
        submit: Callable[[Operation], asyncio.Future[Any]],
        watch: Callable[[Moves], None],
        late: Callable[[str, Again], None],
    ) -> None:
        self._submit, self._watch, self._late = submit, watch, late
        self._gathered: list[Slice] = []
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Future[Any]] = set()

    def gather(self, one: Slice) -> None:
        """The first call of a slice has ended since the store was told."""
        if self._timer is None or not one.spare:
            self._flush_after(DRAW_SECONDS if one.spare else BACK_SECONDS)
        self._gathered.append(one)
        one.low = min(one.low, one.free)

    def durable(self, one: Slice) -> asyncio.Future[None]:
        """Ends when all calls of a slice that have ended are durable, or with StoreUnavailable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if one.stuck:
            _answer(future, StoreUnavailable("the store of budgets has not taken what was booked before"))
        else:
            one.told.append(future)
            self._flush_after(SOON_SECONDS)
        return future

    def flush(self) -> None:
        """Tells the store what has gathered, but of slices of which it has not yet said that it took the last sum."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready = [one for one in self._gathered if one.booking is None]
        if ready:
            self._gathered = [one for one in self._gathered if one.booking is not None]
            self._tell(ready, _waiting(ready), [one.drawn() for one in ready])

    async def close(self) -> None:
        """Ends after the store was told all that it would take."""
        self.flush()
        while self._telling:
            await asyncio.wait(self._telling)
            self.flush()

    def _flush_after(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.flush)

    def _tell(self, slices: Sequence[Slice], told: Waiting, draws: Sequence[Draw]) -> asyncio.Future[Any]:
        operation = Operation(slices[0].id, partial(_all, draws), also=tuple(one.id for one in slices))
        future = self._submit(operation)
        self._telling.add(future)
        future.add_done_callback(partial(self._told, slices, told, draws))
        return future

    def _told(self, slices: Sequence[Slice], told: Waiting, draws: Sequence[Draw], future: asyncio.Future[Any]) -> None:
        self._telling.discard(future)
        error = StoreUnavailable("nobody waits for the store") if future.cancelled() else future.exception()
        stuck = isinstance(error, StoreUnavailable)
        if error is not None and not stuck and len(slices) > 1:
            for one, drawn in zip(slices, draws, strict=True):  # the fault is in one of them: each alone
                self._tell([one], [], [drawn])
            slices = []
        for one in slices:
            one.booked(stuck)
        if stuck:
            self._late(f"{slices[0].id} {draws[0].number}", partial(self._tell, slices, [], draws))
            told = [*told, *_waiting(slices)]
        elif error is None:
            for moves in future.result()[0]:
                self._watch(moves or ())
        elif slices:
            logger.error("calls of the slice %s cannot be booked (%s)", slices[0].id, type(error).__name__)
        for each in told:
            _answer(each, error)
        if self._gathered:  # perhaps what could not be told before
            soon = any(one.told or one.unspent for one in self._gathered)
            self._flush_after(SOON_SECONDS if soon else DRAW_SECONDS)


def _all(draws: Sequence[Draw], book: Book) -> list[Moves | None]:
    return [draw(book, each) for each in draws]


def _waiting(slices: Sequence[Slice]) -> Waiting:
    """Who waits for what has gathered; from now on it is the caller who tells them."""
    told = [future for one in slices for future in one.told]
    for one in slices:
        one.told = []
    return told


def _answer(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return  # the one who waited has gone
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()  # counts as seen: whoever awaits still gets it

"""Asks a second expert beside one that keeps the client waiting: the first to answer is taken, the other is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from experts.base import Chunk, ExpertError
from gateway.call import Call
from gateway.life import Life
from policies.base import Spare


class Lost(ExpertError):
    """Another expert was first."""

    reason = "hedge_lost"


class Run:
    """One of the experts at work, done with its whole answer or with the first words of a stream."""

    def __init__(self, life: Life, name: str) -> None:
        self.life = life
        self.call = Call(life, life.school.experts[name], life.request)
        self.head: list[Chunk] | None = None
        self.task = self.started(self.read())

    def started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that goes on whoever waits for it."""
        running = self.life.school.hedges.running
        task = asyncio.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    async def read(self) -> None:
        """An expert that fails is noted. Raises APIError, LedgerUnavailable."""
        try:
            self.head = await self.call.head() if self.life.request.stream else await self.whole()
        except ExpertError as error:
            self.life.outcomes += (await self.call.failed(error),)

    async def whole(self) -> list[Chunk]:
        """All chunks from here on."""
        async with aclosing(self.call.rest(self.head or [])) as chunks:
            return [chunk async for chunk in chunks]

    def lose(self) -> None:
        """Ends it, and books what it said; an expert whose answers are not to be cancelled is read to its end, for only
        then is known what it costs."""
        if getattr(self.call.tally.expert, "when_left", "cancel") != "cancel":
            self.started(self.finish())
            return
        promise = self.call.tally.promise
        nobody_asked = promise is not None and promise.pending is not None
        failure = self.call.tally.failure(Lost("another expert was first", **({"cost": 0} if nobody_asked else {})))
        tally = self.call.tally
        if self.head is not None or not self.task.done():  # else it has failed, and that is noted
            self.life.outcomes += (tally.answer() if tally.settled else failure,)
        tally.settle(failure, failure.reason)
        self.end()

    def end(self) -> None:
        """Cancels it, or what it has begun."""
        if self.task.done():
            self.started(self.call.close())
        else:
            self.task.cancel()

    async def finish(self) -> None:
        """Reads on, for nobody."""
        await asyncio.wait([self.task])
        if self.head is not None and self.life.request.stream:
            await self.whole()


async def raced(life: Life, name: str, spare: Spare) -> Run | None:
    """Whoever was first; `None` if all that were asked have failed. Raises APIError, LedgerUnavailable."""
    hedges = life.school.hedges
    hedges.earn(spare)
    runs, winner = [Run(life, name)], None
    try:
        await asyncio.wait([runs[0].task], timeout=spare.after)
        if not runs[0].task.done() and hedges.grant(spare, life.school.health):
            runs.append(Run(life, spare.expert))
        winner = await first(runs)
    finally:
        for run in runs:
            if winner is None:
                run.end()  # the client left, or nothing can be recorded
            elif run is not winner:
                run.lose()
    return winner


async def first(runs: Sequence[Run]) -> Run | None:
    """The first that has something to say; of two at once the first that was asked. Raises what the first of them
    raises."""
    waiting = {run.task for run in runs}
    while waiting:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if runs[0].task.done():
            runs[0].task.result()
        for run in runs:
            if run.head is not None:
                return run
    return None

"""One expert being asked in a coroutine: its chunks, and its row in the ledger whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from experts.base import BrokenOff, Chunk, Expert, ExpertError, Outcome, Request
from gateway.cap import LENGTH, beyond
from gateway.life import Life
from gateway.tally import Tally
from policies.groups import Group


class Call:
    """One expert being asked; what it says is settled whatever ends it."""

    def __init__(self, life: Life, expert: Expert, request: Request) -> None:
        self.tally = Tally(life, expert, life.school.clock())
        self.source = expert.stream(self.tally.promised(request))

    async def admit(self) -> None:
        """Waits for the reservation of what it may cost. Raises ExpertError, APIError."""
        if (pending := self.tally.reserve()) is not None:
            await asyncio.wait((pending,))
            self.tally.admit()

    async def head(self) -> list[Chunk]:
        """The chunks up to the first that says something."""
        chunks: list[Chunk] = []
        try:
            await self.admit()
            async for chunk in self.source:
                self.tally.note(chunk)
                chunks.append(chunk)
                if says_something(chunk):
                    return chunks
        except ExpertError:
            raise  # a failure, to be noted as one
        except BaseException:
            await self.close()
            raise
        raise BrokenOff("the expert ended its answer before it began")

    async def rest(self, head: list[Chunk]) -> AsyncGenerator[Chunk]:
        """The chunks already read, then the others; settles at the end, also when the reader goes away."""
        try:
            if not head:
                await self.admit()
            for chunk in head:
                yield chunk
            async for chunk in self.source:
                self.tally.note(chunk)
                yield chunk
                if beyond(self.tally):
                    self.tally.note(LENGTH)
                    yield LENGTH
                    break
            await self.finish()
        except ExpertError as error:
            await self.failed(error)
            raise
        finally:
            await self.close()

    async def finish(self) -> None:
        """An answer that ended: it must have said why."""
        answer = self.tally.answer()
        if answer.finish_reason is None:
            raise BrokenOff("the expert's answer has no end", cost=answer.cost)
        await durable(self.tally.settle(answer, "answered"))

    async def failed(self, error: ExpertError) -> Outcome:
        """Notes a failure with what it cost."""
        failure = self.tally.failure(error)
        await durable(self.tally.settle(failure, error.reason))
        return failure

    async def close(self) -> None:
        """Cancels what is still going on; if nothing ended the answer, the reader went away."""
        self.tally.left()
        await _close(self.source)


def says_something(chunk: Chunk) -> bool:
    """Whether a chunk holds more than the name of a role."""
    return bool(chunk.finish_reason) or any(value for key, value in chunk.delta.items() if key != "role")


async def durable(row: Group | None) -> None:
    """Waits until a row is in the ledger. Raises LedgerUnavailable."""
    if row is not None:
        await row


async def _close(source: AsyncIterator[Chunk]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()

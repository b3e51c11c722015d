"""The one loop that acts: estimate, decide, ask, settle, and again until something is accepted or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from msgspec.structs import replace

from experts.base import Answer, BrokenOff, Chunk, Expert, ExpertError, Outcome, Request
from gateway.life import Life, Tally
from policies.base import Accept, Ask
from policies.ledger import LedgerUnavailable


@dataclass(slots=True)
class Result:
    """What a client gets: who answered, and the answer's chunks, of which the first is already there."""

    decision: str
    expert: str
    why: str
    chunks: AsyncGenerator[Chunk]
    spent: int
    """Nano-dollars spent before the chunks: answers that were asked for and not taken, failures."""


async def run(life: Life, decision: Ask | Accept | None = None) -> Result:
    """The result, or APIError; goes on from `decision` if one has been made. Raises LedgerUnavailable when nothing
    can be recorded."""
    while True:
        result = await act(life, decision or life.next())
        decision = None
        try:
            await durable(life.recorded)
        except LedgerUnavailable:
            if result is not None:
                await result.chunks.aclose()
            raise
        if result is not None:
            return result


async def act(life: Life, decision: Ask | Accept) -> Result | None:
    """Carries a decision out; `None` means that the policy is to be asked again."""
    match decision:
        case Accept(answer):
            return Result(
                life.request.id, answer.expert, decision.why, _chunks(answer), life.spent() - (answer.cost or 0)
            )
        case Ask((name,), last=True):
            chunks = await tail(life, name)
            return None if chunks is None else Result(life.request.id, name, decision.why, chunks, life.spent())
        case Ask(names):
            await ask(life, names)
            return None


async def ask(life: Life, names: Sequence[str]) -> None:
    """Asks several experts at once and keeps all outcomes, in the order asked."""
    whole = replace(life.request, options={**life.request.options, "stream": False})
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collect(life, name, whole)) for name in names]
    life.outcomes += tuple(task.result() for task in tasks)


async def tail(life: Life, name: str) -> AsyncGenerator[Chunk] | None:
    """The last call: a plain answer is read whole, a stream up to its first content, so that a failure before
    that is replaced without a trace."""
    if not life.request.stream:
        outcome = await collect(life, name, life.request)
        if isinstance(outcome, Answer):
            return _chunks(outcome)
        life.outcomes += (outcome,)
        return None
    call = Call(life, life.school.experts[name], life.request)
    try:
        head = await call.head()
    except ExpertError as error:
        life.outcomes += (await call.failed(error),)
        return None
    return call.rest(head)


async def collect(life: Life, name: str, request: Request) -> Outcome:
    """Asks one expert and reads its answer to the end."""
    call = Call(life, life.school.experts[name], request)
    try:
        async with aclosing(call.rest([])) as chunks:
            async for _ in chunks:
                pass
    except ExpertError as error:
        return call.tally.failure(error)
    return call.tally.answer()


async def _chunks(answer: Answer) -> AsyncGenerator[Chunk]:
    yield Chunk(answer.message, answer.finish_reason, answer.usage, answer.cost, answer.data, answer.dialect)


class Call:
    """One expert being asked; what it says is settled whatever ends it."""

    def __init__(self, life: Life, expert: Expert, request: Request) -> None:
        self.tally = Tally(life, expert)
        self.source = expert.stream(request)

    async def head(self) -> list[Chunk]:
        """The chunks up to the first that says something."""
        chunks: list[Chunk] = []
        try:
            async for chunk in self.source:
                self.tally.note(chunk)
                chunks.append(chunk)
                if says_something(chunk):
                    return chunks
        except asyncio.CancelledError:
            await self.close()
            raise
        raise BrokenOff("the expert ended its answer before it began")

    async def rest(self, head: list[Chunk]) -> AsyncGenerator[Chunk]:
        """The chunks already read, then the others; settles at the end, also when the reader goes away."""
        try:
            for chunk in head:
                yield chunk
            async for chunk in self.source:
                self.tally.note(chunk)
                yield chunk
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


async def durable(row: asyncio.Future[None] | None) -> None:
    """Waits until a row is in the ledger. Raises LedgerUnavailable."""
    if row is not None:
        await row


async def _close(source: AsyncIterator[Chunk]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()

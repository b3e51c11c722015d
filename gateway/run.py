"""The one loop that acts: estimate, decide, ask, settle, and again until something is accepted or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from experts.base import Answer, Chunk, ExpertError, Outcome, Request
from gateway.call import Call, durable
from gateway.chat import Events
from gateway.errors import APIError
from gateway.hedge import raced
from gateway.http import Reply
from gateway.life import Life
from gateway.resume import resumed
from policies.base import Accept, Ask, Spare


class Chunks(Protocol):
    """An answer's chunks, to be read once; whoever has them closes them."""

    def __aiter__(self) -> AsyncIterator[Chunk]: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Result:
    """What a client gets: who answered, and the answer's chunks, of which the first is already there."""

    decision: str
    expert: str
    why: str
    chunks: Chunks
    spent: int
    """Nano-dollars spent before the chunks: answers that were asked for and not taken, failures."""


async def run(life: Life, decision: Ask | Accept | None = None) -> Result:
    """The result, or APIError; goes on from `decision` if one has been made. Raises LedgerUnavailable when nothing
    can be recorded."""
    while True:
        try:
            decision = decision or life.next()
        except APIError:
            await durable(life.recorded)  # a refusal is a decision, too
            raise
        result = await act(life, decision)
        decision = None
        await durable(life.recorded)
        if result is not None:
            return result


async def act(life: Life, decision: Ask | Accept) -> Result | None:
    """Carries a decision out; `None` means that the policy is to be asked again."""
    match decision:
        case Accept(answer):
            return Result(
                life.request.id, answer.expert, decision.why, _chunks(answer), life.spent() - (answer.cost or 0)
            )
        case Ask(_, spare=Spare() as spare):
            return await hedged(life, decision, spare)
        case Ask((name,), last=True):
            chunks = await tail(life, name)
            return None if chunks is None else Result(life.request.id, name, decision.why, chunks, life.spent())
        case Ask(names):
            await ask(life, names)
            return None


async def hedged(life: Life, decision: Ask, spare: Spare) -> Result | None:
    """A tail call, in which the spare expert is asked as well if the first takes too long."""
    run = await raced(life, decision.experts[0], spare)
    if run is None:
        return None
    tally = run.call.tally
    streams = life.request.stream
    chunks = await begun(life, run.call, run.head or []) if streams else _chunks(tally.answer())
    if life.session:
        life.school.sessions.keep(life.key, life.session, tally.expert.name)
    return Result(life.request.id, tally.expert.name, decision.why, chunks, life.spent())


async def ask(life: Life, names: Sequence[str]) -> None:
    """Asks several experts at once and keeps all outcomes, in the order asked. Raises APIError, LedgerUnavailable."""
    whole = replace(life.request, options={**life.request.options, "stream": False})
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(collect(life, name, whole)) for name in names]
    except ExceptionGroup as failed:
        life.answered = None  # what one of several has said is not yet the client's answer
        raise failed.exceptions[0] from None  # the first is why the others were given up
    life.outcomes += tuple(task.result() for task in tasks)


async def tail(life: Life, name: str) -> Chunks | None:
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
    return await begun(life, call, head)


async def begun(life: Life, call: Call, head: list[Chunk]) -> Chunks:
    """A stream that has begun, once its decision is recorded: until somebody has it, only we can end its expert."""
    try:
        await durable(life.recorded)
    except BaseException:
        await call.close()
        raise
    return Begun(life, call, head)


class Begun:
    """A stream that has begun: its expert is ended with it, also when nobody has read a chunk. A generator that was
    never started would not even know that it was closed."""

    def __init__(self, life: Life, call: Call, head: list[Chunk]) -> None:
        self.call, self.chunks = call, _whole(life, call, head)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self.chunks

    async def aclose(self) -> None:
        """Ends what is still going on."""
        await self.chunks.aclose()
        await self.call.close()


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


async def _whole(life: Life, call: Call, head: list[Chunk]) -> AsyncGenerator[Chunk]:
    """A streamed answer to its end; if it breaks off, others go on with it."""
    try:
        async with aclosing(call.rest(head)) as chunks:
            async for chunk in chunks:
                yield chunk
    except ExpertError as error:
        life.outcomes += (call.tally.failure(error),)
        async with aclosing(resumed(life, call.tally, error)) as chunks:
            async for chunk in chunks:
                yield chunk


async def send(life: Life, events: Events, chunks: Chunks, reply: Reply) -> None:
    """Writes an answer's chunks as events, to the end of the stream."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if event := events.of(chunk):
                await reply.write(event)
    await reply.write(events.end(life.total, life.usage))
    await reply.end()

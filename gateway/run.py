"""The one loop that acts: estimate, decide, ask, settle, and again until something is accepted or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from experts.base import Answer, BrokenOff, Chunk, Expert, ExpertError, Failure, Message, Outcome, Request, Timing
from experts.base import text as readable
from experts.card import Usage
from experts.catalog import Catalog, eligible, least_tokens
from gateway.errors import refusal
from gateway.school import School
from policies.base import Accept, Ask, Decision, Policy, Refuse, State

SPARE_STEPS = 2
"""Rounds beyond one for each expert: a policy asks nobody twice, then must accept or refuse."""


@dataclass(slots=True)
class Result:
    """What a client gets: who answered, and the answer's chunks, of which the first is already there."""

    decision: str
    expert: str
    why: str
    chunks: AsyncGenerator[Chunk]
    spent: int
    """Nano-dollars spent before the chunks: answers that were asked for and not taken, failures."""


@dataclass(slots=True)
class Life:
    """One request on its way: the loop's state, and the only writer of its rows in the ledger."""

    school: School
    request: Request
    policy: Policy
    policy_name: str
    key: str
    catalog: Catalog = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    step: int = 0

    async def run(self) -> Result:
        """The result, or APIError. Raises whatever the ledger raises when it cannot write."""
        self.request = await self.school.embedded(self.request)
        self.catalog = eligible(self.request, self.school.catalog(self.request.model))
        for step in range(len(self.catalog) + SPARE_STEPS):
            self.step = step
            state = self.state()
            decision = self.policy.decide(state)
            recorded = self.school.books.decided(self, state, decision)
            result = await self.act(decision)
            await recorded
            if result is not None:
                return result
        raise refusal("exhausted", self.last_error())

    def state(self) -> State:
        """What the policy sees now."""
        estimates = self.school.router.estimate(self.request, self.catalog, self.outcomes)
        return State(self.request, estimates, self.outcomes, self.school.books.allowance(), self.school.draw())

    async def act(self, decision: Decision) -> Result | None:
        """Carries a decision out; `None` means that the policy is to be asked again."""
        match decision:
            case Accept(answer):
                return self.result(answer.expert, decision.why, _chunks(answer))
            case Refuse(reason):
                raise refusal(reason, self.last_error())
            case Ask((name,), last=True):
                return await self.tail(name, decision.why)
            case Ask(names):
                await self.ask(names)
                return None

    async def ask(self, names: Sequence[str]) -> None:
        """Asks several experts at once and keeps all outcomes, in the order asked."""
        whole = replace(self.request, options={**self.request.options, "stream": False})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.collect(name, whole)) for name in names]
        self.outcomes += tuple(task.result() for task in tasks)

    async def tail(self, name: str, why: str) -> Result | None:
        """The last call: a plain answer is read whole, a stream up to its first content, so that a failure
        before that is replaced without a trace."""
        if not self.request.stream:
            outcome = await self.collect(name, self.request)
            if isinstance(outcome, Answer):
                return self.result(name, why, _chunks(outcome))
            self.outcomes += (outcome,)
            return None
        call = Call(self, self.school.experts[name], self.request)
        try:
            head = await call.head()
        except ExpertError as error:
            self.outcomes += (await call.failed(error),)
            return None
        return self.result(name, why, call.rest(head))

    async def collect(self, name: str, request: Request) -> Outcome:
        """Asks one expert and reads its answer to the end."""
        call = Call(self, self.school.experts[name], request)
        try:
            async for _ in call.all():
                pass
        except ExpertError as error:
            return await call.failed(error)
        return call.answer()

    def result(self, expert: str, why: str, chunks: AsyncGenerator[Chunk]) -> Result:
        spent = sum(outcome.cost or 0 for outcome in self.outcomes)
        return Result(self.request.id, expert, why, chunks, spent)

    def last_error(self) -> ExpertError | None:
        """The error of the last failure."""
        errors = [outcome.error for outcome in self.outcomes if isinstance(outcome, Failure)]
        return errors[-1] if errors else None


async def _chunks(answer: Answer) -> AsyncGenerator[Chunk]:
    yield Chunk(answer.message, answer.finish_reason, answer.usage, answer.cost, answer.data)


class Call:
    """One expert being asked: reserves before, settles after, whatever ends it."""

    def __init__(self, life: Life, expert: Expert, request: Request) -> None:
        self.life, self.expert, self.request = life, expert, request
        self.clock = life.school.clock
        self.started = self.clock()
        self.first: float | None = None
        self.parts: list[Chunk] = []
        self.settled = False
        self.source = expert.stream(request)

    async def head(self) -> list[Chunk]:
        """The chunks up to the first that says something."""
        chunks: list[Chunk] = []
        try:
            async for chunk in self.source:
                chunks.append(self.note(chunk))
                if _says_something(chunk):
                    return chunks
        except asyncio.CancelledError:
            await self.left()
            raise
        raise BrokenOff("the expert ended its answer before it began")

    async def rest(self, head: list[Chunk]) -> AsyncGenerator[Chunk]:
        """The chunks already read, then the others; settles at the end, also when the reader goes away."""
        try:
            for chunk in head:
                yield chunk
            async for chunk in self.source:
                yield self.note(chunk)
            await self.finish()
        except ExpertError as error:
            await self.failed(error)
            raise
        finally:
            await self.left()

    async def all(self) -> AsyncGenerator[Chunk]:
        """Every chunk of the answer, settled at its end."""
        async with aclosing(self.rest([])) as chunks:
            async for chunk in chunks:
                yield chunk

    def note(self, chunk: Chunk) -> Chunk:
        """Remembers a chunk for the ledger."""
        if self.first is None:
            self.first = self.clock() - self.started
        self.parts.append(chunk)
        return chunk

    async def finish(self) -> None:
        """An answer that ended: it must have said why."""
        answer = self.answer()
        if answer.finish_reason is None:
            raise BrokenOff("the expert's answer has no end", cost=answer.cost)
        await self.settle(answer, "answered")

    async def failed(self, error: ExpertError) -> Failure:
        """Notes a failure with what it cost."""
        cost = error.about.get("cost")
        failure = Failure(self.expert.name, error.reason, error.retryable, cost, self.timing(), error)
        await self.settle(failure, error.reason)
        return failure

    async def left(self) -> None:
        """The reader went away before the end: cancel the expert, write down what was said so far."""
        if not self.settled:
            answer = replace(self.answer(), finish_reason=None)
            await self.settle(answer, "client_left")
        await _close(self.source)

    async def settle(self, outcome: Outcome, kind: str) -> None:
        """Settles the reservation and writes the outcome, once."""
        if self.settled:
            return
        self.settled = True
        await self.life.school.books.settled(self, outcome, kind)

    def timing(self) -> Timing:
        return Timing(self.first, self.clock() - self.started)

    def answer(self) -> Answer:
        """What was said so far, as one answer. A cost nobody reported is estimated from the card."""
        last = self.parts[-1] if self.parts else Chunk()
        usage = next((chunk.usage for chunk in reversed(self.parts) if chunk.usage is not None), None)
        cost = next((chunk.cost for chunk in reversed(self.parts) if chunk.cost is not None), None)
        reason = next((chunk.finish_reason for chunk in reversed(self.parts) if chunk.finish_reason), None)
        if usage is None and self.parts:
            usage = Usage(least_tokens(self.request), len(self.parts), estimated=True)
        if cost is None and usage is not None:
            price = self.expert.card.price
            cost = price.tokens(usage) + price.cpu(self.timing().total)
        whole = len(self.parts) == 1
        message = last.delta if whole else merge(self.parts)
        return Answer(self.expert.name, message, reason, usage, cost, self.timing(), last.data if whole else None)


def _says_something(chunk: Chunk) -> bool:
    return bool(chunk.finish_reason) or any(value for key, value in chunk.delta.items() if key != "role")


def merge(parts: Sequence[Chunk]) -> Message:
    """One message out of its deltas: the text of choice 0 (tool calls stay with the stream that carried them)."""
    return {"role": "assistant", "content": "".join(readable(part.delta.get("content")) for part in parts)}


async def _close(source: AsyncIterator[Chunk]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()

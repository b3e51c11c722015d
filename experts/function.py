"""A Python function as an expert.

The function takes the prompt (str), or the whole Request if its first parameter is annotated so, and returns the
answer's text, or a Reply that also says what it knows of its cost. It may be sync (run in a thread) or async. An
ExpertError it raises passes through: Declined is how it says that a request is not its field. Anything else it raises
is a fault of the function, so the expert is Unavailable and another may answer.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from experts.base import Chunk, ExpertError, Request, Unavailable
from experts.build import load
from experts.card import Card, Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function says. `cost` (nano-dollars) is what it asked of others; `None`: unknown. `cpu_seconds` is what
    it used beside its own thread, in processes of its own."""

    text: str
    cost: int | None = 0
    cpu_seconds: float = 0.0
    usage: Usage | None = None

    def chunk(self, card: Card, cpu_seconds: float = 0.0) -> Chunk:
        """The whole answer; it costs its CPU seconds, at the card's rate, and what was asked of others."""
        cost = None if self.cost is None else self.cost + card.price.cpu(self.cpu_seconds + cpu_seconds)
        return Chunk({"role": "assistant", "content": self.text}, "stop", self.usage, cost)


class FunctionExpert:
    """An expert whose answers a Python function computes; `function` is an import string, `module:name`.

    `seconds` limits an async function and the wait for a sync one, whose thread cannot be ended: for what may run
    endlessly use a Sandbox."""

    def __init__(self, name: str, card: Card, *, function: str, seconds: float = 60.0) -> None:
        self.name, self.card = name, card
        self._use, self._seconds = function, seconds
        self._function: Callable[..., Any] | None = None

    async def start(self) -> None:
        """Imports the function. Raises SetupError."""
        if self._function is None:
            self._function = load(self._use, f"experts.{self.name}.function")

    async def stop(self) -> None:
        """Nothing runs."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The function's answer, as one chunk."""
        await self.start()
        assert self._function is not None
        argument = request if takes_request(self._function) else request.prompt
        meter = Meter()
        try:
            async with asyncio.timeout(left(request, self._seconds)):
                reply = await _call(self._function, argument, meter)
        except ExpertError:
            raise
        except TimeoutError as error:
            raise Unavailable("the function took too long", cost=self.card.price.cpu(meter.seconds)) from error
        except Exception as error:  # a stranger's function may raise anything
            cost = self.card.price.cpu(meter.seconds)
            raise Unavailable(f"the function failed: {type(error).__name__}", cost=cost) from error
        yield reply.chunk(self.card, meter.seconds)


def left(request: Request, seconds: float) -> float:
    """The seconds that an expert with this limit of its own may still take for a request."""
    return seconds if request.deadline is None else max(0.0, min(seconds, request.deadline - time.monotonic()))


def takes_request(function: Callable[..., Any]) -> bool:
    """Whether the first parameter is annotated as Request."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # an annotation that only a type checker imports, or a callable object
        return False
    first = next(iter(inspect.signature(function).parameters), None)
    return first is not None and hints.get(first) is Request


class Meter:
    """Counts the CPU seconds of one call: of a thread, or of the steps of a coroutine."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def measured(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Calls the function in this thread."""
        began = time.thread_time()
        try:
            return function(argument)
        finally:
            self.seconds += time.thread_time() - began

    def steps(self, awaitable: Awaitable[Any]) -> _Steps:
        """The same awaitable, counted while it runs and not while it waits."""
        return _Steps(awaitable, self)


class _Steps:
    def __init__(self, awaitable: Awaitable[Any], meter: Meter) -> None:
        self._awaitable, self._meter = awaitable, meter

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        step: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            try:
                waits_for = self._meter.measured(step, value)
            except StopIteration as end:
                return end.value
            try:
                step, value = steps.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001 a cancellation too: it belongs to the function
                step, value = steps.throw, error


async def _call(function: Callable[..., Any], argument: Any, meter: Meter) -> Reply:
    if inspect.iscoroutinefunction(function):
        said = await meter.steps(function(argument))
    else:
        said = await asyncio.to_thread(meter.measured, function, argument)
    if isinstance(said, Reply):
        return said
    if not isinstance(said, str):
        raise TypeError("the function returned neither text nor a Reply")
    return Reply(said)

"""An expert that computes: reads a question by rule or with a helper's formula, and answers with what a tool proved.

Everything that touches the question's text beyond a first cheap look runs in the sandbox, step by step:
{"read": prompt} -> a task or None; {"check": what the helper wrote, "prompt": prompt} -> a task; {"compute": task} ->
{"claim", "answer"}. A step may also return {"declined": why}.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from experts.base import Chunk, Declined, Expert, Request, Unavailable
from experts.card import Card
from experts.function import Reply, left
from experts.helper import Bill, formulate, plain_text
from experts.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Field:
    """What a computing expert is for, and how its helper is asked."""

    noun: str
    fits: Callable[[str], bool]
    """A test of microseconds: whether a prompt may be of this field at all."""
    asks: re.Pattern[str]
    """What a prompt must hold before a helper is asked."""
    examples: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any]
    undecided: dict[str, str] | None = None
    """What is said of a task that ends by its limits; `None`: that is a failure."""


class ComputedExpert:
    """Never guesses: what cannot be read and computed is declined. `helper` is a language model, or none."""

    def __init__(self, name: str, card: Card, field: Field, sandbox: Sandbox, helper: Expert | None) -> None:
        self.name, self.card = name, card
        self._field, self._sandbox, self._helper = field, sandbox, helper

    async def start(self) -> None:
        """Starts the sandbox, which loads the tool."""
        await self._sandbox.start()

    async def stop(self) -> None:
        """Ends the sandbox and what runs in it."""
        await self._sandbox.stop()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The formal claim and the answer, as one chunk; the last line is `Answer: ...`."""
        if not self._field.fits(request.prompt) or not plain_text(request):
            raise Declined(f"not a question of {self._field.noun}")
        bill = Bill()
        try:
            async with asyncio.timeout(None if request.deadline is None else left(request, 3600.0)):
                done = await self._answer(request, bill)
        except TimeoutError as error:
            raise Unavailable("the computation took too long", cost=self._cost(bill)) from error
        except Declined as error:
            raise Declined(str(error), cost=self._cost(bill)) from error
        yield Reply(f"{done['claim']}\nAnswer: {done['answer']}", bill.cost, bill.cpu_seconds).chunk(self.card)

    def _cost(self, bill: Bill) -> int | None:
        return Reply("", bill.cost, bill.cpu_seconds).chunk(self.card).cost

    async def _answer(self, request: Request, bill: Bill) -> dict[str, str]:
        task = await self._step({"read": request.prompt}, bill)
        if task is None:
            if self._helper is None or not self._field.asks.search(request.prompt):
                raise Declined("the question cannot be read as a formula")
            written = await formulate(self._helper, request, self._field.examples, self._field.schema, bill)
            task = await self._step({"check": written, "prompt": request.prompt}, bill)
        done: dict[str, str] = await self._step({"compute": task}, bill, self._field.undecided)
        return done

    async def _step(self, step: dict[str, Any], bill: Bill, undecided: dict[str, str] | None = None) -> Any:
        result = await self._sandbox.run(step)
        bill.cpu_seconds += result.cpu_seconds
        if result.error in ("timeout", "memory", "crashed"):
            if undecided is not None:
                return undecided
            raise Unavailable(f"the computation ended by its limits: {result.error}", cost=self._cost(bill))
        if result.error is not None:
            raise Declined(f"this cannot be computed: {result.error}")
        if isinstance(result.value, dict) and "declined" in result.value:
            raise Declined(result.value["declined"])
        return result.value

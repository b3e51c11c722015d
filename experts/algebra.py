"""Arithmetic and algebra by SymPy: reads plain English, shows the formal claim, and computes it in a sandbox."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from experts.algebra_expression import Task
from experts.algebra_reader import read
from experts.base import Chunk, Declined, Expert, Request, Unavailable
from experts.card import Card
from experts.english import plain
from experts.formula import FormulaError, names, numbers, parse
from experts.function import Reply, left
from experts.helper import Bill, formulate, plain_text
from experts.sandbox import MEBIBYTE, Limits, Sandbox

MAX_PROMPT = 2000
KINDS = ("evaluate", "solve", "differentiate", "integrate", "simplify", "factor", "expand")
MATHS = re.compile(
    r"\d|[=∫√]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twent|thirt|fort|fift|hundred|dozen|"
    r"half|twice|derivative|differentiate|integra|simplify|factor|expand|solve)", re.IGNORECASE
)  # fmt: skip
OTHER = re.compile(
    r"\b(?:json|python|javascript|function that|function named|write a|code|program|translate|rewrite|rephrase|"
    r"summari[sz]e|poem|story|essay|email|extract|in which year|what year|who |capital|headline|paragraph)\b"
    r"|```|\bdef ",
    re.IGNORECASE,
)
ASKS = re.compile(
    r"\b(?:how (?:many|much|far|long|old|fast|tall|often)|what|which|find|calculate|compute|work out|determine|solve|"
    r"evaluate|total|remain|left|each|average|percent|cost|price|area|perimeter|speed|distance)\b", re.IGNORECASE
)  # fmt: skip
COMMON = frozenset({"0", "1", "2", "3", "4", "7", "10", "12", "24", "52", "60", "100", "180", "360", "365", "1000"})
"""Numbers that a formula may hold though the question does not say them: days, minutes, degrees, percent."""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task": {"type": "string", "enum": [*KINDS, "none"]},
        "expressions": {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 4},
        "unknowns": {"type": "array", "items": {"type": "string", "maxLength": 1}, "maxItems": 4},
    },
    "required": ["task", "expressions", "unknowns"],
    "additionalProperties": False,
}
EXAMPLES = (
    (
        "system",
        "Write the formula that answers the question, as JSON. Do not compute it. Use the numbers of the question, "
        "+ - * / ^ and parentheses, one-letter unknowns, and = in equations. If the question is not about mathematics, "
        'the task is "none".',
    ),
    (
        "Tom has 3 boxes with 12 pencils each. He gives 7 pencils away. How many are left?",
        '{"task": "evaluate", "expressions": ["3*12 - 7"], "unknowns": []}',
    ),
    (
        "A train goes 180 km in 2.5 hours. What is its average speed?",
        '{"task": "evaluate", "expressions": ["180/2.5"], "unknowns": []}',
    ),
    (
        "A shirt costs $40. It is reduced by 25%. What does it cost now?",
        '{"task": "evaluate", "expressions": ["40*(1 - 25/100)"], "unknowns": []}',
    ),
    (
        "Anna is 4 years older than Ben. Together they are 30. How old is Ben?",
        '{"task": "solve", "expressions": ["a = b + 4", "a + b = 30"], "unknowns": ["b"]}',
    ),
    ("Who wrote the 3 musketeers?", '{"task": "none", "expressions": [], "unknowns": []}'),
)
WARM = {"task": "solve", "trees": [parse("x^2 - 5x + 6 = 0")], "unknowns": ["x"]}


def in_field(prompt: str) -> bool:
    """A test of microseconds: whether the prompt may be a question of arithmetic or algebra at all."""
    return len(prompt) <= MAX_PROMPT and MATHS.search(prompt) is not None and OTHER.search(prompt) is None


class AlgebraExpert:
    """Computes; never guesses. What it cannot read by rule it asks `helper` (a small language model) to write as a
    formula; without one, or if the helper has none, it declines."""

    def __init__(
        self, name: str, card: Card, *, helper: Expert | None = None, seconds: float = 5.0, memory_mb: int = 512
    ) -> None:
        self.name, self.card = name, card
        self._helper = helper
        limits = Limits(seconds, memory_mb * MEBIBYTE, 64 * 1024)
        self._sandbox = Sandbox("experts.algebra_engine:compute", limits, preload=("sympy",), warm=WARM)

    async def start(self) -> None:
        """Starts the sandbox, which loads SymPy."""
        await self._sandbox.start()

    async def stop(self) -> None:
        """Ends the sandbox and what runs in it."""
        await self._sandbox.stop()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The claim and the answer, as one chunk; the last line is `Answer: ...`."""
        if not in_field(request.prompt) or not plain_text(request):
            raise Declined("not a question of arithmetic or algebra")
        bill = Bill()
        try:
            async with asyncio.timeout(left(request, 3600.0)):
                done = await self._answer(request, bill)
        except TimeoutError as error:
            raise Unavailable("the computation took too long", cost=self._cost(bill)) from error
        except Declined as error:
            raise Declined(str(error), cost=self._cost(bill)) from error
        text = f"Computed: {done['claim']}\nAnswer: {done['answer']}"
        yield Reply(text, bill.cost, bill.cpu_seconds).chunk(self.card)

    def _cost(self, bill: Bill) -> int | None:
        return Reply("", bill.cost, bill.cpu_seconds).chunk(self.card).cost

    async def _answer(self, request: Request, bill: Bill) -> dict[str, str]:
        began = time.thread_time()
        task = read(request.prompt)
        bill.cpu_seconds += time.thread_time() - began
        if task is None:
            if self._helper is None or not ASKS.search(request.prompt):
                raise Declined("the question cannot be read as a formula")
            task = checked(await formulate(self._helper, request, EXAMPLES, SCHEMA, bill), request.prompt)
        done = await self._compute(task, bill)
        if "declined" in done:
            raise Declined(done["declined"])
        return done

    async def _compute(self, task: Task, bill: Bill) -> dict[str, str]:
        result = await self._sandbox.run(task)
        bill.cpu_seconds += result.cpu_seconds
        if result.error in ("timeout", "memory", "crashed"):
            raise Unavailable(f"the computation ended by its limits: {result.error}", cost=self._cost(bill))
        if result.error is not None:
            return {"declined": f"SymPy cannot compute this: {result.error}"}
        value: dict[str, str] = result.value
        return value


def checked(written: dict[str, Any], prompt: str) -> Task:
    """The helper's formula as a task. Raises Declined if it is none, breaks the grammar, or holds numbers that the
    prompt does not: a small model makes things up, and a wrong formula computes as well as a right one."""
    kind, texts, unknowns = written.get("task"), written.get("expressions"), written.get("unknowns")
    if kind not in KINDS or not isinstance(texts, list) or not texts or not isinstance(unknowns, list):
        raise Declined("the helper found no formula")
    try:
        trees = [parse(str(text)) for text in texts[:4]]
    except FormulaError as error:
        raise Declined("the helper's formula breaks the grammar") from error
    said = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", plain(prompt))}
    if any(float(number) not in said for tree in trees for number in numbers(tree) if number not in COMMON):
        raise Declined("the helper's formula holds numbers of its own")
    if kind == "evaluate" and names(trees[0]):
        raise Declined("the helper's formula has an unknown value")
    known = {name for tree in trees for name in names(tree)}
    wanted = [name for name in unknowns if name in known]
    task: Task = {"task": kind, "trees": trees, "unknowns": wanted, "decimal": "decimal" in prompt}
    if kind == "solve" and len(wanted) == 1 and len(trees) > 1:
        task["target"] = ["name", wanted[0]]
    return task

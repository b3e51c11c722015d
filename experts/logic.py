"""Logic and claims on whole numbers by Z3: reads plain English, shows the formal claim, proves or refutes it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from experts.base import Chunk, Declined, Expert, Request, Unavailable
from experts.card import Card
from experts.english import MAX_CHARACTERS, plain
from experts.formula import FormulaError, Tree, names, numbers, operators, parse
from experts.function import Reply, left
from experts.helper import Bill, formulate, plain_text
from experts.logic_classes import syllogism
from experts.logic_liars import liars
from experts.logic_number_puzzles import number_puzzle
from experts.logic_numbers import number_claim
from experts.logic_puzzles import assignment, ordering
from experts.logic_reader import Task, argument, formal
from experts.sandbox import MEBIBYTE, Limits, Sandbox

MAX_PROMPT = 2000
LOGICAL = re.compile(
    r"[<>]|\b(?:if|all|every|each|no|some|only|either|neither|unless|follows?|conclude|infer|imply|implies|entail|valid|"
    r"true|who|which|than|integers?|numbers?|satisf\w+|tautology|knights?|knaves?|remainders?|ways|digits?|heads)\b",
    re.IGNORECASE,
)
ASKS = re.compile(
    r"\?|\b(?:prove|disprove|true or false|determine|decide|find|is it|does it|reply|answer)\b", re.IGNORECASE
)
OTHER = re.compile(
    r"\b(?:json|python|javascript|function that|function named|write a|code|program|translate|rewrite|rephrase|"
    r"summari[sz]e|poem|story|essay|email|extract|in which year|what year|capital of|headline)\b|```|\bdef ",
    re.IGNORECASE,
)
CLAIMS = re.compile(
    r"\b(?:follows?|conclude|infer|imply|implies|entails?|valid|must|tautology|satisfiable|always true|"
    r"for (?:all|every|any|each)|integers?|is it (?:true|possible)|who|which)\b", re.IGNORECASE
)  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task": {"type": "string", "enum": ["entails", "satisfiable", "none"]},
        "premises": {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 8},
        "claim": {"type": "string", "maxLength": 120},
    },
    "required": ["task", "premises", "claim"],
    "additionalProperties": False,
}
EXAMPLES = (
    (
        "system",
        "Write the question as logic, as JSON. Do not answer it. Formulas use names, numbers, + - * ^ mod, = != < > <= "
        '>=, not, and, or, -> and <->. The task is "entails" if the claim must follow from the premises, "satisfiable" '
        'if the question is whether the premises can hold at once, else "none".',
    ),
    (
        "Whenever the bell rings, the dog barks or hides. The bell rings, but the dog does not bark. Is it hiding?",
        '{"task": "entails", "premises": ["rings -> barks or hides", "rings and not barks"], "claim": "hides"}',
    ),
    (
        "Is the square of an odd integer always odd?",
        '{"task": "entails", "premises": ["odd(n)"], "claim": "odd(n^2)"}',
    ),
    (
        "Could a number be both greater than 5 and smaller than 3?",
        '{"task": "satisfiable", "premises": ["n > 5", "n < 3"], "claim": ""}',
    ),
    ("Which river is longer than the Rhine?", '{"task": "none", "premises": [], "claim": ""}'),
)


def in_field(prompt: str) -> bool:
    """A test of microseconds: whether the prompt may be a question of logic or of whole numbers at all."""
    short = len(prompt) <= MAX_PROMPT
    return short and bool(LOGICAL.search(prompt) and ASKS.search(prompt)) and OTHER.search(prompt) is None


def read(prompt: str) -> Task | None:
    """The task of a prompt, by rule, or None."""
    prompt = prompt[:MAX_CHARACTERS].replace("’", "'")
    original = _sentences(prompt)
    for puzzle in (liars, assignment, ordering):
        task = puzzle(prompt, original)
        if task is not None:
            return task
    text = plain(prompt)
    sentences = [sentence.rstrip("?") for sentence in _sentences(text)]
    return (
        formal(text)
        or number_puzzle(text)
        or number_claim(". ".join(sentences))
        or syllogism(sentences)
        or argument(sentences)
    )


INSTRUCTION = re.compile(
    r"^(?:please )?(?:answer|reply|respond|give|just|only|one word|yes or no|write|end|finish|be |short|think|show|"
    r"explain|say|state|no (?:steps?|explanation|working|words?|reasons?|reasoning|other|comments?|need|more)|number|"
    r"work|use|keep|in one|with|return)\b(?!.*\b(?:is|are|if)\b.*\b(?:then|all|not)\b)",
    re.IGNORECASE,
)


def _sentences(text: str) -> list[str]:
    """Sentences with their question marks, without those on how to answer."""
    found = [part.strip() for part in re.split(r"(?<=[.?!])\s+|\n+|;\s+(?=if |all |no |some )", text)]
    kept = [re.sub(r"\s*\((?:answer |reply )?(?:yes|true)(?: or |/)(?:no|false)\)", "", part) for part in found]
    quiet = [part for part in kept if part and not (INSTRUCTION.match(part) and len(part.split()) < 14)]
    return [part.rstrip(".! ").strip() for part in quiet]


class LogicExpert:
    """Proves, refutes with a counter-example, or says that it does not know. What it cannot read by rule it asks
    `helper` (a language model) to write as a formula; without one, or if the helper has none, it declines."""

    def __init__(
        self, name: str, card: Card, *, helper: Expert | None = None, seconds: float = 5.0, memory_mb: int = 512
    ) -> None:
        self.name, self.card = name, card
        self._helper = helper
        limits = Limits(seconds, memory_mb * MEBIBYTE, 64 * 1024)
        self._sandbox = Sandbox("experts.logic_engine:compute", limits, preload=("z3",))

    async def start(self) -> None:
        """Starts the sandbox, which loads Z3."""
        await self._sandbox.start()

    async def stop(self) -> None:
        """Ends the sandbox and what runs in it."""
        await self._sandbox.stop()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The claim, the verdict and the answer, as one chunk; the last line is `Answer: ...`."""
        if not in_field(request.prompt) or not plain_text(request):
            raise Declined("not a question of logic")
        bill = Bill()
        try:
            async with asyncio.timeout(left(request, 3600.0)):
                done = await self._answer(request, bill)
        except TimeoutError as error:
            raise Unavailable("the proof took too long", cost=self._cost(bill)) from error
        except Declined as error:
            raise Declined(str(error), cost=self._cost(bill)) from error
        text = f"{done['claim']}\nAnswer: {done['answer']}"
        yield Reply(text, bill.cost, bill.cpu_seconds).chunk(self.card)

    def _cost(self, bill: Bill) -> int | None:
        return Reply("", bill.cost, bill.cpu_seconds).chunk(self.card).cost

    async def _answer(self, request: Request, bill: Bill) -> dict[str, str]:
        began = time.thread_time()
        task = read(request.prompt)
        bill.cpu_seconds += time.thread_time() - began
        if task is None:
            if self._helper is None or not CLAIMS.search(request.prompt):
                raise Declined("the question cannot be read as a formula")
            task = checked(await formulate(self._helper, request, EXAMPLES, SCHEMA, bill), request.prompt)
        result = await self._sandbox.run(task)
        bill.cpu_seconds += result.cpu_seconds
        if result.error in ("timeout", "memory", "crashed") and task["kind"] in ("entails", "satisfiable"):
            return {"claim": "Unknown: neither proved nor refuted within the limits", "answer": "unknown"}
        if result.error is not None:
            raise Declined(f"Z3 cannot decide this: {result.error}")
        if "declined" in result.value:
            raise Declined(result.value["declined"])
        value: dict[str, str] = result.value
        return value


def checked(written: dict[str, Any], prompt: str) -> Task:
    """The helper's formula as a task. Raises Declined if it is none, breaks the grammar, takes the claim for a
    premise, or holds names or numbers that the prompt does not: a small model makes things up."""
    kind, texts, claim = written.get("task"), written.get("premises"), written.get("claim")
    if kind not in ("entails", "satisfiable") or not isinstance(texts, list) or (kind == "satisfiable" and not texts):
        raise Declined("the helper found no formula")
    try:
        premises = [parse(str(text), logic=True) for text in texts[:8]]
        goal = parse(str(claim), logic=True) if kind == "entails" else None
    except FormulaError as error:
        raise Declined("the helper's formula breaks the grammar") from error
    trees = [*premises, *([goal] if goal else [])]
    if goal is not None and (goal in premises or not _about(goal, premises)):
        raise Declined("the helper's claim says nothing")
    said = plain(prompt)
    digits = set(re.findall(r"\d+", said)) | {"0", "1", "2"}
    words = re.sub(r"[^a-z]", "", said)
    if any(number not in digits for tree in trees for number in numbers(tree)):
        raise Declined("the helper's formula holds numbers of its own")
    if any(len(name) > 1 and name.lower().strip("_")[:4] not in words for tree in trees for name in names(tree)):
        raise Declined("the helper's formula holds names of its own")
    task: Task = {"kind": kind, "premises": premises}
    return {**task, "claim": goal} if goal else task


def _about(goal: Tree, premises: list[Tree]) -> bool:
    """Whether a claim could follow: every truth value in it occurs in the premises, or it is on numbers."""
    known = {name for tree in premises for name in names(tree)}
    numeric = operators(goal) & {"even", "odd", "mod", "=", "!=", "<", ">", "<=", ">=", "isprime"}
    return set(names(goal)) <= known or bool(numeric)

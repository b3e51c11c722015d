"""The steps of the logic expert: reads a question, checks a helper's formula, proves. It runs in the sandbox."""

from __future__ import annotations

import re
from typing import Any

from experts import logic_engine
from experts.english import MAX_CHARACTERS, plain
from experts.formula import FormulaError, Tree, names, numbers, operators, parse
from experts.logic_classes import syllogism
from experts.logic_liars import liars
from experts.logic_number_puzzles import number_puzzle
from experts.logic_numbers import number_claim
from experts.logic_puzzles import assignment, ordering
from experts.logic_reader import Task, argument, formal
from experts.logic_values import Unfit


def work(step: dict[str, Any]) -> Any:
    """One step: see experts/computed.py."""
    try:
        if "read" in step:
            return read(step["read"])
        if "check" in step:
            return checked(step["check"], step["prompt"])
    except Unfit as reason:
        return {"declined": str(reason)}
    return logic_engine.compute(step["compute"])


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


def checked(written: dict[str, Any], prompt: str) -> Task:
    """The helper's formula as a task. Raises Unfit if it is none, breaks the grammar, takes the claim for a
    premise, or holds names or numbers that the prompt does not: a small model makes things up."""
    kind, texts, claim = written.get("task"), written.get("premises"), written.get("claim")
    if kind not in ("entails", "satisfiable") or not isinstance(texts, list) or (kind == "satisfiable" and not texts):
        raise Unfit("the helper found no formula")
    try:
        premises = [parse(str(text), logic=True) for text in texts[:8]]
        goal = parse(str(claim), logic=True) if kind == "entails" else None
    except FormulaError as error:
        raise Unfit("the helper's formula breaks the grammar") from error
    trees = [*premises, *([goal] if goal else [])]
    if goal is not None and (goal in premises or not _about(goal, premises)):
        raise Unfit("the helper's claim says nothing")
    said = plain(prompt)
    digits = set(re.findall(r"\d+", said)) | {"0", "1", "2"}
    words = re.sub(r"[^a-z]", "", said)
    if any(number not in digits for tree in trees for number in numbers(tree)):
        raise Unfit("the helper's formula holds numbers of its own")
    if any(len(name) > 1 and name.lower().strip("_")[:4] not in words for tree in trees for name in names(tree)):
        raise Unfit("the helper's formula holds names of its own")
    task: Task = {"kind": kind, "premises": premises}
    return {**task, "claim": goal} if goal else task


def _about(goal: Tree, premises: list[Tree]) -> bool:
    """Whether a claim could follow: every truth value in it occurs in the premises, or it is on numbers."""
    known = {name for tree in premises for name in names(tree)}
    numeric = operators(goal) & {"even", "odd", "mod", "=", "!=", "<", ">", "<=", ">=", "isprime"}
    return set(names(goal)) <= known or bool(numeric)

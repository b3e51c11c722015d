"""The steps of the algebra expert: reads a question, checks a helper's formula, computes. It runs in the sandbox."""

from __future__ import annotations

import re
from typing import Any

from experts import algebra_engine
from experts.algebra_expression import Task
from experts.algebra_reader import read
from experts.algebra_terms import Unfit
from experts.algebra_words import faithful
from experts.english import plain
from experts.formula import FormulaError, names, parse

KINDS = ("evaluate", "solve", "differentiate", "integrate", "simplify", "factor", "expand")
COUNTS = re.compile(
    r"\bhow (?:many|much|far|long|old|fast|tall)\b|\b(?:cost|price|area|distance|speed)\b", re.IGNORECASE
)


def work(step: dict[str, Any]) -> Any:
    """One step: see experts/computed.py."""
    try:
        if "read" in step:
            return read(step["read"])
        if "check" in step:
            return checked(step["check"], step["prompt"])
    except Unfit as reason:
        return {"declined": str(reason)}
    return computed(step["compute"])


def computed(task: Task) -> dict[str, str]:
    """The claim and the answer of a task."""
    done = algebra_engine.compute(task)
    if task.get("counts") and done.get("answer", "").startswith("-"):
        return {"declined": "the helper's formula counts less than nothing"}
    return {**done, "claim": f"Computed: {done['claim']}"} if "claim" in done else done


def checked(written: dict[str, Any], prompt: str) -> Task:
    """The helper's formula as a task. Raises Unfit if it is none, breaks the grammar, or does not use the numbers
    of the prompt: a small model makes things up, and a wrong formula computes as well as a right one."""
    kind, texts, unknowns = written.get("task"), written.get("expressions"), written.get("unknowns")
    if kind not in KINDS or not isinstance(texts, list) or not texts or not isinstance(unknowns, list):
        raise Unfit("the helper found no formula")
    try:
        trees = [parse(str(text)) for text in texts[:4]]
    except FormulaError as error:
        raise Unfit("the helper's formula breaks the grammar") from error
    if not faithful(trees, plain(prompt)):
        raise Unfit("the helper's formula does not use the numbers of the question")
    if kind == "evaluate" and names(trees[0]):
        raise Unfit("the helper's formula has an unknown value")
    known = {name for tree in trees for name in names(tree)}
    wanted = [name for name in unknowns if name in known]
    task: Task = {"task": kind, "trees": trees, "unknowns": wanted, "decimal": "decimal" in prompt}
    task["counts"] = COUNTS.search(prompt) is not None
    if kind == "solve" and len(wanted) == 1 and len(trees) > 1:
        task["target"] = ["name", wanted[0]]
    return task

"""Reads equations, systems and riddles about an unknown number in plain English."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from typing import Any

from experts.algebra_expression import Task, equation, formula
from experts.formula import Tree, names

SIGN = re.compile(r"<=|>=|!=|[=<>]")


def equations(text: str) -> Task | None:
    """Solve..., and what is asked where an equation holds."""
    if not re.search(r"[=<>]|\b(?:equals?|is|gives?|solve|roots?|zeros?|solutions?)\b", text):
        return None
    text, unknowns = _for(re.sub(r"\bin terms of [a-z](?: (?:and|,) [a-z])*\b", " ", text))
    found: list[Tree] = []
    rest: list[str] = []
    for clause in _clauses(text):
        tree = equation(clause) if SIGN.search(clause) or re.search(r"\bequals?\b|\bequal to\b", clause) else None
        found.append(tree) if tree is not None else rest.append(clause)
    target = _target(rest, found, text)
    if target is _UNREAD or not (found or target):
        return None
    return _solve(found, unknowns, target)


_UNREAD: Any = object()


def _for(text: str) -> tuple[str, list[str]]:
    """Takes "for x and y" out of the text."""
    match = re.search(r"\bsolve (?:the (?:following )?(?:equation|system|inequality)s?(?: of equations)? )?for ([a-z](?:(?:,| and|, and) [a-z])*)\b(?! ?[-+*/=^(])[\s,:;]*|"
                      r",?\s+\bfor ([a-z](?:(?:,| and|, and) [a-z])*)\b(?!\s*[-+*/=^(<>])[\s,:;]*", text)  # fmt: skip
    if match is None:
        return text, []
    letters = re.findall(r"\b[a-z]\b", match.group(1) or match.group(2))
    return text[: match.start()] + " , " + text[match.end() :], letters


def _clauses(text: str) -> list[str]:
    text = re.sub(r"\b(?:the )?(?:system|equations?|simultaneous equations|inequality|roots?|zeros?|solutions?|solution set)(?: of)?(?: the)?(?: (?:following )?(?:equations?|quadratic|function|polynomial))*\s*:?", " ", text)  # fmt: skip
    parts = re.split(
        r"[;,?]|\.\s|\bgiven that\b|\bgiven\b|\bsuch that\b|\bso that\b|\bsuppose(?: that)?\b|\bassum(?:e|ing)(?: that)?\b|\blet\b|\bif\b|\bwhen\b|\bwhere\b|\bthen\b|"
        r"\bfor which\b|\bthat satisf(?:y|ies)\b|\bsatisf(?:y|ies|ying)\b|\bwhat\b|\bfind\b|\band(?=[^,;]*[=<>])|(?<=\d) and(?= \d*[a-z]\b)|\bfor(?= [a-z] ?=)|\bat(?= [a-z] ?=)|\bwith(?= [a-z] ?=)|\bby\b", text
    )  # fmt: skip
    return [part.strip() for part in parts if part.strip(" .:")]


NOISE = re.compile(
    r"^(?:we|you|i|know|have|the|is|are|value|values|of|for|solve|compute|calculate|find|determine|please|all|real|number|numbers|both|x|y|z|and|equation|this|does|must|be|equal|to|it|using|algebra|possible|integer|variable|unknown|s|quadratic|linear|simultaneously|system|be|can|following|that|in|a|get|answer|evaluate|simultaneous|step|true|makes|us|me|how|much|positive|solutions|here|,|:|\.)$"
)


def _target(rest: list[str], found: list[Tree], text: str) -> Any:
    """What is asked for: an expression, None for the unknowns themselves, or _UNREAD."""
    unknown = {name for tree in found for name in names(tree)}
    wanted = [tree for clause in rest if (tree := _asked(clause, unknown)) is not None]
    unread = [clause for clause in rest if _asked(clause, unknown) is None and not _noise(clause)]
    if unread or len(wanted) > 2:
        return _UNREAD
    if not found and wanted:
        solving = re.search(r"\b(?:solve|roots?|zeros?)\b", text) and names(wanted[0])
        return ["=", wanted[0], ["num", "0"]] if solving else _UNREAD
    return wanted[0] if len(wanted) == 1 else ["list", *wanted] if wanted else None


def _asked(clause: str, unknown: set[str]) -> Tree | None:
    clause = re.sub(r"^(?:is|are|does|the|values? of|value of|number)\s+", "", clause)
    tree = formula(clause)
    return tree if tree is not None and (set(names(tree)) <= unknown or not unknown) else None


def _noise(clause: str) -> bool:
    return all(NOISE.match(word) for word in clause.split())


def _solve(found: list[Tree], unknowns: list[str], target: Any) -> Task | None:
    task: Task = {"task": "solve", "trees": found, "unknowns": unknowns}
    if target is not None and target[0] == "=":
        return {**task, "trees": [target]}
    if target is not None and target[0] == "list":
        return (
            {**task, "unknowns": [tree[1] for tree in target[1:]]} if all(t[0] == "name" for t in target[1:]) else None
        )
    if target is not None and target[0] == "name":
        extra = [] if len(found) > 1 or not unknowns else unknowns
        return {**task, "unknowns": extra, "target": target} if len(found) > 1 else {**task, "unknowns": [target[1]]}
    if not any(names(tree) for tree in found):
        return {"task": "compare", "trees": found, "unknowns": []} if len(found) == 1 and target is None else None
    return {**task, "target": target} if target is not None else task


A_NUMBER = re.compile(
    r"\b(?:a|the|some|this|that|my|what|which)(?: certain| secret| unknown| same| original)? number\b"
)
THINKING = re.compile(
    r"\b(?:i(?:'m| am) thinking of|i think of|think of|there is|consider|let's call|suppose) (?:a|some) (?:certain )?number\b[,.]?"
)
CLAUSES = re.compile(
    r"\.\s|[;,?]|\bwhat (?:is|are|was)\b|\bfind\b|\bif\b|\bthen\b|\bsuch that\b|"
    r"\band(?= (?:sum|difference|product|the sum|the difference|the product|twice|[\d.]+ times))"
)
STEP = re.compile(
    r"\b(?:(double|triple|halve|square)|(multipl|add|subtract|divid|increas|decreas|tak)(?:y|ies|e|es|s|ing|ed)?(?: it| that| the (?:result|number|answer))?(?: away)?(?: by)? ([\d.]+))"
)
RESULT = re.compile(
    r"\b(?:result|answer|outcome|total|gets?|got|ends? up with|gives?|have|is)(?: (?:is|was|now|of|me|you|us))* (-?[\d.]+)[ .?]*(?:what|find|which|$|\.)"
)


def riddle(text: str) -> Task | None:
    """ "Three times a number minus 4 is 11." """
    if not re.search(r"\bnumbers?\b", text):
        return None
    steps = _steps(text)
    if steps is not None:
        return {"task": "solve", "trees": [steps], "unknowns": ["n"]}
    text = re.sub(r"\b(?:two|2) numbers\b", " n and m ", text)
    unknowns = ["n", "m"] if " n and m " in text else ["n"]
    text = re.sub(r"\btheir (sum|difference|product)\b", r"\1 of n and m", text)
    text = A_NUMBER.sub(" n ", THINKING.sub(" ", text))
    equations = []
    for clause in CLAUSES.split(text):
        tree = equation(clause.replace("difference of n and m", "(n - m)"))
        if tree is not None:
            equations.append(tree)
        elif not _riddle_noise(clause):
            return None
    if not equations or {name for tree in equations for name in names(tree)} != set(unknowns):
        return None
    return {"task": "solve", "trees": equations, "unknowns": unknowns, "nameless": True}


def _steps(text: str) -> Tree | None:
    """ "I think of a number, double it, add 5 and get 17": the equation of what is done to the number."""
    begun = re.search(r"\b(?:think(?:ing)? of|tak(?:e|ing)|choose|pick|start(?:s|ing)? with) (?:a|some) number\b", text)
    result = RESULT.search(text, begun.end()) if begun else None
    if begun is None or result is None:
        return None
    tree: Tree = ["name", "n"]
    done = STEP.findall(text, begun.end(), result.start())
    for whole, verb, amount in done:
        tree = _step(tree, whole or verb, amount)
    return ["=", tree, ["num", result.group(1)]] if done and not result.group(1).startswith("-") else None


def _step(tree: Tree, verb: str, amount: str) -> Tree:
    fixed = {"double": ("*", "2"), "triple": ("*", "3"), "halve": ("/", "2"), "square": ("^", "2")}
    signs = {"multipl": "*", "divid": "/", "add": "+", "increas": "+", "subtract": "-", "decreas": "-", "tak": "-"}
    sign, number = fixed.get(verb) or (signs[verb], amount)
    return [sign, tree, ["num", number.rstrip(".")]]


def _riddle_noise(clause: str) -> bool:
    """Whether a clause only asks."""
    words = ("n", "m", "2", "numbers", "original", "was", "my", "they")
    return all(NOISE.match(word) or word in words for word in clause.split())

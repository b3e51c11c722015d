"""Reads derivatives, integrals and limits in plain English."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re

from experts.algebra_expression import Task, formula
from experts.formula import Tree, names


def derivative(text: str) -> Task | None:
    """ "Find the second derivative of x^4 at x = 2." """
    match = re.search(
        r"\b(?:(first|second|third|(\(1/3\))) )?(?:derivative|differentiate|slope|gradient|rate of change)(?: of)?(?: the)?(?: (?:tangent(?: line)? to(?: the)? )?(?:function|curve|graph|line|parabola)(?: of)?)?\s+(?!at)(.+)|\bd/d([a-z])\s*(?:of\s*)?(.+)", text
    )  # fmt: skip
    if match is None:
        return None
    body, unknown = _respect(match.group(3) or match.group(5))
    body, at = _point(body)
    tree = formula(_right(body))
    if tree is None or (unknown or match.group(4) or "") not in ("", *names(tree)):
        return None
    order = {"second": 2, "third": 3}.get(match.group(1) or "", 3 if match.group(2) else 1)
    unknowns = [unknown or match.group(4) or (names(tree) or ["x"])[0]]
    where = [["=", ["name", unknowns[0]], at]] if at is not None else []
    return {"task": "differentiate", "trees": [tree], "unknowns": unknowns, "order": order, "where": where}


def _respect(text: str) -> tuple[str, str | None]:
    match = re.search(r",?\s*(?:with respect to|w\.?r\.?t\.?|in terms of|by)\s+(?:the variable )?([a-z])\b\.?", text)
    if match is None:
        return text, None
    return text[: match.start()] + text[match.end() :], match.group(1)


def _point(text: str) -> tuple[str, Tree | None]:
    match = re.search(
        r",?\s*(?:evaluated |and evaluate it )?\b(?:at|when|for|where) (?:the point )?(?:[a-z]\s*=\s*)([-\w./() ]+)$",
        text,
    )
    if match is None:
        return text, None
    return text[: match.start()], formula(match.group(1))


def _right(text: str) -> str:
    """The body of "f(x) = x^2" or "y = x^2"."""
    return re.sub(r"^\s*(?:the function )?(?:[a-z]\s*\([a-z]\)|y)\s*=", "", text)


def integral(text: str) -> Task | None:
    """ "Integrate x^2 from 0 to 3." """
    match = re.search(
        r"\b(?:integral|anti-?derivative|integrate|integration)(?: of)?(?: the function)?\s+(.+)|∫\s*(.+)|"
        r"\barea under (?:the (?:curve|graph)(?: of)? )?(.+)", text
    )  # fmt: skip
    if match is None:
        return None
    body, unknown = _respect(next(group for group in match.groups() if group))
    bounds = re.search(
        r",?\s*\b(?:from|between|over)\s+(?:[a-z]\s*=\s*)?(\S+)\s+(?:to|and)\s+(?:[a-z]\s*=\s*)?(\S+?)[.,]?(?=\s+of\s|$)",
        body,
    )
    ends: list[Tree] = []
    if bounds:
        body = body[: bounds.start()] + body[bounds.end() :]
        ends = [end for end in map(formula, bounds.groups()) if end is not None]
        if len(ends) != 2:
            return None
    body, differential = _differential(re.sub(r"^\s*of\s+", "", body))
    tree = formula(_right(body))
    if tree is None:
        return None
    unknowns = [unknown or differential or (names(tree) or ["x"])[0]]
    return {"task": "integrate", "trees": [tree], "unknowns": unknowns, "bounds": ends}


def _differential(text: str) -> tuple[str, str | None]:
    match = re.search(r"\s*\bd([a-z])\s*$", text)
    return (text[: match.start()], match.group(1)) if match else (text, None)


def limit(text: str) -> Task | None:
    """ "The limit of sin(x)/x as x approaches 0." """
    match = re.search(r"\blimit (?:of )?(.+?),? (?:as|when) ([a-z]) (?:approaches|goes to|tends to|->) (\S+)", text)
    if match is None:
        return None
    infinite = match.group(3).startswith("infinit")
    tree, point = formula(match.group(1)), None if infinite else formula(match.group(3))
    if tree is None or (point is None and not infinite):
        return None
    return {"task": "limit", "trees": [tree], "unknowns": [match.group(2)], "bounds": [point], "infinite": infinite}

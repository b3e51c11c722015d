"""Arithmetic and algebra by SymPy: reads plain English, shows the formal claim, and computes it in a sandbox."""

from __future__ import annotations

import re
from typing import Any

from experts.base import Expert
from experts.card import Card
from experts.computed import ComputedExpert, Field
from experts.formula import parse
from experts.sandbox import MEBIBYTE, Limits, Sandbox

MAX_PROMPT = 1200
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
KINDS = ("evaluate", "solve", "differentiate", "integrate", "simplify", "factor", "expand", "none")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task": {"type": "string", "enum": list(KINDS)},
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
WARM = {"compute": {"task": "solve", "trees": [parse("x^2 - 5x + 6 = 0")], "unknowns": ["x"]}}
"""Run once before the first question: it loads what SymPy loads late."""


def in_field(prompt: str) -> bool:
    """A test of microseconds: whether the prompt may be a question of arithmetic or algebra at all."""
    return len(prompt) <= MAX_PROMPT and MATHS.search(prompt) is not None and OTHER.search(prompt) is None


FIELD = Field("arithmetic or algebra", in_field, ASKS, EXAMPLES, SCHEMA)


class AlgebraExpert(ComputedExpert):
    """What it cannot read by rule it asks `helper` (a small language model) to write as a formula."""

    def __init__(
        self, name: str, card: Card, *, helper: Expert | None = None, seconds: float = 5.0, memory_mb: int = 512
    ) -> None:
        limits = Limits(seconds, memory_mb * MEBIBYTE, 64 * 1024)
        sandbox = Sandbox("experts.algebra_work:work", limits, preload=("sympy",), warm=WARM)
        super().__init__(name, card, FIELD, sandbox, helper)

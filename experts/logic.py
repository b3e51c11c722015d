"""Logic and claims on whole numbers by Z3: reads plain English, shows the formal claim, proves or refutes it."""

from __future__ import annotations

import re
from typing import Any

from experts.base import Expert
from experts.card import Card
from experts.computed import ComputedExpert, Field
from experts.sandbox import MEBIBYTE, Limits, Sandbox

MAX_PROMPT = 1500
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


UNDECIDED = {"claim": "Unknown: neither proved nor refuted within the limits", "answer": "unknown"}
FIELD = Field("logic", in_field, CLAIMS, EXAMPLES, SCHEMA, UNDECIDED)


class LogicExpert(ComputedExpert):
    """Proves, refutes with a counter-example, or says that it does not know. What it cannot read by rule it asks
    `helper` (a language model) to write as a formula."""

    def __init__(
        self, name: str, card: Card, *, helper: Expert | None = None, seconds: float = 5.0, memory_mb: int = 512
    ) -> None:
        limits = Limits(seconds, memory_mb * MEBIBYTE, 64 * 1024)
        sandbox = Sandbox("experts.logic_work:work", limits, preload=("z3",))
        super().__init__(name, card, FIELD, sandbox, helper)

"""Reads a question of arithmetic or algebra in plain English into a task, without a model, or not at all."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections.abc import Callable

from experts.algebra_calculus import derivative, integral, limit
from experts.algebra_equations import equations, riddle
from experts.algebra_expression import Task, formula
from experts.algebra_phrases import INSTRUCTION, MENTIONS_ANSWER
from experts.algebra_words import word_problem
from experts.english import plain, sentences
from experts.formula import Tree, names

ROUNDING = re.compile(
    r",?\s*\(?(?:please )?(?:and )?(?:rounded|rounding|round|correct|accurate|to|with)(?: (?:your|the|it|off|off|final|answer|result))*(?: to)?(?: the)?"
    r"(?: (?:nearest|closest))? ?(?:(\d+|a) (?:decimals?(?: places?)?|dp|places|digits after the (?:decimal )?point)|"
    r"(?:nearest |closest )?(integer|whole number|tenth|hundredth|\(1/10\)|thousandth|cent))\)?"
)  # fmt: skip
PLACES = {"integer": 0, "whole number": 0, "tenth": 1, "(1/10)": 1, "hundredth": 2, "cent": 2, "thousandth": 3}
ASKING = re.compile(r"\bhow (?:many|much|far|long|fast)\b|^(?:what|find|calculate|determine)\b")
NOT_FORMULA = re.compile(r"\b(?:json|python|function|code|program|script|translate|rewrite|poem|essay|write a|email)\b")


def read(prompt: str) -> Task | None:
    """The task of a prompt, or None."""
    text = plain(prompt)
    if NOT_FORMULA.search(text.replace("the function", "").replace("a function", "")):
        return None
    text, decimals = _rounding(text)
    parts = sentences(re.sub(r"'(?!s\b)[^']*'", " <quoted> ", text))
    task = _first(". ".join(part for part in parts if not _instruction(part)))
    task = task or word_problem(". ".join(part for part in parts if ASKING.search(part) or not _instruction(part)))
    return None if task is None else {**task, "decimals": decimals, "decimal": "decimal" in text}


def _first(question: str) -> Task | None:
    tasks = (reader(question) for reader in READERS)
    return next((task for task in tasks if task is not None), None)


def _rounding(text: str) -> tuple[str, int | None]:
    match = ROUNDING.search(text)
    if match is None:
        return text, None
    places = int(match.group(1).replace("a", "1")) if match.group(1) else PLACES[match.group(2)]
    return text[: match.start()] + " " + text[match.end() :], min(places, 30)


def _instruction(part: str) -> bool:
    """Whether a sentence is about how to answer: it states no value."""
    if "..." in part or "<" in part and re.search(r"<[a-z ]+>", part):
        return True
    if not re.search(r"\d|\b[b-hj-z]\b", part):
        return True
    return bool(INSTRUCTION.match(part) and MENTIONS_ANSWER.search(part) and not re.search(r"\d ?[-+*/^]|\d.*\d", part))


def _transform(text: str) -> Task | None:
    match = re.search(r"\b(prime factors of|prime factori[sz]ation of|simplify|simplified form of|factor(?:i[sz]e)?|"
                      r"factored form of|factori[sz]ation of|expand(?: and simplify)?|expanded form of|multiply out|expansion of)\b"
                      r"(?: (?:the|this) (?:algebraic |following |quadratic )?(?:expression|polynomial|trinomial|quadratic))?"
                      r"(?: (?:completely|fully|out|down|into (?:primes|prime factors)))*\s*:?\s*(.+)", text)  # fmt: skip
    match = match or re.search(r"\b(write|express) (.+?) as (?:a|the) product\b", text)
    if match is None:
        return None
    body = re.sub(
        r"\s*\b(?:into (?:its )?prime(?: factor)?s?|completely|fully|as a product.*|and simplify.*|into .*)$",
        "",
        match.group(2),
    )
    tree = formula(body)
    if tree is None:
        return None
    kind = next(
        (kind for kind in ("simpl", "factor", "expan", "multiply") if match.group(1).startswith(kind)), "factor"
    )
    task = {"simpl": "simplify", "factor": "factor", "expan": "expand", "multiply": "expand"}[kind]
    return {"task": task if names(tree) or task == "factor" else "evaluate", "trees": [tree], "unknowns": []}


def _clock(text: str) -> Task | None:
    """ "How many minutes pass from 9:05 to 11:10?" """
    match = re.search(
        r"\b(minutes|hours) .*?(\d?\d):(\d\d) ?([ap]m)? (?:to|and|until|till) (\d?\d):(\d\d) ?([ap]m)?", text
    )
    if match is None:
        return None
    unit, *ends = match.groups()
    first, last = _minutes(*ends[:3]), _minutes(*ends[3:])
    tree = ["-", ["num", str(last + (24 * 60 if last < first else 0))], ["num", str(first)]]
    return {"task": "evaluate", "trees": [tree if unit == "minutes" else ["/", tree, ["num", "60"]]], "unknowns": []}


def _minutes(hours: str, minutes: str, half: str | None) -> int:
    shift = {"am": 0, "pm": 12}.get(half or "")
    return 60 * (int(hours) if shift is None else int(hours) % 12 + shift) + int(minutes)


def _prime(text: str) -> Task | None:
    match = re.search(
        r"\bis (?:the number )?(\d+) (?:an? )?(?:prime|prime number|composite|composite number)\b|whether (\d+) is (?:an? )?prime",
        text,
    )
    if match is None:
        return None
    number = match.group(1) or match.group(2)
    kind = "composite" if "composite" in match.group() else "prime"
    return {"task": kind, "trees": [["num", number]], "unknowns": []}


def _percentage(text: str) -> Task | None:
    value = r"(\(?[\d.]+(?:/[\d.]+)?\)?)"
    forms = (
        (rf"what (?:percent(?:age)?|%) (?:of )?{value} is {value}", "({1}) / ({0}) * 100"),
        (rf"{value} is what (?:percent(?:age)?|%) of {value}", "({0}) / ({1}) * 100"),
        (rf"what (?:percent(?:age)?|%) is {value} (?:out )?of {value}", "({0}) / ({1}) * 100"),
        (rf"{value} (?:as|expressed as) a percent(?:age)? of {value}", "({0}) / ({1}) * 100"),
        (rf"{value} is {value} ?(?:%|percent) of (?:what|which)", "({0}) / ({1}) * 100"),
        (rf"percent(?:age)? (?:increase|change|decrease|reduction) (?:from|between) {value} (?:to|and) {value}", "abs(({1}) - ({0})) / ({0}) * 100"),
    )  # fmt: skip
    for pattern, shape in forms:
        match = re.search(pattern, text)
        if match:
            tree = formula(shape.format(*match.groups()))
            return {"task": "evaluate", "trees": [tree], "unknowns": []} if tree else None
    return None


def _base(text: str) -> Task | None:
    match = re.search(
        r"(?:convert )?(?:the )?(?:decimal )?(?:number )?(\d+) (?:(?:from decimal )?(?:in|to|into|as)) (?:a )?(binary|hexadecimal|hex|octal)\b",
        text,
    )
    if match:
        return {"task": "base", "trees": [["num", match.group(1)]], "unknowns": [], "base": match.group(2)[:3]}
    match = re.search(r"(?:the )?binary (?:number )?([01]+)\b.*\b(?:decimal|base 10)", text)
    if match and len(match.group(1)) <= 60:
        return {"task": "evaluate", "trees": [["num", str(int(match.group(1), 2))]], "unknowns": []}
    return None


def _function_value(text: str) -> Task | None:
    """ "Let f(x) = x^2 + 1. What is f(3)?" """
    match = re.search(
        r"\b([fghpq])\s*\(([a-z])\)\s*=\s*([^,;?]+?)(?:,|;|\.\s|\bwhat\b|\bfind\b|\bevaluate\b|\bcompute\b|\bcalculate\b|\bthen\b|$)",
        text,
    )
    if match is None:
        return None
    name, variable, body = match.groups()
    call = re.search(rf"\b{name}\s*\(\s*(-?[\d./]+)\s*\)", text[: match.start()] + " " + text[match.end() :])
    tree = formula(body)
    value = formula(call.group(1)) if call else None
    if tree is None or value is None or names(tree) not in ([], [variable]):
        return None
    return {"task": "evaluate", "trees": [replaced(tree, variable, value)], "unknowns": []}


def replaced(tree: Tree, name: str, value: Tree) -> Tree:
    """The tree with a value in place of a variable."""
    if tree == ["name", name]:
        return value
    return [replaced(part, name, value) if isinstance(part, list) else part for part in tree]


def _comparison(text: str) -> Task | None:
    match = re.search(r"^(?:is|are) (.+?) (greater|larger|bigger|more|less|smaller|lower|higher) than (.+)$", text)
    sign = None
    if match:
        left, right = formula(match.group(1)), formula(match.group(3))
        sign = "<" if match.group(2) in ("less", "smaller", "lower") else ">"
        if left is None or right is None or names(left) or names(right):
            return None
        return {"task": "compare", "trees": [[sign, left, right]], "unknowns": []}
    match = re.search(
        r"^which (?:\w+ )?is (?:the )?(greater|larger|bigger|greatest|largest|more|less|smaller|smallest|least)\s*[:,]?\s*(.+?) or (.+)$",
        text,
    )
    if match is None:
        return None
    trees = [formula(part) for part in (*match.group(2).split(","), match.group(3)) if part.strip()]
    if any(tree is None or names(tree) for tree in trees):
        return None
    kind = "min" if match.group(1) in ("less", "smaller", "smallest", "least") else "max"
    return {"task": "evaluate", "trees": [[kind, *trees]], "unknowns": []}


def _evaluate(text: str) -> Task | None:
    tree = formula(text)
    if tree is None or tree[0] in ("num", "name", "constant"):
        return None
    if names(tree):
        return {"task": "simplify", "trees": [tree], "unknowns": []} if set(names(tree)) <= set("xyzabn") else None
    return {"task": "evaluate", "trees": [tree], "unknowns": []}


READERS: tuple[Callable[[str], Task | None], ...] = (
    *(derivative, integral, limit, _transform, _prime, _percentage, _base, _clock, _comparison, _function_value),
    *(equations, riddle, _evaluate),
)

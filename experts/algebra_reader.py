"""Reads a question of arithmetic or algebra in plain English into a task, without a model, or not at all."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from experts.algebra_phrases import EQUAL, INSTRUCTION, MENTIONS_ANSWER, PHRASES, bare
from experts.english import plain, rewrite, sentences
from experts.formula import RELATIONS, FormulaError, Tree, names, operators, parse

Task = dict[str, Any]
ROUNDING = re.compile(
    r",?\s*\(?(?:please )?(?:and )?(?:rounded|rounding|round|correct|accurate|to|with)(?: (?:your|the|it|off|off|final|answer|result))*(?: to)?(?: the)?"
    r"(?: (?:nearest|closest))? ?(?:(\d+|a) (?:decimals?(?: places?)?|dp|places|digits after the (?:decimal )?point)|"
    r"(?:nearest |closest )?(integer|whole number|tenth|hundredth|\(1/10\)|thousandth|cent))\)?"
)  # fmt: skip
PLACES = {"integer": 0, "whole number": 0, "tenth": 1, "(1/10)": 1, "hundredth": 2, "cent": 2, "thousandth": 3}
SIGN = re.compile(r"<=|>=|!=|[=<>]")
NOT_FORMULA = re.compile(r"\b(?:json|python|function|code|program|script|translate|rewrite|poem|essay|write a|email)\b")


def read(prompt: str) -> Task | None:
    """The task of a prompt, or None."""
    text = plain(prompt)
    if NOT_FORMULA.search(text.replace("the function", "").replace("a function", "")):
        return None
    text, decimals = _rounding(text)
    question = ". ".join(part for part in sentences(re.sub(r"'(?!s\b)[^']*'", " ... ", text)) if not _instruction(part))
    for reader in READERS:
        task = reader(question)
        if task is not None:
            return {**task, "decimals": decimals, "decimal": "decimal" in text}
    return None


def formula(text: str) -> Tree | None:
    """The tree of an English expression without relation, or None."""
    tree = _tree(text, ())
    return None if tree is None or tree[0] in RELATIONS else tree


def equation(text: str) -> Tree | None:
    """The tree of an equation or inequality in English, or None."""
    tree = _tree(text, EQUAL)
    return tree if tree is not None and tree[0] in RELATIONS else None


def _tree(text: str, extra: Any) -> Tree | None:
    text = bare(text)
    try:
        tree = parse(text)
    except FormulaError:
        try:
            tree = parse(bare(rewrite(rewrite(text, extra), PHRASES)))
        except FormulaError:
            return None
    return None if any(name in RELATIONS for part in tree[1:] for name in _inner(part)) else tree


def _inner(part: Any) -> set[str]:
    return operators(part) if isinstance(part, list) else set()


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


def _calculus(text: str) -> Task | None:
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


def _integral(text: str) -> Task | None:
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


def _limit(text: str) -> Task | None:
    match = re.search(r"\blimit (?:of )?(.+?),? (?:as|when) ([a-z]) (?:approaches|goes to|tends to|->) (\S+)", text)
    if match is None:
        return None
    infinite = match.group(3).startswith("infinit")
    tree, point = formula(match.group(1)), None if infinite else formula(match.group(3))
    if tree is None or (point is None and not infinite):
        return None
    return {"task": "limit", "trees": [tree], "unknowns": [match.group(2)], "bounds": [point], "infinite": infinite}


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


def _equations(text: str) -> Task | None:
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


def _riddle(text: str) -> Task | None:
    """ "Three times a number minus 4 is 11." """
    if not re.search(
        r"\b(?:a|the|some|certain|my|this|that|what|which|unknown) (?:certain |secret |unknown |same )?number\b|\bnumber\b",
        text,
    ):
        return None
    text = re.sub(r"\b(?:two|2) numbers\b", " n and m ", text)
    pair = " n and m " in text
    text = re.sub(r"\btheir (sum|difference|product)\b", r"\1 of n and m", text)
    text = re.sub(
        r"\b(?:i(?:'m| am) thinking of|i think of|think of|there is|consider|let's call|suppose) (?:a|some) (?:certain )?number\b[,.]?",
        " ",
        text,
    )
    text = re.sub(
        r"\b(?:a|the|some|this|that|my|what|which)(?: certain| secret| unknown| same| original)? number\b", " n ", text
    )
    equations = []
    for clause in re.split(
        r"\.\s|[;,?]|\bwhat (?:is|are|was)\b|\bfind\b|\band(?= (?:sum|difference|product|the sum|the difference|the product|twice|[\d.]+ times))|\bif\b|\bthen\b|\bsuch that\b",
        text,
    ):
        tree = equation(clause.replace("difference of n and m", "(n - m)"))
        if tree is not None:
            equations.append(tree)
        elif not _riddle_noise(clause):
            return None
    if not equations or {name for tree in equations for name in names(tree)} != ({"n", "m"} if pair else {"n"}):
        return None
    return {"task": "solve", "trees": equations, "unknowns": ["n", "m"] if pair else ["n"], "nameless": True}


def _riddle_noise(clause: str) -> bool:
    return all(
        NOISE.match(word) or word in ("n", "m", "two", "original", "was", "my", "they") for word in clause.split()
    )


def _evaluate(text: str) -> Task | None:
    tree = formula(text)
    if tree is None or tree[0] in ("num", "name", "constant"):
        return None
    if names(tree):
        return {"task": "simplify", "trees": [tree], "unknowns": []} if set(names(tree)) <= set("xyzabn") else None
    return {"task": "evaluate", "trees": [tree], "unknowns": []}


READERS: tuple[Callable[[str], Task | None], ...] = (
    *(
        _calculus,
        _integral,
        _limit,
        _transform,
        _prime,
        _percentage,
        _base,
        _clock,
        _comparison,
        _function_value,
        _equations,
        _riddle,
        _evaluate,
    ),
)

"""Finds the final answer in a model's prose and compares it: numbers, labels, names, texts, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bench.tasks.base import Check

MARKER = re.compile(
    r"(?:\bfinal answer|\banswer|\bresult|\bsolution|\bconclusion)\b(?:\s+(?:to|of|for)\s[^:\n]*?)?\s*"
    r"(?:\bis\b(?:\s*:)?|\bare\b|:)[ \t]*\n*[ \t]*([^\n]+)",
    re.IGNORECASE,
)
BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:\s*/\s*\d+(?:\.\d+)?)?(?![\d])|(?<![\w.])-?\.\d+")
FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
SUBSCRIPT = re.compile(r"(?<=[A-Za-z])(?:_\{?\d+\}?|[₀-₉]+)")


def plain(answer: str) -> str:
    """The answer without Markdown and LaTeX dress; fractions as a/b, thousands without commas."""
    text = answer.replace("−", "-").replace("–", "-").replace("\\left", "").replace("\\right", "")
    text = FRACTION.sub(r"\1/\2", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\[()\[\],;!]|\$|\*\*|__|`", " ", text)
    text = SUBSCRIPT.sub("", text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def prose(answer: str) -> str:
    """The answer without its blocks of code, or all of it if nothing else is there."""
    rest = FENCE.sub("\n", answer)
    return rest if rest.strip() else answer


def final(answer: str) -> str:
    """The part that states the answer: boxed, after "Answer:", or the last line."""
    boxed = BOXED.findall(answer)
    if boxed:
        return plain(boxed[-1]).strip()
    text = plain(prose(answer))
    marked = MARKER.findall(text)
    if marked:
        return str(marked[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[0] if NUMBER.fullmatch(lines[0].strip(" .")) else lines[-1]


def value(text: str) -> Fraction | None:
    """The number that `text` spells, such as -3, 2.50 or 3/4; `None` if it divides by zero."""
    parts = [part.strip() for part in text.split("/")]
    try:
        return Fraction(parts[0]) / (Fraction(parts[1]) if len(parts) > 1 else 1)
    except ZeroDivisionError:
        return None


def numbers(text: str) -> list[Fraction]:
    """The numbers in a text, in order."""
    found = (value(match) for match in NUMBER.findall(text))
    return [number for number in found if number is not None]


def number(expected: Fraction | float | int, tolerance: float = 0.0) -> Check:
    """The final number is `expected`, within `tolerance`."""
    goal = Fraction(str(expected)) if isinstance(expected, float) else Fraction(expected)

    def check(answer: str) -> float:
        found = stated(answer)
        return float(found is not None and abs(found - goal) <= Fraction(tolerance))

    return check


def stated(answer: str) -> Fraction | None:
    """The number that an answer states: the first of a marked statement, else the last of the last line."""
    statement = final(answer)
    right = statement.rpartition("=")[2]
    found = numbers(right) or numbers(statement)
    if not found:
        return None
    marked = bool(BOXED.search(answer) or MARKER.search(plain(prose(answer))))
    if marked and re.search(r"\d\s+or\s+\S*\d", statement):
        return None
    return found[0] if marked else found[-1]


def number_set(expected: Iterable[Fraction | int]) -> Check:
    """The final statement holds exactly these numbers, in any order."""
    goal = {Fraction(item) for item in expected}

    def check(answer: str) -> float:
        return float(set(numbers(re.sub(r"\b[a-z]\d?\s*=", " ", final(answer)))) == goal)

    return check


def sequence(expected: Sequence[Fraction | int]) -> Check:
    """The final statement lists exactly these numbers, in this order."""
    goal = [Fraction(item) for item in expected]

    def check(answer: str) -> float:
        return float(numbers(final(answer)) == goal)

    return check


def values(expected: Mapping[str, Fraction | int]) -> Check:
    """The last value given to each variable, as in "x = 2, y = -1"."""

    def check(answer: str) -> float:
        text = plain(answer)
        return float(all(_last_value(text, name) == Fraction(goal) for name, goal in expected.items()))

    return check


def _last_value(text: str, name: str) -> Fraction | None:
    found = re.findall(rf"(?<![\w.]){name}\s*(?:=|is|:)\s*({NUMBER.pattern})(?![ ]*[-+*/(]|[a-z])", text)
    return value(found[-1]) if found else None


def words(text: str) -> str:
    """Lower case words with single spaces around each: for whole-word search."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("’", ""))) + " "


def label(expected: str, options: Sequence[str]) -> Check:
    """The answer chooses `expected` and no other option."""

    def check(answer: str) -> float:
        for part in _verdicts(answer):
            chosen = {option for option in options if words(option) in words(part)}
            chosen = {one for one in chosen if not any(one != two and words(one) in words(two) for two in chosen)}
            if len(chosen) == 1:
                return float(chosen == {expected})
        return 0.0

    return check


def _verdicts(answer: str) -> list[str]:
    """Where a verdict may stand, the surest first: what is marked as the answer and nothing else, or the first
    clause ("Yes, because ..."), the last line, anywhere."""
    if BOXED.search(answer) or MARKER.search(plain(answer)):
        return [final(answer)]
    return [re.split(r"[,.:;\n]", plain(answer).strip(), maxsplit=1)[0], final(answer), answer]


DENIAL = re.compile(
    r"\b(?:not|isnt|doesnt|cannot|cant|arent)(?: (?:be|we))* "
    r"(?:true|valid|holds?|conclude|concluded|follows?|necessarily|always|possible|a|exist)\b"
)
SIDES = ("yes", "true", "proved", "valid"), ("no", "false", "refuted", "invalid")


def yes(expected: bool) -> Check:
    """The answer says yes (or true) if `expected`, else no (or false)."""

    def check(answer: str) -> float:
        for part in _verdicts(answer):
            text = DENIAL.sub("false", words(part))
            found = [any(words(word) in text for word in side) for side in SIDES]
            if found[0] != found[1]:
                return float(found[0] == expected)
        return 0.0

    return check


def letter(expected: str, options: Sequence[str]) -> Check:
    """The answer chooses this letter of a multiple choice question, or repeats that option alone."""
    letters = "ABCDEFGH"[: len(options)]
    by_text = label(options[letters.index(expected)], options)

    def check(answer: str) -> float:
        marked = MARKER.search(plain(answer)) or BOXED.search(answer)
        text = final(answer) if marked else plain(answer).strip()
        found = re.match(rf"\(?([{letters}])(?:[).:,\s]|$)", text) or re.search(rf"\b([{letters}])[).:]", text)
        return float(found[1] == expected) if found else by_text(answer)

    return check


def name(aliases: Sequence[str], rivals: Sequence[str] = ()) -> Check:
    """The first thing named is one of `aliases`, not one of `rivals` (the answers to sister questions)."""

    def check(answer: str) -> float:
        marked = MARKER.findall(plain(answer))
        text = words(marked[-1] if marked else plain(answer))
        place = _first(text, aliases)
        rival = _first(text, [one for one in rivals if one not in aliases])
        return float(place is not None and (rival is None or place < rival))

    return check


def _first(text: str, options: Sequence[str]) -> int | None:
    places = [text.find(words(option)) for option in options]
    return min((place for place in places if place >= 0), default=None)


def exactly(expected: str, *others: str) -> Check:
    """The answer is this text, alone, quoted, fenced or after a line of introduction; spaces and a comma before
    "and" do not count."""
    goals = {_squeeze(one) for one in (expected, *others)}

    def check(answer: str) -> float:
        return float(any(_squeeze(one) in goals for one in candidates(answer)))

    return check


def candidates(answer: str) -> list[str]:
    """What in an answer may be the text that was asked for."""
    text = answer.strip()
    found = [text, *FENCE.findall(text)]
    found += [body for head, _, body in [text.partition("\n")] if body and head.rstrip("* ").endswith(":")]
    found += [re.sub(r"^[^\n:]{0,80}:\s+", "", text)]
    found += re.findall(r"^\s*[\"“](.*)[\"”]\s*$", text, re.MULTILINE | re.DOTALL)
    quoted = re.findall(r"[\"“]([^\"“”]+)[\"”]", text)
    return found + (quoted[-1:] if text.endswith(('"', '."', "”", '".', "”.")) else [])


def _squeeze(text: str) -> str:
    text = text.replace("’", "'").replace("**", "").replace(", and ", " and ")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line).strip("\"'`“” \n")


def fields(expected: Mapping[str, Any]) -> Check:
    """The share of the fields of a JSON object that are right; fields that were not asked for count as wrong."""

    def check(answer: str) -> float:
        found = json_object(answer)
        if found is None:
            return 0.0
        right = sum(key in found and _same(found[key], goal) for key, goal in expected.items())
        return right / len(expected.keys() | found.keys())

    return check


def json_object(answer: str) -> dict[str, Any] | None:
    """The first JSON object in an answer."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", answer):
        try:
            found, _ = decoder.raw_decode(answer, match.start())
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def _same(found: Any, goal: Any) -> bool:
    if isinstance(goal, list):
        return isinstance(found, list) and len(found) == len(goal) and all(map(_same, found, goal))
    if isinstance(goal, bool) or goal is None or isinstance(found, bool):
        return found is goal
    if isinstance(goal, int | float):
        return isinstance(found, int | float) and abs(found - goal) < 1e-9
    return isinstance(found, str) and words(found) == words(goal)

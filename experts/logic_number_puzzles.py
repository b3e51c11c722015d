"""Reads puzzles for a whole number in plain English: remainders, digits, heads and legs, coins."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from experts.algebra_expression import equation
from experts.formula import Tree, names
from experts.logic_numbers import REMAINDER

Task = dict[str, Any]


def number_puzzle(text: str) -> Task | None:
    """Which number, or how many: remainders, digits, heads and legs, coins."""
    readers: tuple[Callable[[str], Task | None], ...] = (_remainders, _digits, _animals, _coins)
    for reader in readers:
        task = reader(text)
        if task is not None:
            return task
    return None


def _remainders(text: str) -> Task | None:
    found = REMAINDER.findall(text)
    best = re.search(r"\b(smallest|least|lowest|largest|greatest|biggest)\b", text)
    if not found or best is None or not re.search(r"integer|number", text):
        return None
    n: Tree = ["name", "n"]
    premises: list[Tree] = [["=", ["mod", n, ["num", by]], ["num", rest]] for rest, _, by in found]
    premises += [
        ["=", ["mod", n, ["num", by]], ["num", "0"]] for by in re.findall(r"\b(?:divisible by|multiple of) (\d+)", text)
    ]
    premises += _range(text, n)
    return {
        "kind": "find",
        "premises": premises,
        "targets": [n],
        "least" if best.group(1)[0] in "sl" and best.group(1) != "largest" else "most": n,
    }


def _range(text: str, n: Tree) -> list[Tree]:
    found: list[Tree] = [[">", n, ["num", "0"]]]
    digits = re.search(r"\b(2|3|4)-digit\b", text)
    if digits:
        low = 10 ** (int(digits.group(1)) - 1)
        found += [[">=", n, ["num", str(low)]], ["<", n, ["num", str(10 * low)]]]
    for sign, pattern in (
        (">", r"(?:greater|larger|bigger|more) than (\d+)"),
        ("<", r"(?:less|smaller) than (\d+)|below (\d+)|under (\d+)"),
    ):
        match = re.search(pattern, text)
        if match:
            found.append([sign, n, ["num", next(group for group in match.groups() if group)]])
    between = re.search(r"between (\d+) and (\d+)", text)
    if between:
        found += [[">=", n, ["num", between.group(1)]], ["<=", n, ["num", between.group(2)]]]
    return found


def _digits(text: str) -> Task | None:
    """A two-digit number, by what its digits are."""
    if not re.search(r"\b2-digit (?:number|integer)\b", text):
        return None
    text = re.sub(
        r"\b(?:its|the|that|whose)\b", " ", re.sub(r"\bits (?=tens|ones|units)|\bthe (?=tens|ones|units)", "", text)
    )
    text = re.sub(r"\btens(?:' | )digit\b|\bfirst digit\b", " t ", text)
    text = re.sub(r"\b(?:ones|units?)(?:' | )digit\b|\bsecond digit\b|\blast digit\b", " u ", text)
    text = re.sub(r"\bdigit sum(?: of| is| equals?)? (\d+)", r"; t + u = \1 ;", text)
    text = re.sub(
        r"\bsum of (?:  ?)?(?:2 )?digits (?:is|equals|of) (\d+)|\bdigits (?:add up to|sum to|have (?:a |  )?sum(?: of)?) (\d+)",
        r"; t + u = \1\2 ;",
        text,
    )
    text = re.sub(r"\bproduct of (?:  ?)?digits is (\d+)", r"; t * u = \1 ;", text)
    found = [tree for part in re.split(r"[;,?]|\.\s|\band\b", text) if (tree := equation(part)) is not None]
    t, u = ["name", "t"], ["name", "u"]
    if len(found) < 2 or not {name for tree in found for name in names(tree)} <= {"t", "u"}:
        return None
    bounds: list[Tree] = [
        [">=", t, ["num", "1"]],
        ["<=", t, ["num", "9"]],
        [">=", u, ["num", "0"]],
        ["<=", u, ["num", "9"]],
    ]
    return {"kind": "find", "premises": [*found, *bounds], "targets": [["+", ["*", ["num", "10"], t], u]]}


LEGS = {**dict.fromkeys(("hen", "chicken", "duck", "goose", "geese", "bird", "ostrich", "ostriches", "turkey", "rooster", "bicycle", "bike", "motorcycle"), 2),
        **dict.fromkeys(("rabbit", "cow", "pig", "sheep", "goat", "horse", "dog", "cat", "car", "table"), 4), "tricycle": 3, "spider": 8, "insect": 6, "stool": 3}  # fmt: skip


def _animals(text: str) -> Task | None:
    heads = re.search(r"\b(\d+) (?:heads|animals|vehicles)", text)
    legs = re.search(r"\b(\d+) (?:legs|feet|wheels)", text)
    asked = re.search(r"how many (\w+)", text)
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])s\b", "", text))
    kinds = [word for word in dict.fromkeys(words) if word in LEGS]
    if not (heads and legs and asked) or len(kinds) != 2 or asked.group(1).rstrip("s") not in kinds:
        return None
    a, b = (["name", kind] for kind in kinds)
    feet = ["+", ["*", ["num", str(LEGS[kinds[0]])], a], ["*", ["num", str(LEGS[kinds[1]])], b]]
    premises: list[Tree] = [["=", ["+", a, b], ["num", heads.group(1)]], ["=", feet, ["num", legs.group(1)]]]
    premises += [[">=", name, ["num", "0"]] for name in (a, b)]
    return {"kind": "find", "premises": premises, "targets": [["name", asked.group(1).rstrip("s")]]}


def _coins(text: str) -> Task | None:
    total = re.search(r"\b(?:exactly |make |pay |paid |change for )(\d+) (?:cents?|dollars?|euros?|pence|p)\b", text)
    values = list(dict.fromkeys(re.findall(r"\b(\d+)-(?:cent|dollar|euro|pence|penny)\b", text)))
    if total is None or not 1 < len(values) <= 4 or not re.search(r"how many (?:different )?ways", text):
        return None
    coins: list[Tree] = [["name", f"coins_of_{value}"] for value in values]
    paid: Tree = ["*", ["num", values[0]], coins[0]]
    for value, coin in zip(values[1:], coins[1:], strict=True):
        paid = ["+", paid, ["*", ["num", value], coin]]
    premises: list[Tree] = [["=", paid, ["num", total.group(1)]], *([">=", coin, ["num", "0"]] for coin in coins)]
    return {"kind": "count", "premises": premises, "targets": coins}

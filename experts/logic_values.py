"""Exact truth of a claim at given values, and what small cases alone can settle. It runs inside the sandbox."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import product
from typing import Any

from experts.formula import Tree, names

MAX_CASES = 20_000
MAX_PERIOD = 400
MAX_BITS = 4_000


class Unfit(ValueError):
    """The formula has no value, or none of the kind that is asked for."""


def value(tree: Tree, at: Mapping[str, Any]) -> Any:
    """The exact value of a tree: an int or a bool. Raises Unfit."""
    kind = tree[0]
    if kind == "num":
        return int(tree[1]) if tree[1].isdigit() else _unfit("only whole numbers")
    if kind == "name":
        return at[tree[1]] if tree[1] in at else _unfit("an unknown without a value")
    if kind == "constant":
        return tree[1] == "true" if tree[1] in ("true", "false") else _unfit(tree[1])
    if kind not in VALUES:
        raise Unfit(f"{kind} is no operation on whole numbers")
    return VALUES[kind](*(value(part, at) for part in tree[1:]))


def plain(tree: Tree) -> Tree:
    """The same tree with signs in place of words such as the square of, the sum of."""
    if tree[0] in ("num", "name", "constant", "holds"):
        return tree
    parts = [plain(part) if isinstance(part, list) else part for part in tree[1:]]
    if tree[0] in ("square_of", "cube_of"):
        return ["^", parts[0], ["num", "2" if tree[0] == "square_of" else "3"]]
    if tree[0] in WORDS:
        return reduce(lambda left, right: [WORDS[tree[0]], left, right], parts)
    return [tree[0], *parts]


WORDS = {"sum_of": "+", "product_of": "*", "difference_of": "-", "quotient_of": "/"}


def _unfit(reason: str) -> Any:
    raise Unfit(reason)


def _power(base: int, exponent: int) -> int:
    if exponent < 0 or exponent * max(1, abs(base).bit_length()) > MAX_BITS:
        raise Unfit("an exponent out of range")
    return int(base**exponent)


def _divide(left: int, right: int) -> int:
    if right == 0 or left % right:
        raise Unfit("a division with a rest")
    return left // right


def _prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(min(number, 10**10)) + 1))


def _root(number: int) -> int:
    return math.isqrt(number) if number >= 0 and math.isqrt(number) ** 2 == number else _unfit("no whole root")


VALUES: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "^": _power,
    "negative": lambda a: -a,
    "mod": lambda a, b: a % b if b else _unfit("a remainder of a division by zero"),
    "rem": lambda a, b: a % b if b else _unfit("a remainder of a division by zero"),
    "quo": lambda a, b: a // b if b else _unfit("a division by zero"),
    "factorial": lambda a: math.factorial(a) if 0 <= a <= 200 else _unfit("a factorial out of range"),
    "abs": abs,
    "sqrt": _root,
    "gcd": math.gcd,
    "lcm": math.lcm,
    "max": max,
    "min": min,
    "even": lambda a: a % 2 == 0,
    "odd": lambda a: a % 2 == 1,
    "isprime": _prime,
    "is_square": lambda a: a >= 0 and math.isqrt(a) ** 2 == a,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "not": lambda a: not a,
    "xor": lambda a, b: a != b,
    "implies": lambda a, b: not a or b,
    "iff": lambda a, b: a == b,
}


def cases(variables: list[str], reach: int | None = None) -> Iterator[dict[str, int]]:
    """Small values of all variables, the smallest first, as many as are cheap."""
    if not variables:
        yield {}
        return
    reach = reach or max(2, int(MAX_CASES ** (1 / len(variables)) - 1) // 2)
    reach = min(reach, 120)
    ordered = sorted(range(-reach, reach + 1), key=lambda number: (abs(number), number < 0))
    for number, chosen in enumerate(product(ordered, repeat=len(variables))):
        if number >= MAX_CASES:
            return
        yield dict(zip(variables, chosen, strict=True))


def counter_example(premises: list[Tree], claim: Tree, variables: list[str]) -> dict[str, int] | None:
    """Small values at which the premises hold and the claim does not; where one has no value it does not count."""
    for at in cases(variables):
        try:
            if all(value(premise, at) for premise in premises) and not value(claim, at):
                return at
        except Unfit:
            continue
    return None


def periodic(claim: Tree, variables: list[str]) -> bool:
    """Whether a claim on remainders alone holds: it repeats, so that one period of every variable settles it."""
    moduli = _moduli(claim)
    if moduli is None:
        return False
    period = math.lcm(*moduli)
    if period > MAX_PERIOD or period ** len(variables) > MAX_CASES:
        return False
    every = product(range(period), repeat=len(variables))
    return all(value(claim, dict(zip(variables, chosen, strict=True))) for chosen in every)


def _moduli(tree: Tree) -> set[int] | None:
    """The moduli of a claim that depends on remainders of polynomials alone; None if it depends on more."""
    if tree[0] in ("even", "odd"):
        return {2} if _polynomial(tree[1]) else None
    if tree[0] in ("and", "or", "not", "implies", "iff", "xor"):
        found = [_moduli(part) for part in tree[1:]]
        return None if any(part is None for part in found) else {item for part in found for item in part or ()}
    if tree[0] in ("=", "!=", "<", ">", "<=", ">="):
        sides = [_modulus(part) for part in tree[1:]]
        return None if any(side is None for side in sides) else {side for side in sides if side is not None}
    return None


def _modulus(tree: Tree) -> int | None:
    if not names(tree):
        return 1
    whole = tree[0] in ("mod", "rem") and tree[2][0] == "num" and _polynomial(tree[1])
    return int(tree[2][1]) or None if whole and tree[2][1].isdigit() else None


def _polynomial(tree: Tree) -> bool:
    if tree[0] == "num":
        return bool(tree[1].isdigit())
    if tree[0] == "^":
        return _polynomial(tree[1]) and tree[2][0] == "num" and tree[2][1].isdigit() and int(tree[2][1]) < 60
    return tree[0] == "name" or (tree[0] in ("+", "-", "*", "negative") and all(_polynomial(part) for part in tree[1:]))

"""Builds SymPy expressions from trees, and writes results as people do. It runs inside the sandbox."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from experts.formula import Tree

MAX_EXPONENT = 20_000
MAX_FACTORIAL = 2_000
MAX_DIGITS = 2_000


class Unfit(ValueError):
    """The task has no answer of the kind that is asked for."""


def build(tree: Tree) -> Any:
    """The SymPy expression of a tree. Raises Unfit for what algebra does not have."""
    import sympy

    kind = tree[0]
    if kind == "num":
        return sympy.Rational(tree[1])
    if kind == "name":
        return sympy.Symbol(tree[1])
    if kind == "constant":
        return {"pi": sympy.pi, "e": sympy.E}.get(tree[1]) or _unfit("a truth value is no number")
    if kind not in BUILDERS:
        raise Unfit(f"{kind} is no operation of algebra")
    return BUILDERS[kind](sympy, *(build(part) for part in tree[1:]))


def _unfit(reason: str) -> Any:
    raise Unfit(reason)


def _power(sympy: Any, base: Any, exponent: Any) -> Any:
    if exponent.is_number and base.is_number and abs(exponent) > MAX_EXPONENT:
        raise Unfit("the exponent is too large")
    return base**exponent


def _modulo(sympy: Any, left: Any, right: Any) -> Any:
    return _unfit("a remainder of a division by zero") if right == 0 else sympy.Mod(left, right)


def _divide(sympy: Any, left: Any, right: Any) -> Any:
    return _unfit("a division by zero") if right == 0 else left / right


def _factorial(sympy: Any, value: Any) -> Any:
    if value.is_number and not (value.is_integer and 0 <= value <= MAX_FACTORIAL):
        raise Unfit("a factorial of this number")
    return sympy.factorial(value)


def _change(sign: int) -> Callable[..., Any]:
    def change(sympy: Any, value: Any, by: Any) -> Any:
        return value + sign * by

    return change


def _whole(value: Any) -> int:
    return int(value) if value.is_integer else _unfit("a whole number is needed")


def _log(sympy: Any, value: Any, base: Any = None) -> Any:
    if base is None:
        base = 10 if value.is_number and not value.has(sympy.E) else sympy.E
    return sympy.log(value, base)


def _median(sympy: Any, *values: Any) -> Any:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _choose(name: str) -> Callable[..., Any]:
    def choose(sympy: Any, n: Any, k: Any) -> Any:
        if not 0 <= _whole(n) <= MAX_FACTORIAL or _whole(k) < 0:
            raise Unfit("a choice of this size")
        return sympy.Integer((math.comb if name == "binomial" else math.perm)(int(n), int(k)))

    return choose


def _named(name: str) -> Callable[..., Any]:
    return lambda sympy, *values: getattr(sympy, name)(*values)


BUILDERS: dict[str, Callable[..., Any]] = {
    "+": lambda _, a, b: a + b,
    "-": lambda _, a, b: a - b,
    "*": lambda _, a, b: a * b,
    "/": _divide,
    "^": _power,
    "negative": lambda _, a: -a,
    "percent": lambda _, a: a / 100,
    "mod": _modulo,
    "rem": _modulo,
    "quo": lambda sympy, a, b: sympy.floor(_divide(sympy, a, b)),
    "increased_by": _change(1),
    "decreased_by": _change(-1),
    "sum_of": lambda _, *values: sum(values),
    "product_of": lambda _, *values: math.prod(values),
    "difference_of": lambda sympy, a, b: sympy.Abs(a - b) if (a - b).is_number else a - b,
    "quotient_of": _divide,
    "mean": lambda _, *values: sum(values) / len(values),
    "median": _median,
    "count_of": lambda sympy, *values: sympy.Integer(len(values)),
    "gcd": lambda sympy, *values: reduce(sympy.gcd, values),
    "lcm": lambda sympy, *values: reduce(sympy.lcm, values),
    "max": _named("Max"),
    "min": _named("Min"),
    "factorial": _factorial,
    "log": _log,
    "ln": lambda sympy, value: sympy.log(value),
    "log10": lambda sympy, value: sympy.log(value, 10),
    "log2": lambda sympy, value: sympy.log(value, 2),
    "abs": _named("Abs"),
    "round": lambda sympy, value: sympy.floor(value + sympy.Rational(1, 2)),
    "binomial": _choose("binomial"),
    "permutations": _choose("permutations"),
    "square_of": lambda _, value: value**2,
    "cube_of": lambda _, value: value**3,
    "digit_sum": lambda sympy, value: sympy.Integer(sum(int(digit) for digit in str(abs(_whole(value))))),
    "divisor_count": lambda sympy, value: sympy.divisor_count(_whole(value)),
    "isprime": lambda sympy, value: sympy.Integer(sympy.isprime(_whole(value))),
    "nextprime": lambda sympy, value: sympy.Integer(sympy.nextprime(_whole(value))),
    "fibonacci": lambda sympy, n: sympy.fibonacci(_whole(n)) if 0 <= n <= MAX_FACTORIAL else _unfit("too far"),
    **{name: _named(name) for name in ("sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")},
    **{name: _named(name) for name in ("tanh", "exp", "floor", "ceiling")},
}
RELATIONS = {"=": "Eq", "<": "Lt", ">": "Gt", "<=": "Le", ">=": "Ge", "!=": "Ne"}


def relation(tree: Tree) -> Any:
    """The equation or inequality of a tree; an expression alone is taken as equal to 0."""
    import sympy

    if tree[0] in RELATIONS:
        kind = getattr(sympy, RELATIONS[tree[0]])
        return kind(build(tree[1]), build(tree[2]), evaluate=False)
    return sympy.Eq(build(tree), 0, evaluate=False)


def show(value: Any, task: dict[str, Any]) -> str:
    """A number as people write it: whole, as a decimal where that is exact or asked for, else as it is."""
    import sympy

    value = sympy.sympify(value)
    if not value.is_number:
        return str(value)
    if value.is_finite is False or value.has(sympy.zoo, sympy.nan, sympy.oo):
        raise Unfit("the result is not finite")
    if task.get("decimals") is not None and value.is_real:
        return _rounded(value, task["decimals"])
    if value.is_Integer:
        return _digits(value)
    if value.is_Rational:
        return _fraction(value, bool(task.get("decimal")))
    return str(sympy.N(value, 6 if value.is_real else 12)) if task.get("decimal") else str(value)


def _digits(value: Any) -> str:
    if abs(value) >= 10**MAX_DIGITS:
        raise Unfit("the result is too long")
    return str(value)


def _rounded(value: Any, decimals: int) -> str:
    """Half away from zero, as in school."""
    import sympy

    scaled = sympy.floor(abs(value) * 10**decimals + sympy.Rational(1, 2))
    digits = _digits(scaled).rjust(decimals + 1, "0")
    whole = digits[: len(digits) - decimals] + ("." + digits[len(digits) - decimals :] if decimals else "")
    return ("-" if value.is_negative and scaled else "") + whole


def _fraction(value: Any, decimal: bool) -> str:
    rest = value.q
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1 and value.q <= 10**12:
        places = next(places for places in range(60) if 10**places % value.q == 0)
        return _rounded(value, places)
    return f"{float(value):.10g}" if decimal else str(value)


def source(tree: Tree) -> str:
    """A tree as it is written in a claim, before anything is computed."""
    if tree[0] in ("num", "name", "constant"):
        return str(tree[1])
    kind, parts = tree[0], [source(part) for part in tree[1:]]
    if kind == "percent":
        return f"{parts[0]}%"
    if kind == "negative":
        return f"-{_wrapped(tree[1], 25)}"
    if kind in RELATIONS:
        return f"{parts[0]} {kind} {parts[1]}"
    if kind in POWERS:
        power = POWERS[kind]
        left, right = _wrapped(tree[1], power + (kind == "^")), _wrapped(tree[2], power + (kind != "^"))
        return f"{left}**{right}" if kind == "^" else f"{left} {SIGNS.get(kind, kind)} {right}"
    return f"{kind.removesuffix('_of')}({', '.join(parts)})"


POWERS = {"+": 10, "-": 10, "increased_by": 8, "decreased_by": 8, "*": 20, "/": 20, "mod": 20, "^": 30}
SIGNS = {"increased_by": "increased by", "decreased_by": "decreased by"}


def _wrapped(tree: Tree, least: int) -> str:
    power = POWERS.get(tree[0], 25 if tree[0] == "negative" else 99)
    return f"({source(tree)})" if power < least else source(tree)

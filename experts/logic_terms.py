"""Builds Z3 terms from trees, and writes trees as people do. It runs inside the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experts.formula import Tree
from experts.logic_values import Unfit

LOGICAL = frozenset({"and", "or", "not", "implies", "iff", "xor"})


def whole_numbers(trees: list[Tree]) -> list[str]:
    """The names that stand for whole numbers; every other name is a truth value."""
    found: dict[str, None] = {}
    for tree in trees:
        _collect(tree, False, found)
    return list(found)


def _collect(tree: Tree, number: bool, found: dict[str, None]) -> None:
    if tree[0] == "name" and number:
        found[tree[1]] = None
    if tree[0] in ("num", "name", "constant", "holds"):
        return
    for part in tree[1:]:
        if isinstance(part, list):
            _collect(part, tree[0] not in LOGICAL and tree[0] not in ("every", "some"), found)


class Terms:
    """Z3 terms of trees. `real` takes numbers for real ones: what holds for those holds for whole ones."""

    def __init__(self, trees: list[Tree], *, real: bool = False) -> None:
        import z3

        self._z3, self._real = z3, real
        self._numbers = set(whole_numbers(trees))
        self._things = z3.DeclareSort("Thing")
        self._bound: dict[str, Any] = {}

    def variable(self, name: str) -> Any:
        """The constant of a name."""
        if name not in self._numbers:
            return self._z3.Bool(name)
        return self._z3.Real(name) if self._real else self._z3.Int(name)

    def term(self, tree: Tree) -> Any:
        """The Z3 term of a tree. Raises Unfit."""
        kind = tree[0]
        if kind == "num":
            return self._number(tree[1])
        if kind == "name":
            return self.variable(tree[1])
        if kind == "constant" and tree[1] in ("true", "false"):
            return self._z3.BoolVal(tree[1] == "true")
        if kind == "holds":
            predicate = self._z3.Function(tree[1], self._things, self._z3.BoolSort())
            thing = self._bound.get(tree[2])
            return predicate(self._z3.Const("thing " + tree[2], self._things) if thing is None else thing)
        if kind in ("every", "some"):
            return self._quantified(*tree)
        if kind == "^":
            return self._power(tree)
        if kind not in TERMS:
            raise Unfit(f"{kind} is no operation of this logic")
        if self._real and kind in ("mod", "rem", "quo", "even", "odd"):
            raise Unfit("remainders need whole numbers")
        try:
            return TERMS[kind](self._z3, *(self.term(part) for part in tree[1:]))
        except self._z3.Z3Exception as error:
            raise Unfit("a truth value and a number are mixed") from error

    def _number(self, digits: str) -> Any:
        if not digits.isdigit() and not self._real:
            raise Unfit("only whole numbers")
        return self._z3.RealVal(digits) if self._real else self._z3.IntVal(digits)

    def _power(self, tree: Tree) -> Any:
        if tree[2][0] != "num" or not tree[2][1].isdigit() or int(tree[2][1]) > 12:
            raise Unfit("an exponent that is no small number")
        result, base = self._number("1"), self.term(tree[1])
        for _ in range(int(tree[2][1])):
            result = result * base
        return result

    def _quantified(self, kind: str, name: str, body: Tree) -> Any:
        self._bound[name] = bound = self._z3.Const(name, self._things)
        inner = self.term(body)
        del self._bound[name]
        return (self._z3.ForAll if kind == "every" else self._z3.Exists)([bound], inner)


def _divide(z3: Any, left: Any, right: Any) -> Any:
    if not z3.is_real(left):
        raise Unfit("a division of whole numbers")
    return left / right


TERMS: dict[str, Callable[..., Any]] = {
    "+": lambda z3, a, b: a + b,
    "-": lambda z3, a, b: a - b,
    "*": lambda z3, a, b: a * b,
    "/": _divide,
    "negative": lambda z3, a: -a,
    "mod": lambda z3, a, b: a % b,
    "rem": lambda z3, a, b: a % b,
    "quo": lambda z3, a, b: a / b,
    "abs": lambda z3, a: z3.If(a >= 0, a, -a),
    "max": lambda z3, a, b: z3.If(a >= b, a, b),
    "min": lambda z3, a, b: z3.If(a <= b, a, b),
    "even": lambda z3, a: a % 2 == 0,
    "odd": lambda z3, a: a % 2 == 1,
    "=": lambda z3, a, b: a == b,
    "!=": lambda z3, a, b: a != b,
    "<": lambda z3, a, b: a < b,
    ">": lambda z3, a, b: a > b,
    "<=": lambda z3, a, b: a <= b,
    ">=": lambda z3, a, b: a >= b,
    "and": lambda z3, *values: z3.And(*values),
    "or": lambda z3, *values: z3.Or(*values),
    "not": lambda z3, a: z3.Not(a),
    "xor": lambda z3, a, b: z3.Xor(a, b),
    "implies": lambda z3, a, b: z3.Implies(a, b),
    "iff": lambda z3, a, b: a == b,
}


SIGNS = {
    "negative": "-",
    "and": "and",
    "or": "or",
    "not": "not ",
    "implies": "->",
    "iff": "<->",
    "xor": "xor",
    "^": "^",
}
POWERS = {"iff": 1, "implies": 2, "or": 3, "xor": 3, "and": 4, "not": 5, "+": 10, "-": 10, "*": 20, "/": 20, "mod": 20}
POWERS |= {**dict.fromkeys(("=", "!=", "<", ">", "<=", ">="), 6), "negative": 25, "^": 30}


def shown(tree: Tree) -> str:
    """A formula as text."""
    kind = tree[0]
    if kind in ("num", "name", "constant"):
        return str(tree[1])
    if kind == "holds":
        return f"{tree[1]}({tree[2]})"
    if kind in ("every", "some"):
        return f"for {kind} {tree[1]}: {shown(tree[2])}"
    if kind in ("not", "negative"):
        return SIGNS[kind] + _wrapped(tree[1], POWERS[kind])
    if kind in POWERS:
        parts = [_wrapped(part, POWERS[kind] + (place > 0)) for place, part in enumerate(tree[1:])]
        return f" {SIGNS.get(kind, kind)} ".join(parts)
    return f"{kind}({', '.join(map(shown, tree[1:]))})"


def _wrapped(tree: Tree, least: int) -> str:
    return f"({shown(tree)})" if POWERS.get(tree[0], 0 if tree[0] in ("every", "some") else 99) < least else shown(tree)

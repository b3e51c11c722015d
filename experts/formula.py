"""Reads a formula into a tree by a strict grammar, so that no text is ever evaluated: what is not allowed is an error.

A tree is JSON: ["num", "17"], ["name", "x"], or [operator, tree, ...], where an operator is a symbol or a function.
"""

from __future__ import annotations

import re
from typing import Any

Tree = list[Any]

MAX_CHARACTERS, MAX_DEPTH, MAX_DIGITS = 600, 40, 60
ONE_ARGUMENT = frozenset({
    *("sqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "ln", "log", "log10"),
    *("log2", "abs", "factorial", "floor", "ceiling", "round", "isprime", "nextprime", "fibonacci", "digit_sum"),
    *("square_of", "cube_of", "even", "odd", "divisor_count"),
})  # fmt: skip
MORE_ARGUMENTS = {
    **dict.fromkeys(("gcd", "lcm", "max", "min", "mean", "median", "sum_of", "product_of", "count_of"), (2, 40)),
    **dict.fromkeys(("difference_of", "quotient_of", "binomial", "permutations", "mod", "rem", "quo"), (2, 2)),
    **dict.fromkeys(("log", "mean", "median"), (1, 40)),
}  # fmt: skip
FUNCTIONS = ONE_ARGUMENT | MORE_ARGUMENTS.keys()
CONSTANTS = frozenset({"pi", "e", "true", "false"})
RELATIONS = {"=": "=", "==": "=", "!=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
INFIX = {
    **dict.fromkeys(("<->", "<=>", "iff"), ("iff", 1)),
    **dict.fromkeys(("->", "=>", "implies"), ("implies", 2)),
    **dict.fromkeys(("or", "||", "|"), ("or", 3)),
    "xor": ("xor", 3),
    **dict.fromkeys(("and", "&&", "&"), ("and", 4)),
    **{symbol: (name, 6) for symbol, name in RELATIONS.items()},
    "+": ("+", 10),
    "-": ("-", 10),
    "increased_by": ("increased_by", 8),
    "decreased_by": ("decreased_by", 8),
    **dict.fromkeys(("*", "of"), ("*", 20)),
    "/": ("/", 20),
    **dict.fromkeys(("mod", "%"), ("mod", 20)),
    **dict.fromkeys(("^", "**"), ("^", 30)),
}
LOGIC = frozenset({"iff", "implies", "or", "xor", "and", "not"})
NOT, NEGATIVE, APPLIED, ITEM, POSTFIX = 5, 25, 26, 15, 40
TOKEN = re.compile(
    r"\s*(?:(?P<num>\d+(?:\.\d+)?|\.\d+)|(?P<name>[A-Za-z][A-Za-z_]*\d*)"
    r"|(?P<sign><->|<=>|->|=>|\*\*|<=|>=|!=|==|&&|\|\||[-+*/%^()!<>=,&|~]))"
)


class FormulaError(ValueError):
    """The text is no formula of the grammar."""


def parse(text: str, *, logic: bool = False) -> Tree:
    """The tree of `text`. In algebra letters stand side by side for a product (2x, xy); in `logic` names are whole
    words and `and`, `or`, `not`, `implies` join claims. Raises FormulaError."""
    if len(text) > MAX_CHARACTERS:
        raise FormulaError("the formula is too long")
    return _Parser(_tokens(text, logic), logic).whole()


def names(tree: Tree) -> list[str]:
    """The variables of a tree, in order of appearance."""
    if tree[0] == "name":
        return [tree[1]]
    if tree[0] == "num":
        return []
    return list(dict.fromkeys(name for part in tree[1:] for name in names(part)))


def operators(tree: Tree) -> set[str]:
    """The operators and functions of a tree."""
    if tree[0] in ("name", "num", "constant"):
        return set()
    return {tree[0]}.union(*(operators(part) for part in tree[1:]))


def numbers(tree: Tree) -> list[str]:
    """The numbers of a tree, as they are written."""
    if tree[0] == "num":
        return [tree[1]]
    if tree[0] in ("name", "constant"):
        return []
    return [number for part in tree[1:] for number in numbers(part)]


def _tokens(text: str, logic: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place, text = 0, text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise FormulaError("a sign that the grammar does not have")
        place, kind = match.end(), str(match.lastgroup)
        value = match.group(kind)
        if kind == "num" and len(value) > MAX_DIGITS:
            raise FormulaError("a number is too long")
        found += _names(value, logic) if kind == "name" else [(kind, value)]
    return found


def _names(word: str, logic: bool) -> list[tuple[str, str]]:
    low = word.lower()
    if low in FUNCTIONS | CONSTANTS or low in INFIX or low == "not":
        known = "sign" if low in INFIX and low not in FUNCTIONS or low == "not" else "name"
        return [(known, low)]
    if logic or len(word) == 1:
        return [("name", word)]
    if len(word) == 2 and set(low) <= set("abckmnpqrtuvwxyz") and low not in {"an", "at", "by", "my", "up", "am", "we"}:
        return [("name", letter) for letter in word]
    raise FormulaError("a word that the grammar does not have")


class _Parser:
    """Precedence climbing over a list of tokens."""

    def __init__(self, tokens: list[tuple[str, str]], logic: bool) -> None:
        self._tokens, self._logic, self._place, self._depth = tokens, logic, 0, 0

    def whole(self) -> Tree:
        tree = self._expression(0)
        if self._place < len(self._tokens):
            raise FormulaError("more text than a formula")
        return tree

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self, *signs: str) -> bool:
        kind, value = self._next()
        if kind in ("sign", "name") and value in signs:
            self._place += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise FormulaError(f"{sign} is missing")

    def _expression(self, least: int) -> Tree:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaError("the formula is nested too deeply")
        tree = self._postfix(self._first())
        while True:
            longer = self._infix(tree, least)
            if longer is None:
                break
            tree = self._postfix(longer) if longer[0] in ("num", "name") else longer
        self._depth -= 1
        return tree

    def _infix(self, left: Tree, least: int) -> Tree | None:
        kind, value = self._next()
        if kind == "num" or (kind == "name" and value != "mod") or value == "(":
            return self._product(left, kind, least)
        name, power = INFIX.get(value, ("", -1))
        if power < least or (name in LOGIC and not self._logic):
            return None
        self._place += 1
        if name == "^":
            return ["^", left, self._expression(NEGATIVE)]
        right = self._expression(power if name == "implies" else power + 1)
        if name in RELATIONS.values() and self._next()[1] in RELATIONS and self._logic:
            return self._chain([name, left, right])
        return [name, left, right]

    def _chain(self, first: Tree) -> Tree:
        """a < b < c means a < b and b < c."""
        name, _ = INFIX[self._next()[1]]
        self._place += 1
        second = [name, first[2], self._expression(7)]
        return ["and", first, self._chain(second) if self._next()[1] in RELATIONS else second]

    def _product(self, left: Tree, kind: str, least: int) -> Tree | None:
        """Two factors side by side; a number may not follow."""
        if self._logic or kind == "num":
            raise FormulaError("an operator is missing")
        return ["*", left, self._expression(21)] if least <= 20 else None

    def _postfix(self, tree: Tree) -> Tree:
        while True:
            if self._take("!"):
                tree = ["factorial", tree]
            elif self._next()[1] == "%" and not self._value_follows():
                self._place += 1
                tree = ["percent", tree]
            else:
                return tree

    def _value_follows(self) -> bool:
        kind, value = self._tokens[self._place + 1] if self._place + 1 < len(self._tokens) else ("end", "")
        return kind in ("num", "name") or value == "("

    def _first(self) -> Tree:
        kind, value = self._next()
        self._place += 1
        if kind == "num":
            return ["num", value]
        if kind == "name":
            return self._named(value)
        if value == "(":
            tree = self._expression(0)
            self._expect(")")
            return tree
        if value == "|" and not self._logic:
            tree = self._expression(0)
            self._expect("|")
            return ["abs", tree]
        if value in ("-", "+"):
            tree = self._expression(NEGATIVE)
            return ["negative", tree] if value == "-" else tree
        if value in ("not", "~", "!") and self._logic:
            return ["not", self._expression(NOT)]
        raise FormulaError("a value is missing")

    def _named(self, name: str) -> Tree:
        if name in CONSTANTS:
            return ["constant", name]
        if name not in FUNCTIONS:
            return ["name", name]
        if self._take("("):
            arguments = self._list(0)
            self._expect(")")
        elif name in MORE_ARGUMENTS and name != "log":
            arguments = self._list(ITEM)
        else:
            arguments = [self._expression(APPLIED)]
        return [name, *self._counted(name, arguments)]

    def _list(self, least: int) -> list[Tree]:
        found = [self._expression(least)]
        while self._take(",", "and") or (self._next() == ("sign", "and") and self._take("and")):
            self._take("and")
            found.append(self._expression(least))
        return found

    def _counted(self, name: str, arguments: list[Tree]) -> list[Tree]:
        low, high = MORE_ARGUMENTS.get(name, (1, 1))
        if not low <= len(arguments) <= high and not (len(arguments) == 1 and name in ONE_ARGUMENT):
            raise FormulaError(f"{name} takes another number of values")
        return arguments

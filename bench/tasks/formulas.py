"""Checks formulas by value: an answer is read with a small parser of our own and compared at several points.

Nothing of an answer is evaluated as Python: names and operators other than those here are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from bench.tasks.base import Check
from bench.tasks.checks import BOXED, FENCE, MARKER

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "sqrt": math.sqrt, "abs": abs,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "e": math.e}
TOKEN = re.compile(r"\s*(\d+\.?\d*|\.\d+|\*\*|[-+*/^()]|[A-Za-z]+)")
POINTS = (0.37, 1.21, 1.9, 2.63, 3.47)
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
Value = Callable[[dict[str, float]], float]


class NotAFormula(ValueError):
    """The text is not a formula in the variables allowed."""


def clean(text: str) -> str:
    """LaTeX and Unicode as plain operators."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: f"^({found[0].translate(SUPERSCRIPTS)})", text)
    text = text.replace("\\left", "").replace("\\right", "").replace("−", "-").replace("√", "sqrt")
    for _ in range(3):
        text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)", text)
        text = re.sub(r"\^\s*\{([^{}]*)\}", r"^(\1)", text)
    text = re.sub(r"\\(cdot|times)|[·×⋅]", "*", text)
    text = re.sub(r"\\(sin|cos|tan|ln|log|exp|pi)", r" \1", text)
    return re.sub(r"\\[()\[\],;!]|\$|`|\\quad", " ", re.sub(r"(?<!\*)\*\*(?=\s|$)|^\*\*", " ", text))


class Parser:
    """A recursive descent over sums, products, powers and calls; neighbours multiply."""

    def __init__(self, text: str, variables: str) -> None:
        self.variables = variables
        self.tokens = list(self._tokens(clean(text)))
        self.place = 0

    def _tokens(self, text: str) -> Iterator[str]:
        place = 0
        text = text.rstrip(" .,;\n")
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                raise NotAFormula(text)
            yield from self._split(found[1])
            place = found.end()

    def _split(self, token: str) -> list[str]:
        if not token[0].isalpha() or token in FUNCTIONS or token in CONSTANTS:
            return [token]
        starts = (name for name in FUNCTIONS if token.startswith(name) and token[len(name) :] in self.variables)
        start = next(starts, "")
        letters = [start] * bool(start) + list(token[len(start) :])
        if all(one in self.variables or one in FUNCTIONS or one in CONSTANTS for one in letters):
            return letters
        raise NotAFormula(token)

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def parse(self) -> Value:
        """The value as a function of the variables. Raises NotAFormula."""
        if not self.tokens:
            raise NotAFormula("empty")
        result = self.sum()
        if self.peek():
            raise NotAFormula(self.peek())
        return result

    def sum(self) -> Value:
        left = self.product()
        while self.peek() in {"+", "-"}:
            left = _combine(left, self.take(), self.product())
        return left

    def product(self) -> Value:
        left = self.power()
        while self.peek() and self.peek() not in {"+", "-", ")"}:
            sign = self.take() if self.peek() in {"*", "/"} else "*"
            left = _combine(left, sign, self.power())
        return left

    def power(self) -> Value:
        if self.peek() in {"-", "+"}:
            sign = self.take()
            return _combine(lambda _: 0.0, sign, self.power())
        base = self.atom()
        if self.peek() in {"^", "**"}:
            self.take()
            return _combine(base, "^", self.power())
        return base

    def atom(self) -> Value:
        word = self.take() if self.peek() else ""
        if word in FUNCTIONS:
            return self.call(FUNCTIONS[word])
        if word == "(":
            return self.closed(self.sum())
        if word and word in self.variables:
            return lambda at: at[word]
        if word in CONSTANTS:
            return lambda _: CONSTANTS[word]
        if re.fullmatch(r"\d+\.?\d*|\.\d+", word):
            return lambda _: float(word)
        raise NotAFormula(word or "empty")

    def closed(self, inside: Value) -> Value:
        if self.peek() != ")":
            raise NotAFormula("unbalanced")
        self.take()
        return inside

    def call(self, function: Callable[[float], float]) -> Value:
        exponent: Value | None = None
        if self.peek() in {"^", "**"}:
            self.take()
            exponent = self.atom()
        inside = self.atom() if self.peek() == "(" else self._bare_argument()

        def outer(at: dict[str, float]) -> float:
            return function(inside(at))

        return outer if exponent is None else _combine(outer, "^", exponent)

    def _bare_argument(self) -> Value:
        left = self.power()
        while self.peek() and (self.peek() in self.variables or self.peek() == "("):
            left = _combine(left, "*", self.power())
        return left


def _combine(left: Value, sign: str, right: Value) -> Value:
    def value(at: dict[str, float]) -> float:
        a, b = left(at), right(at)
        match sign:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return a * b
            case "/":
                return a / b
        power = a**b
        return power if isinstance(power, float | int) else math.nan

    return value


def evaluate(text: str, variables: str) -> list[float]:
    """The formula's values at the test points. Raises NotAFormula."""
    function = Parser(text, variables).parse()
    return [_at(function, variables, point) for point in POINTS]


def _at(function: Value, variables: str, point: float) -> float:
    try:
        return function({name: point + 0.59 * i for i, name in enumerate(variables)})
    except (ArithmeticError, ValueError):
        return math.nan


def statements(answer: str) -> Iterator[str]:
    """Where a formula may stand in an answer, the surest first."""
    yield from reversed(BOXED.findall(answer))
    text = answer.replace("**Answer", "Answer").replace("Answer:**", "Answer:")
    yield from (found for found in reversed(MARKER.findall(text)))
    yield from (found.strip() for found in FENCE.findall(answer))
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    for line in reversed(lines):
        yield from reversed(re.findall(r"\$([^$]+)\$|\\\((.+?)\\\)", line)[-1:] and _inline(line))
        yield line
        yield re.sub(r"^.*?(?:\bis|:)\s", "", line)


def _inline(line: str) -> list[str]:
    return [one or two for one, two in re.findall(r"\$([^$]+)\$|\\\((.+?)\\\)", line)]


def formula(expected: str, variables: str = "x", shape: Callable[[str], bool] | None = None) -> Check:
    """The answer's formula has the values of `expected`; `shape` says whether it is written as was asked."""
    goal = evaluate(expected, variables)

    def check(answer: str) -> float:
        found = _read(answer, variables)
        return float(found is not None and _close(found[1], goal) and (shape is None or shape(clean(found[0]))))

    return check


def antiderivative(derivative: str, expected: str) -> Check:
    """The answer differs from `expected` (an integral of `derivative`) by a constant."""
    goal = evaluate(expected, "x")

    def check(answer: str) -> float:
        found = _read(re.sub(r"\+\s*(?:\\text\{)?[Cc]\b(?:onstant)?\}?", "", answer), "x")
        if found is None:
            return 0.0
        shift = found[1][0] - goal[0]
        return float(_close([one - shift for one in found[1]], goal) and clean(found[0]) != clean(derivative))

    return check


def _read(answer: str, variables: str) -> tuple[str, list[float]] | None:
    for statement in statements(answer):
        text = statement.rpartition("=")[2].strip(" *`")
        try:
            return text, evaluate(text, variables)
        except NotAFormula:
            continue
    return None


def _close(found: list[float], goal: list[float]) -> bool:
    return all(math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-9) for one, two in zip(found, goal, strict=True))


def factored(text: str) -> bool:
    """Whether the text is a product of two brackets or a power of one: no sum outside brackets."""
    depth = 0
    for place, letter in enumerate(text.strip()):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in "+-" and place > 0:
            return False
    return text.count("(") >= 2 or ")^" in text.replace(" ", "") or ")**" in text


def expanded(text: str) -> bool:
    """Whether no bracket is left, apart from those of powers."""
    return "(" not in re.sub(r"\^\s*\(-?\d+\)|\(\d+\)/\(\d+\)|\(\(\d+\)/\(\d+\)\)", "", text)

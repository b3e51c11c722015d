"""Algebra: equations, systems, rewriting of terms, derivatives and integrals; checked by value."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import number, number_set, values
from bench.tasks.formulas import antiderivative, expanded, factored, formula

Item = tuple[str, Check]


def poly(*coefficients: int, variable: str = "x") -> str:
    """A polynomial as people write it, the highest power first, such as 3x^2 - x + 4."""
    parts = []
    for power, factor in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if factor:
            letter = "" if power == 0 else variable if power == 1 else f"{variable}^{power}"
            size = str(abs(factor)) if abs(factor) != 1 or not letter else ""
            parts.append(("- " if factor < 0 else "+ ") + size + letter)
    text = " ".join(parts) or "0"
    return text.removeprefix("+ ") if text.startswith("+") else "-" + text.removeprefix("- ")


def nonzero(random: Random, most: int) -> int:
    return random.choice([-1, 1]) * random.randint(1, most)


def linear(random: Random) -> Item:
    a, x, b = random.randint(2, 12), nonzero(random, 15), nonzero(random, 30)
    return f"Solve {poly(a, b)} = {a * x + b} for x. Be brief.", number(x)


def linear_both_sides(random: Random) -> Item:
    a, c, x = random.randint(6, 14), random.randint(1, 5), nonzero(random, 12)
    b = nonzero(random, 20)
    d = a * x + b - c * x
    return f"Find x if {poly(a, b)} = {poly(c, d)}. Answer only in the form x = <number>, no steps.", number(x)


def linear_fraction(random: Random) -> Item:
    a, b, c = random.randint(2, 9), nonzero(random, 12), nonzero(random, 12)
    left = poly(a, b, variable="t")
    return f"What value of t satisfies {left} = {c}? Give just the exact value.", number(Fraction(c - b, a))


def quadratic(random: Random) -> Item:
    p, q = random.sample([n for n in range(-9, 10) if n], 2)
    return (
        f"Solve the equation {poly(1, -(p + q), p * q)} = 0. Reply with one line only: 'Answer: ' and both "
        "solutions, separated by a comma.",
        number_set({p, q}),
    )


def quadratic_leading(random: Random) -> Item:
    a, p, q = random.randint(2, 4), nonzero(random, 5), nonzero(random, 7)
    # a x - p and x - q
    roots = {Fraction(p, a), Fraction(q)}
    return (
        f"Find all real roots of {poly(a, -(a * q + p), p * q)} = 0. Work in at most three short lines, then write "
        f"'Answer: ' "
        "and the roots separated by commas, fractions as a/b.",
        number_set(roots),
    )


def system(random: Random) -> Item:
    x, y = nonzero(random, 9), nonzero(random, 9)
    return (
        f"Solve the system x + y = {x + y}, x - y = {x - y}. Reply only with 'x = ..., y = ...'.",
        values({"x": x, "y": y}),
    )


def system_general(random: Random) -> Item:
    x, y = nonzero(random, 7), nonzero(random, 7)
    a, b, c = random.randint(2, 5), random.randint(2, 7), random.randint(2, 5)
    d = -b if a * b != -b * c else b
    return (
        f"Solve for x and y: {a}x + {b}y = {a * x + b * y} and {c}x {'-' if d < 0 else '+'} {abs(d)}y = "
        f"{c * x + d * y}. "
        "Be short and finish with 'x = ..., y = ...'.",
        values({"x": x, "y": y}),
    )


def expand(random: Random) -> Item:
    a, b, c, d = random.randint(1, 5), nonzero(random, 9), random.randint(1, 4), nonzero(random, 9)
    text = f"({poly(a, b)})({poly(c, d)})"
    return f"Expand {text} and collect like terms. Give only the result.", formula(text, shape=expanded)


def expand_cube(random: Random) -> Item:
    a, b, n = random.randint(1, 2), nonzero(random, 4), random.choice([3, 3, 4])
    text = f"({poly(a, b)})^{n}"
    return f"Multiply out {text}. Reply with the polynomial alone.", formula(text, shape=expanded)


def collect(random: Random) -> Item:
    a, b, c, d = random.randint(2, 9), random.randint(2, 9), random.randint(2, 9), random.randint(2, 9)
    text = f"{a}(x + {b}) - {c}(x - {d})"
    return f"Simplify {text}. Answer with the simplified expression only.", formula(text, shape=expanded)


def factor(random: Random) -> Item:
    p, q = nonzero(random, 9), nonzero(random, 9)
    text = poly(1, p + q, p * q)
    return f"Factor {text}. Only the factored form, please.", formula(text, shape=factored)


def factor_cubic(random: Random) -> Item:
    a, p = random.randint(1, 3), random.randint(2, 7)
    text = poly(a, 0, -a * p * p, 0)
    return (
        f"Write {text} as a product of factors, as far as possible over the integers. No steps.",
        formula(text, shape=factored),
    )


def derivative(random: Random) -> Item:
    a, b, c = random.randint(1, 7), nonzero(random, 9), nonzero(random, 9)
    goal = poly(3 * a, 2 * b, c)
    return f"Differentiate f(x) = {poly(a, b, c, 7)} with respect to x. Only the derivative, please.", formula(goal)


def derivative_product(random: Random) -> Item:
    n, k = random.randint(2, 4), random.randint(2, 5)
    function, slope = random.choice([(f"sin({k}x)", f"{k}cos({k}x)"), (f"e^({k}x)", f"{k}e^({k}x)"), ("ln(x)", "1/x")])
    return (
        f"What is the derivative of x^{n} * {function}? Give one formula and nothing else.",
        formula(f"{n}x^{n - 1} * {function} + x^{n} * ({slope})"),
    )


def slope(random: Random) -> Item:
    a, b, at = random.randint(1, 5), nonzero(random, 9), nonzero(random, 4)
    return (
        f"What is the slope of the curve y = {poly(a, b, 0, 1)} at x = {at}? Two short lines at most, the last "
        "one 'Answer: <number>'.",
        number(3 * a * at * at + 2 * b * at),
    )


def integral(random: Random) -> Item:
    a, b, c = random.randint(1, 4), nonzero(random, 5), nonzero(random, 9)
    asked = poly(3 * a, 2 * b, c)
    return f"Find an antiderivative of {asked}. Give just the formula.", antiderivative(asked, poly(a, b, c, 0))


def integral_definite(random: Random) -> Item:
    a, b, top = random.randint(1, 4), random.randint(1, 6), random.randint(1, 4)
    area = a * Fraction(top) ** 3 / 3 + b * Fraction(top) ** 2 / 2
    return (
        f"Compute the definite integral of {poly(a, b, 0)} from 0 to {top}. Short working, exact value, "
        "last line 'Answer: <value>'.",
        number(area, 1e-3),
    )


def evaluate(random: Random) -> Item:
    a, b, c, at = random.randint(1, 6), nonzero(random, 9), nonzero(random, 9), nonzero(random, 6)
    return f"If g(x) = {poly(a, b, c)}, what is g({at})? Be brief.", number(a * at * at + b * at + c)


def rearrange(random: Random) -> Item:
    a, b = random.randint(2, 9), random.randint(2, 9)
    left = random.choice([f"y = {a}x + {b}", f"y = {a}x - {b}", f"y = x/{a} + {b}", f"y = (x - {b})/{a}"])
    goal = {
        f"y = {a}x + {b}": f"(y - {b})/{a}",
        f"y = {a}x - {b}": f"(y + {b})/{a}",
        f"y = x/{a} + {b}": f"{a}(y - {b})",
        f"y = (x - {b})/{a}": f"{a}y + {b}",
    }[left]
    return f"Solve {left} for x in terms of y. Answer only in the form x = ...", formula(goal, "y")


def ages(random: Random) -> Item:
    child, factor_, years = random.randint(6, 14), random.choice([3, 4]), random.randint(2, 8)
    parent = child * factor_
    return (
        f"A mother is {factor_} times as old as her son. In {years} years the sum of their ages will be "
        f"{child + parent + 2 * years}. How old is the son now? Set up one equation, solve it in a line or "
        "two, then write 'Answer: <number>'.",
        number(child),
    )


TEMPLATES: dict[str, Template] = {
    "linear": linear, "linear_both_sides": linear_both_sides, "linear_fraction": linear_fraction,
    "quadratic": quadratic,
    "quadratic_leading": quadratic_leading, "system": system, "system_general": system_general, "expand": expand,
    "expand_cube": expand_cube, "collect": collect, "factor": factor, "factor_cubic": factor_cubic,
    "derivative": derivative, "derivative_product": derivative_product, "slope": slope, "integral": integral,
    "integral_definite": integral_definite, "evaluate": evaluate, "rearrange": rearrange, "ages": ages,
}  # fmt: skip

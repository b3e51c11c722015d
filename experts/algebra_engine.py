"""Computes a task of algebra with SymPy. It runs inside the sandbox; formulas come as trees, never as text.

A task: {"task": one of TASKS, "trees": [...], "unknowns": [...]} and, where the task has them, "where" (equations
that hold), "bounds" (two trees), "order" (of a derivative), "decimals" (to round to), "decimal" (no fractions).
Out comes {"claim": what was computed, formally, "answer": for people and checkers} or {"declined": why}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experts import algebra_solve
from experts.algebra_terms import Unfit, build, relation, show, source
from experts.formula import Tree, names


def compute(task: dict[str, Any]) -> dict[str, str]:
    """The claim and the answer of a task."""
    try:
        claim, answer = TASKS[task["task"]](task)
    except Unfit as reason:
        return {"declined": str(reason)}
    return {"claim": claim, "answer": answer}


def _evaluate(task: dict[str, Any]) -> tuple[str, str]:
    tree = task["trees"][0]
    if tree[0] == "mod" and tree[1][0] == "^":
        value = _modular_power(tree)
    elif tree[0] in ("increased_by", "decreased_by") and tree[2][0] == "percent":
        sign = 1 if tree[0] == "increased_by" else -1
        value = build(tree[1]) * (1 + sign * build(tree[2]))
    else:
        value = build(tree)
    simple = _simple(value, task)
    shown = show(simple, task)
    return f"{source(tree)} = {_with_decimal(simple, shown)}", shown


def _simple(value: Any, task: dict[str, Any]) -> Any:
    import sympy

    if not value.is_number:
        return sympy.simplify(value)
    return value if value.is_Rational else sympy.simplify(value)


def _with_decimal(value: Any, shown: str) -> str:
    """The exact value, and what it is about where that is hard to see."""
    import sympy

    exact = str(value)
    if exact == shown and (value.is_Integer or not value.is_number):
        return exact
    return f"{exact} (about {sympy.N(value, 6)})" if exact == shown else f"{exact} = {shown}"


def _modular_power(tree: Tree) -> Any:
    import sympy

    base, exponent, modulus = build(tree[1][1]), build(tree[1][2]), build(tree[2])
    if not (base.is_Integer and exponent.is_Integer and modulus.is_Integer and exponent >= 0 and modulus > 0):
        return build(tree)
    return sympy.Integer(pow(int(base), int(exponent), int(modulus)))


def _transform(name: str) -> Callable[[dict[str, Any]], tuple[str, str]]:
    def transform(task: dict[str, Any]) -> tuple[str, str]:
        import sympy

        tree = task["trees"][0]
        value = build(tree)
        if name == "factor" and value.is_Integer:
            return _prime_factors(value)
        done = getattr(sympy, name)(value)
        return f"{name}({source(tree)}) = {done}", str(done)

    return transform


def _prime_factors(value: Any) -> tuple[str, str]:
    import sympy

    powers = sympy.factorint(value)
    shown = " * ".join(f"{prime}^{power}" if power > 1 else str(prime) for prime, power in sorted(powers.items()))
    return f"factorint({value}) = {shown.replace('^', '**')}", shown


def _differentiate(task: dict[str, Any]) -> tuple[str, str]:
    import sympy

    tree = task["trees"][0]
    value, symbol, order = build(tree), _variable(task), int(task.get("order") or 1)
    done = sympy.simplify(sympy.diff(value, symbol, order))
    done = min(sympy.expand(done), done, key=lambda form: len(str(form)))
    claim = f"diff({source(tree)}, {symbol}{f', {order}' if order > 1 else ''}) = {done}"
    if not task.get("where"):
        return claim, show(done, task)
    point = build(task["where"][0][2])
    shown = show(sympy.simplify(done.subs(symbol, point)), task)
    return f"{claim}, at {symbol} = {point}: {shown}", shown


def _integrate(task: dict[str, Any]) -> tuple[str, str]:
    import sympy

    tree = task["trees"][0]
    value, symbol = build(tree), _variable(task)
    limits = [build(bound) for bound in task.get("bounds") or []]
    done = sympy.integrate(value, (symbol, *limits) if limits else symbol)
    if done.has(sympy.Integral):
        raise Unfit("no closed form of the integral was found")
    done = sympy.simplify(done) if limits else done
    claim = f"integrate({source(tree)}, {symbol}{''.join(f', {limit}' for limit in limits)}) = {done}"
    return (claim, show(done, task)) if limits else (claim + " + C", f"{done} + C")


def _limit(task: dict[str, Any]) -> tuple[str, str]:
    import sympy

    tree, symbol = task["trees"][0], _variable(task)
    point = sympy.oo if task.get("infinite") else build(task["bounds"][0])
    done = sympy.limit(build(tree), symbol, point)
    shown = {sympy.oo: "infinity", -sympy.oo: "-infinity"}.get(done) or show(done, task)
    return f"limit({source(tree)}, {symbol}, {point}) = {done}", shown


def _variable(task: dict[str, Any]) -> Any:
    import sympy

    found = task.get("unknowns") or names(task["trees"][0]) or ["x"]
    return sympy.Symbol(found[0])


def _prime(task: dict[str, Any]) -> tuple[str, str]:
    import sympy

    value = build(task["trees"][0])
    if not value.is_Integer:
        raise Unfit("a whole number is needed")
    prime = bool(sympy.isprime(value))
    holds = prime if task["task"] == "prime" else value > 1 and not prime
    factors = "" if prime or value < 2 else f"; {_prime_factors(value)[0]}"
    return f"isprime({value}) = {prime}{factors}", "yes" if holds else "no"


def _base(task: dict[str, Any]) -> tuple[str, str]:
    value = int(build(task["trees"][0]))
    shown = format(value, {"bin": "b", "oct": "o", "hex": "X"}[task["base"]])
    return f"{task['base']}({value}) = {shown}", shown


def _compare(task: dict[str, Any]) -> tuple[str, str]:
    import sympy

    tree = task["trees"][0]
    truth = sympy.simplify(relation(tree).doit())
    if truth not in (sympy.true, sympy.false):
        raise Unfit("the comparison depends on a variable")
    return f"{source(tree)} is {bool(truth)}", "yes" if truth else "no"


TASKS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "evaluate": _evaluate,
    "simplify": _transform("simplify"),
    "factor": _transform("factor"),
    "expand": _transform("expand"),
    "differentiate": _differentiate,
    "integrate": _integrate,
    "limit": _limit,
    "prime": _prime,
    "composite": _prime,
    "base": _base,
    "compare": _compare,
    "solve": algebra_solve.solve,
}

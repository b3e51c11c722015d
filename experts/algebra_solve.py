"""Solves equations, inequalities and systems with SymPy. It runs inside the sandbox."""

from __future__ import annotations

from typing import Any

from experts.algebra_terms import RELATIONS, Unfit, build, relation, show, source
from experts.formula import names

MAX_ANSWERS = 12


def solve(task: dict[str, Any]) -> tuple[str, str]:
    """The solutions of the task's relations for its unknowns, or what its `target` comes to at them."""
    import sympy

    relations = [relation(tree) for tree in task["trees"]]
    unknowns = _unknowns(task)
    known = dict.fromkeys(name for tree in task["trees"] for name in names(tree))
    if not set(unknowns) <= known.keys():
        raise Unfit("the unknown does not occur")
    written = ", ".join(source(tree) if tree[0] in RELATIONS else f"{source(tree)} = 0" for tree in task["trees"])
    claim = f"solve({written}; {', '.join(unknowns)})"
    symbols = [sympy.Symbol(name) for name in unknowns]
    if any(tree[0] in ("<", ">", "<=", ">=") for tree in task["trees"]):
        answer = _inequality(relations, symbols)
        return f"{claim} = {answer}", answer
    solutions = _solutions(relations, symbols)
    if isinstance(solutions, str):
        return f"{claim} = {solutions}", solutions
    if task.get("target") is None and len(unknowns) > 1:
        answer = "; ".join(dict.fromkeys(_pairs(solution, symbols, task) for solution in solutions))
    else:
        target = build(task["target"]) if task.get("target") else symbols[0]
        answer = _values(target, solutions, task)
        if task.get("target") and task["target"][0] != "name":
            claim = f"{source(task['target'])} where {claim}"
    return f"{claim} = {{{answer}}}", answer


def _unknowns(task: dict[str, Any]) -> list[str]:
    """The named unknowns, or every variable; what the target needs is an unknown too."""
    wanted = list(task.get("unknowns") or [])
    every = list(dict.fromkeys(name for tree in task["trees"] for name in names(tree)))
    if task.get("target") is not None:
        return every
    return wanted or every or _none()


def _none() -> Any:
    raise Unfit("nothing is unknown")


def _solutions(relations: list[Any], symbols: list[Any]) -> list[dict[Any, Any]] | str:
    """The solutions, the real ones if there are any, or the words for none and all."""
    import sympy

    found = _solved(relations, symbols)
    if not found:
        truths = [sympy.simplify(each) for each in relations]
        return "every number" if all(truth is sympy.true for truth in truths) else "no solution"
    real = [one for one in found if all(value.is_real is not False for value in one.values())]
    return (real or found)[: MAX_ANSWERS + 1]


def _solved(relations: list[Any], symbols: list[Any]) -> list[dict[Any, Any]]:
    """Solved for any numbers, or for real ones where only that has a method, as with absolute values."""
    import sympy

    real = {symbol: sympy.Symbol(symbol.name, real=True) for symbol in symbols}
    try:
        return list(sympy.solve(relations, symbols, dict=True))
    except NotImplementedError:
        relations = [each.subs(real) for each in relations]
    try:
        found = sympy.solve(relations, list(real.values()), dict=True)
    except NotImplementedError as error:
        raise Unfit("no method solves this") from error
    return [{symbol: one[real[symbol]] for symbol in symbols if real[symbol] in one} for one in found]


def _values(target: Any, solutions: list[dict[Any, Any]], task: dict[str, Any]) -> str:
    import sympy

    values = list(dict.fromkeys(sympy.simplify(target.subs(solution)) for solution in solutions))
    if len(values) > MAX_ANSWERS:
        raise Unfit("too many solutions")
    if all(value.is_real for value in values):
        values.sort()
    return ", ".join(show(value, task) for value in values)


def _pairs(solution: dict[Any, Any], symbols: list[Any], task: dict[str, Any]) -> str:
    values = [(symbol, solution.get(symbol, symbol)) for symbol in symbols]
    if task.get("nameless"):  # two numbers of a riddle: the larger first
        return ", ".join(show(value, task) for _, value in sorted(values, key=lambda pair: -pair[1]))
    return ", ".join(f"{symbol} = {show(value, task)}" for symbol, value in values)


def _inequality(relations: list[Any], symbols: list[Any]) -> str:
    import sympy

    if len(symbols) != 1:
        raise Unfit("inequalities in several unknowns")
    real = sympy.Symbol(symbols[0].name, real=True)
    try:
        found = sympy.reduce_inequalities([each.subs(symbols[0], real) for each in relations], real)
    except NotImplementedError as error:
        raise Unfit("no method solves this") from error
    if found in (sympy.true, sympy.false):
        return "every number" if found is sympy.true else "no solution"
    return _readable(found, real)


def _readable(found: Any, symbol: Any) -> str:
    """3 < x rather than SymPy's (3 < x) & (x < oo)."""
    import sympy

    if isinstance(found, sympy.Or):
        return " or ".join(sorted((_readable(part, symbol) for part in found.args), key=len))
    if isinstance(found, sympy.And):
        parts = [part for part in found.args if not part.has(sympy.oo)]
        bounds = sorted((_with_left(part, symbol) for part in parts), key=lambda part: str(part.rel_op), reverse=True)
        return " and ".join(_relation(part) for part in bounds)
    return _relation(_with_left(found, symbol))


def _with_left(part: Any, symbol: Any) -> Any:
    return part if part.lhs == symbol else part.reversed


def _relation(part: Any) -> str:
    return f"{part.lhs} {part.rel_op} {part.rhs}".replace("==", "=")

"""Proves, refutes and finds with Z3. It runs inside the sandbox; formulas come as trees, never as text.

A task: {"kind": "entails" | "satisfiable" | "find" | "choose" | "count", "premises": [...]} and "claim", "targets",
"least" or "most" (a tree), "candidates" (pairs of a label and a claim), as its kind needs; "legend" names the letters.
Out comes {"claim": ..., "answer": ...} or {"declined": why}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experts import logic_values
from experts.formula import Tree, names
from experts.logic_terms import Terms, shown, whole_numbers
from experts.logic_values import Unfit

EFFORT = 3_000_000
"""Z3's own count of steps: the same on every machine. Its clock would need a thread, which the sandbox refuses."""
MAX_COUNT = 2_000


def compute(task: dict[str, Any]) -> dict[str, str]:
    """The claim with its verdict, and the answer."""
    task = {**task, "premises": [logic_values.plain(tree) for tree in task["premises"]]}
    if task.get("claim"):
        task["claim"] = logic_values.plain(task["claim"])
    try:
        verdict, answer = KINDS[task["kind"]](task)
    except Unfit as reason:
        return {"declined": str(reason)}
    legend = "".join(f"{name}: {meaning}\n" for name, meaning in task.get("legend", {}).items())
    return {"claim": legend + verdict, "answer": answer}


def _solver(terms: list[Any]) -> Any:
    import z3

    solver = z3.SimpleSolver()  # the other kind starts threads, which the sandbox refuses
    solver.set("rlimit", EFFORT)
    solver.add(*terms)
    return solver


def check(premises: list[Tree], claim: Tree) -> tuple[bool | None, dict[str, Any]]:
    """Whether the premises entail the claim (None: not known), with a counter-example if they do not."""
    trees = [*premises, claim]
    variables = whole_numbers(trees)
    if variables and set(variables) == {name for tree in trees for name in names(tree)}:
        found = logic_values.counter_example(premises, claim, variables)
        if found is not None:
            return False, found
        if logic_values.periodic(["implies", ["and", *premises], claim] if premises else claim, variables):
            return True, {}
    for real in (False, True):
        verdict, example = _decide(premises, claim, real)
        if verdict is not None:
            return verdict, example
    return None, {}


def _decide(premises: list[Tree], claim: Tree, real: bool) -> tuple[bool | None, dict[str, Any]]:
    import z3

    trees = [*premises, claim]
    terms = Terms(trees, real=real)
    try:
        solver = _solver([*(terms.term(premise) for premise in premises), z3.Not(terms.term(claim))])
    except Unfit:
        return None, {}
    verdict = solver.check()
    if verdict == z3.unsat:
        return True, {}
    if verdict == z3.sat and not real:
        return False, _model(solver.model(), terms, trees)
    return None, {}


def _model(model: Any, terms: Terms, trees: list[Tree]) -> dict[str, Any]:
    found, numbers = {}, set(whole_numbers(trees))
    for name in dict.fromkeys(name for tree in trees for name in _free(tree)):
        value = model.eval(terms.variable(name), model_completion=True)
        found[name] = value.as_long() if name in numbers else bool(value)
    return found


def _free(tree: Tree) -> list[str]:
    if tree[0] in ("every", "some", "holds"):
        return []
    return [tree[1]] if tree[0] == "name" else [n for part in tree[1:] if isinstance(part, list) for n in _free(part)]


def _entails(task: dict[str, Any]) -> tuple[str, str]:
    premises, claim = task["premises"], task["claim"]
    verdict, example = check(premises, claim)
    stated = f"{', '.join(map(shown, premises))} |- {shown(claim)}" if premises else f"for all: {shown(claim)}"
    if verdict is None:
        return f"Claim: {stated}\nUnknown: neither proved nor refuted within the limits", "unknown"
    if verdict:
        return f"Claim: {stated}\nProved", "yes"
    return f"Claim: {stated}\nRefuted{_at(example)}", "no"


def _at(example: dict[str, Any]) -> str:
    if not example:
        return ": a model of the premises without the claim exists"
    return f" by a counter-example: {_assigned(example)}"


def _assigned(example: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {str(found).lower()}" for name, found in example.items())


def _satisfiable(task: dict[str, Any]) -> tuple[str, str]:
    premises = task["premises"]
    verdict, example = check(premises, ["constant", "false"])
    stated = f"Claim: satisfiable: {', '.join(map(shown, premises))}"
    if verdict is None:
        return f"{stated}\nUnknown: no example found, and none excluded, within the limits", "unknown"
    return (f"{stated}\nRefuted: no values satisfy this", "no") if verdict else (
        f"{stated}\nProved by an example: {_assigned(example)}", "yes")  # fmt: skip


def _find(task: dict[str, Any]) -> tuple[str, str]:
    import z3

    trees = task["premises"]
    terms = Terms([*trees, *task["targets"]])
    goal = task.get("least") or task.get("most")
    solver = z3.Optimize() if goal else _solver([])
    if goal:
        solver.set("rlimit", EFFORT)
        (solver.minimize if task.get("least") else solver.maximize)(terms.term(goal))
    solver.add(*(terms.term(tree) for tree in trees))
    if solver.check() != z3.sat:
        raise Unfit("nothing satisfies this")
    targets = [terms.term(target) for target in task["targets"]]
    values = [solver.model().eval(target, model_completion=True) for target in targets]
    if goal is None:
        solver.add(z3.Or(*(target != found for target, found in zip(targets, values, strict=True))))
        if solver.check() != z3.unsat:
            raise Unfit("more than one solution")
    answer = ", ".join(str(found).lower() for found in values)
    which = f"{'least' if task.get('least') else 'most'} {shown(goal)}" if goal else "only"
    return (
        f"Find {', '.join(map(shown, task['targets']))} with {', '.join(map(shown, trees))}\nThe {which} solution",
        answer,
    )


def _count(task: dict[str, Any]) -> tuple[str, str]:
    import z3

    trees = task["premises"]
    terms = Terms([*trees, *task["targets"]])
    solver = _solver([terms.term(tree) for tree in trees])
    targets, count = [terms.term(target) for target in task["targets"]], 0
    while solver.check() == z3.sat:
        count += 1
        if count > MAX_COUNT:
            raise Unfit("too many solutions")
        model = solver.model()
        solver.add(z3.Or(*(target != model.eval(target, model_completion=True) for target in targets)))
    if solver.check() != z3.unsat:
        raise Unfit("not all solutions were found within the limits")
    return f"Count the solutions of {', '.join(map(shown, trees))}", str(count)


def _choose(task: dict[str, Any]) -> tuple[str, str]:
    """The one label whose claim follows."""
    proved = [label for label, claim in task["candidates"] if check(task["premises"], claim)[0]]
    if len(proved) != 1:
        raise Unfit("the premises do not single one out")
    claim = next(claim for label, claim in task["candidates"] if label == proved[0])
    return f"Claim: {', '.join(map(shown, task['premises']))} |- {shown(claim)}\nProved", proved[0]


KINDS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "entails": _entails,
    "satisfiable": _satisfiable,
    "find": _find,
    "count": _count,
    "choose": _choose,
}

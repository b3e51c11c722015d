"""Where everything stands on the outcome table: the router's frontier, single experts, the live policy, each domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import compare, frontier, metrics, statistics
from bench.draw import Dot, Line, Scene
from bench.frontier import Baselines, Points
from bench.replay import Replayed
from bench.statistics import Interval
from experts.card import NANO
from routers.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PER = 1000 / NANO
"""Nano-dollars of one request to dollars of a thousand."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of answering the test prompts: its mean score, its dollars per 1,000 requests, and both minus the
    best single expert's, all with intervals."""

    name: str
    kind: str
    """`expert`, `trivial`, `router`, `policy` or `bound`."""
    score: Interval
    cost: Interval
    score_over: Interval
    cost_over: Interval


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the report says of the table; scores, wins and shares are by domain, then by expert."""

    scene: Scene
    ways: tuple[Way, ...]
    router: compare.Compared | None
    scores: Mapping[str, Mapping[str, Interval]]
    shares: Mapping[str, Mapping[str, Interval]]
    wins: Mapping[str, Mapping[str, Interval]]
    n: int


def stand(train: Outcomes, test: Outcomes, router: Points | None, live: Replayed | None) -> Standing:
    """`router` is the sweep of a fitted router, `live` the replay of the configured policy, both on `test`."""
    against = frontier.baselines(train, test)
    compared = compare.compare(router, against) if router is not None else None
    return Standing(
        scene=scene(against, [compared] if compared else [], live),
        ways=tuple(ways(against, router, live)),
        router=compared,
        scores=by_domain(test, test.score),
        shares=shares(test, live) if live is not None else {},
        wins=wins(test),
        n=len(test),
    )


def scene(against: Baselines, routers: Sequence[compare.Compared], live: Replayed | None = None) -> Scene:
    """The picture of cost against quality; the first router has a band, several would hide each other."""
    cost, score = against.singles.curve
    bound = metrics.hull(*frontier.oracle(against.test).curve)
    return Scene(
        routers=[_line(each, i == 0) for i, each in enumerate(routers)],
        experts=[Dot(name, c * PER, s) for name, c, s in zip(against.test.experts, cost, score, strict=True)],
        zero=Line("zero router", cost[list(against.zero)] * PER, score[list(against.zero)]),
        oracle=Line("oracle", bound[0] * PER, bound[1]),
        live=None
        if live is None
        else Dot("the policy in use", float(live.cost.mean()) * PER, float(live.score.mean())),
    )


def _line(each: compare.Compared, banded: bool) -> Line:
    score, low, high = each.band.T
    return Line(each.name, each.budgets * PER, score, *((low, high) if banded else ()))


def ways(against: Baselines, router: Points | None, live: Replayed | None) -> list[Way]:
    """The rows of the table of figures, best single expert first."""
    test, best = against.test, against.best
    order = [best, *(i for i in range(len(test.experts)) if i != best)]
    rows = [_way(against, test.experts[i], "expert", test.score[:, i], test.cost[:, i]) for i in order]
    chance, bound = frontier.random(test), frontier.oracle(test)
    rows.append(_way(against, "random", "trivial", chance.score[:, 0], chance.cost[:, 0]))
    if router is not None:
        rows.append(_way(against, f"{router.name}, cost no matter", "router", router.score[:, -1], router.cost[:, -1]))
    if live is not None:
        rows.append(_way(against, "the policy in use", "policy", live.score, live.cost))
        score, cost = _zero_at(against, float(live.cost.mean()))
        rows.append(_way(against, "zero router at its cost", "trivial", score, cost))
    rows.append(_way(against, "oracle", "bound", bound.score[:, -1], bound.cost[:, -1]))
    return rows


def _way(against: Baselines, name: str, kind: str, score: Array, cost: Array) -> Way:
    groups, best = against.test.groups, against.best
    over = score - against.test.score[:, best], (cost - against.test.cost[:, best]) * PER
    return Way(
        name,
        kind,
        statistics.mean(score, groups),
        statistics.mean(cost * PER, groups),
        statistics.mean(over[0], groups),
        statistics.mean(over[1], groups),
    )


def _zero_at(against: Baselines, budget: float) -> tuple[Array, Array]:
    """Score and cost of each prompt, in expectation, of the zero router's mixture that costs `budget`."""
    import numpy as np

    test, zero = against.test, list(against.zero)
    costs = test.cost[:, zero].mean(axis=0)
    place = float(np.interp(budget, costs, np.arange(len(zero))))
    low, high = zero[int(np.floor(place))], zero[int(np.ceil(place))]
    share = place - np.floor(place)
    mixed = [(1 - share) * values[:, low] + share * values[:, high] for values in (test.score, test.cost)]
    return mixed[0], mixed[1]


def shares(test: Outcomes, live: Replayed) -> dict[str, dict[str, Interval]]:
    """The share of each domain's prompts that each expert answered under the policy in use."""
    import numpy as np

    chosen = np.array([[name == expert for expert in test.experts] for name in live.experts], np.float64)
    return by_domain(test, chosen)


def wins(test: Outcomes) -> dict[str, dict[str, Interval]]:
    """The win rate of each expert in each domain: its share of comparisons with every other expert on the same
    prompt. A tie counts half; if both are all wrong, nobody wins."""
    others = max(1, len(test.experts) - 1)
    better = (test.score[:, :, None] > test.score[:, None, :]).sum(axis=2)
    equal = (test.score[:, :, None] == test.score[:, None, :]).sum(axis=2) - 1
    return by_domain(test, (better + (test.score > 0) * equal / 2) / others)


def by_domain(test: Outcomes, values: Array) -> dict[str, dict[str, Interval]]:
    """The mean of each column by domain, with Wilson's interval for as many trials as there are groups of like
    prompts: prompts of one group are no independent trials."""
    found: dict[str, list[int]] = {"all": list(range(len(test)))}
    for i, domain in enumerate(test.domains):
        found.setdefault(domain, []).append(i)
    table = {}
    for domain, rows in found.items():
        trials, means = len({test.groups[i] for i in rows}), values[rows].mean(axis=0)
        table[domain] = {
            name: statistics.wilson(float(mean) * trials, trials)
            for name, mean in zip(test.experts, means, strict=True)
        }
    return table

"""Two workers beside one, each held to the same share of a core: generator and upstream always have the rest.

Two workers that may use all of two cores share the second with generator and upstream on a machine that has but two,
and then the figure is about the machine. Held ones need no more than their shares, so twice the workers may do twice
the work, and what is missing to that is what the second one costs the first. One worker is measured on both cores in
turn: whoever shares a core with generator and upstream is woken for less.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import mean, median
from typing import Any

import psutil

from bench.speed.arithmetic import MICRO, middle
from bench.speed.measure import Session, flat
from bench.speed.processes import cores, members
from bench.speed.quota import NoQuota, held
from bench.speed.targets import Target, gateway

SHARE = 0.4
"""Of a core, for each worker."""
COUNT = 2
LEVEL = 64
TIMES = 2
"""So many short windows instead of a usual one, in turns: a neighbour's work meets one worker and two."""
WINDOWS = 3
"""In a turn: one worker on each core, and two."""
GIVEN = 0.9
"""A turn counts in which the one worker had so much of its share: less means that others of the machine had it. Two
that use less of theirs, since they wait for each other, count as they are."""
MODULE = "gateway.worker"
Figures = dict[str, Any]


def held_workers(session: Session) -> Figures:
    """Figures of one worker and of two, and how many times the requests two answered; or why there are none."""
    ours, theirs = cores()
    if not ours:
        return {"missing": "there is one core only"}
    with gateway(session.direct, ours) as one, gateway(session.direct, ours | theirs, COUNT) as two:
        workers = workers_of(two)
        on = (*ours, *theirs)[:COUNT]
        for worker, core in zip(workers, on, strict=True):
            pin(worker, core)
        others = [each.pid for each in members(two.pid or 0) if each.pid not in workers]
        try:
            with held([[one.pid or 0], [*others, workers[0]], workers[1:]], SHARE):
                turns = [turn(session, one, two, on[:: -1 if n % 2 else 1]) for n in range(TIMES * session.plan.rounds)]
        except NoQuota as error:
            return {"missing": f"no process can be held to a share of a core here: {error}"}
    return counted(turns)


def workers_of(target: Target) -> list[int]:
    """The processes that serve, without their parent."""
    return [each.pid for each in psutil.Process(target.pid).children() if MODULE in each.cmdline()]


def pin(process: int, core: int) -> None:
    """All its threads run on that core; those that it will start do so, too."""
    for thread in os.listdir(f"/proc/{process}/task"):
        os.sched_setaffinity(int(thread), {core})


def turn(session: Session, one: Target, two: Target, on: Sequence[int]) -> Figures:
    """A short window of one worker on the first of these cores, of two on both, and of one on the second."""

    def window(target: Target) -> Figures:
        return flat(session.run(target, "closed", LEVEL, seconds=session.plan.seconds / TIMES))

    pin(one.pid or 0, on[0])
    before, both = window(one), window(two)
    pin(one.pid or 0, on[1])
    return {"alone": [before, window(one)], "two": both}


def used(figures: Figures, workers: int) -> float:
    """How much of their shares so many workers used."""
    return float((figures["cpu_us"] or 0.0) * figures["requests_per_second"] / MICRO / SHARE / workers)


def counted(turns: list[Figures]) -> Figures:
    """The figures of those turns that count."""
    given = [each for each in turns if min(used(one, 1) for one in each["alone"]) > GIVEN]
    if not given:
        return {"missing": f"one worker never had {SHARE:.0%} of a core: the machine has other work"}
    return summed(given) | {"turns": len(turns), "counted": len(given)}


def summed(turns: list[Figures]) -> Figures:
    """Medians of the turns; `times` is that of their ratios."""
    alone = [[one["requests_per_second"] for one in each["alone"]] for each in turns]
    return {
        "share": SHARE,
        "count": COUNT,
        "level": str(LEVEL),
        "one": middle([one for each in turns for one in each["alone"]]),
        "two": middle([each["two"] for each in turns]),
        "times": median(
            each["two"]["requests_per_second"] / mean(rates) for each, rates in zip(turns, alone, strict=True)
        ),
        "used": [
            median(used(one, 1) for each in turns for one in each["alone"]),
            median(used(each["two"], COUNT) for each in turns),
        ],
    }

"""One of eight experts turns grey, slow or failing now and then: how many requests still meet it, and how they fare.

Requests are counted, not seconds, so that the verdict is the same on a slow machine: of so many requests after the
first bad answer the later half are hardly to meet the expert any more. Where fewer than one in a hundred do, the 99th
percentile is that of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.faults_caller import View
from bench.faults_cases import truncated
from bench.wall_times import WELL_FOR

GREY = frozenset({"R15-slow", "R15-errors"})
RATE = 40.0
"""Requests a second."""
WINDOW = 10
"""Seconds of requests in which the expert has to be found out, and as many in which it is to rest."""
SHARE = 0.01
"""Of the requests afterwards that may meet it: those that try whether it is well again."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What came of the requests: how many the grey expert kept waiting or failed in the second window, seconds of the
    99th percentile before it turned and in that window, and what went wrong."""

    met: int
    asked: int
    before: float
    after: float
    wrong: str = ""

    @property
    def verdict(self) -> tuple[str, str]:
        """As of any fault; a pass tells its figures."""
        figures = (
            f"{self.met} of {self.asked} suffered afterwards; p99 {self.before:.2f} s before, {self.after:.2f} s then"
        )
        if self.wrong:
            return "fail", self.wrong
        return ("fail" if self.met > SHARE * self.asked else "pass"), figures


async def traffic(ask: Callable[[int], Awaitable[View]], calls: Callable[[], Awaitable[int]]) -> list[View]:
    """Requests at a steady rate, one beside the other, until two windows have passed since the expert turned grey."""
    tasks: list[asyncio.Future[View]] = []
    size, turned = int(RATE * WINDOW), 0
    while not turned or len(tasks) < turned + 2 * size:
        tasks.append(asyncio.ensure_future(ask(len(tasks))))
        if not turned and len(tasks) % int(RATE) == 0 and await calls() > WELL_FOR:
            turned = len(tasks)
        await asyncio.sleep(1 / RATE)
    return await asyncio.gather(*tasks)


def fate(views: Sequence[View], bill: Sequence[Mapping[str, Any]], model: str) -> Fate:
    """The fate of the requests, in the order in which they were sent."""
    size = int(RATE * WINDOW)
    calls = [call for call in bill if call["model"] == model]
    bad_calls = [call for call in calls if model == "R15-slow" or not call["cost"]]
    numbers = [int(call["prompt"].rsplit(" ", 1)[1]) for call in bad_calls]
    later = range(len(views) - size, len(views))
    bad = sum(not view.success or truncated(view) for view in views)
    wrong = f"{bad} requests got no whole answer" if bad else ""
    wrong = wrong or ("" if len(calls) > WELL_FOR else "the fault was never met")
    before = [view.seconds for view in views[: -2 * size]]
    after = [view.seconds for view in views[-size:]]
    return Fate(sum(number in later for number in numbers), size, p99(before), p99(after), wrong)


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(seconds)[int(0.99 * len(seconds))] if seconds else 0.0

"""One request in twenty meets silence: some are answered by a second expert instead, few enough, and none under load.

Whether an expert was asked and ended early its own bill tells; milliseconds are shown and not judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.faults_caller import View
from bench.faults_cases import truncated
from bench.faults_grey import p99

CALM, STORM = 400, 120
"""Requests two at a time, then many at once."""
AT_ONCE = 60
MOST = 0.02
"""Of the requests may be hedged."""


async def talks(ask: Callable[[int], Awaitable[View]]) -> list[View]:
    """All requests in order: the calm ones, then the storm."""
    views: dict[int, View] = {}

    async def some(numbers: Sequence[int], at_once: int) -> None:
        left = iter(numbers)

        async def one() -> None:
            for number in left:
                views[number] = await ask(number)

        await asyncio.gather(*(one() for _ in range(at_once)))

    await some(range(CALM), 2)
    await some(range(CALM, CALM + STORM), AT_ONCE)
    return [views[number] for number in range(CALM + STORM)]


def judged(views: Sequence[View], bill: Sequence[Mapping[str, Any]], model: str, gap: int) -> tuple[str, str]:
    """pass or fail, and the figures; `gap` is what was charged and the ledger knows nothing of."""
    second = {_number(call): call for call in bill if call["model"] != model}
    first = {_number(call): call for call in bill if call["model"] == model}
    hedged = [number for number in second if number in first]
    calm = [number for number in hedged if number < CALM]
    late = [1000 * (first[number]["ended"] - second[number]["ended"]) for number in calm]
    failures = {
        "not every answer is whole": not all(view.success for view in views) or any(map(truncated, views)),
        "nothing was hedged": not calm,
        f"{len(calm)} of {CALM} were hedged": len(calm) > MOST * CALM,
        f"{len(hedged) - len(calm)} were hedged under load": len(hedged) > len(calm),
        "a loser went on to its end": any(first[number]["cost"] and second[number]["cost"] for number in calm),
        f"{gap} nano-dollars that the ledger does not know of": gap != 0,
    }
    if why := next((reason for reason, failed in failures.items() if failed), ""):
        return "fail", why
    seconds, longest = p99([views[number].seconds for number in calm]), max(late)
    return "pass", f"{len(calm)} of {CALM} hedged, answered in {seconds:.2f} s, losers ended {longest:.0f} ms later"


def _number(call: Mapping[str, Any]) -> int:
    return int(call["prompt"].rsplit(" ", 1)[1])

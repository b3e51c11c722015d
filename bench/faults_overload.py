"""Five times as many requests as an expert has seats for: it stays busy, and the others are turned away before it.

Nothing hangs on how fast the machine is: how busy the expert was its own bill tells, and what an admitted request
waited for beyond its answer is held against what the machine made of those that were turned away beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.faults_caller import View
from bench.faults_cases import truncated
from bench.faults_grey import p99
from bench.wall_times import SEATS, SERVICE

OVERLOAD = frozenset({"R30-refuses", "R30-queues"})
TIMES = 5.0
"""Requests for each that could be answered."""
SECONDS = 6.0
SETTLING = 1.0
"""Seconds in which it may be found out how many seats there are."""
BUSY = 0.9
"""Of the expert's seats, all the time."""
REFUSED = 0.05
"""Of all requests may be refused by the expert itself: those that look whether there is more room."""


async def storm(ask: Callable[[int], Awaitable[View]]) -> list[View]:
    """Requests at their rate, whatever becomes of those before."""
    rate = TIMES * SEATS / SERVICE
    tasks: list[asyncio.Future[View]] = []
    began = asyncio.get_running_loop().time()
    while (now := asyncio.get_running_loop().time() - began) < SECONDS:
        tasks += [asyncio.ensure_future(ask(number)) for number in range(len(tasks), int(now * rate) + 1)]
        await asyncio.sleep(1 / rate)
    return await asyncio.gather(*tasks)


def busy(bill: Sequence[Mapping[str, Any]]) -> float:
    """The share of the expert's seats that was taken, from when it was known how many there are to the last call."""
    begin, end = SETTLING, max((call["second"] for call in bill), default=0.0)
    if end <= begin:
        return 0.0
    taken = sum(max(0.0, min(call["ended"], end) - max(call["second"], begin)) for call in bill if call["cost"])
    return float(taken / (SEATS * (end - begin)))


def judged(views: Sequence[View], bill: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """pass or fail, and the figures."""
    answered, away = [view for view in views if view.success], [view for view in views if not view.success]
    used, refused = busy(bill), sum(not call["cost"] for call in bill)
    waited, turned = p99([view.seconds for view in answered]) - SERVICE, p99([view.seconds for view in away])
    failures = {
        "a truncated answer shown as whole": any(map(truncated, answered)),
        "another error than 503 server_is_overloaded": any(not turned_away(view) for view in away),
        "all are to come back at the same time": len(away) > 1 and len({view.retry_after for view in away}) == 1,
        "nobody was turned away": not away,
        f"the expert was busy for {used:.0%} of its time": used < BUSY,
        f"the expert refused {refused} of {len(views)} requests itself": refused > REFUSED * len(views),
        f"who was admitted waited {waited:.2f} s, who was turned away {turned:.2f} s": waited > SERVICE + turned,
    }
    if why := next((reason for reason, failed in failures.items() if failed), ""):
        return "fail", why
    return "pass", f"busy {used:.0%}, {len(answered)} answered, {len(away)} turned away, waited {waited:.2f} s (p99)"


def turned_away(view: View) -> bool:
    """Whether a client was told to come back later, in the right words."""
    code = (view.error or {}).get("code")
    return view.status == 503 and code == "server_is_overloaded" and bool(view.retry_after)

"""Five times as many requests as an expert has seats for: it stays busy, and the others are turned away before it.

Nothing hangs on how fast the machine is: how busy the expert was its own bill tells, and what an admitted request
waited for beyond its answer is held against what the machine made of those that were turned away beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.faults_caller import View
from bench.faults_cases import truncated
from bench.faults_grey import p99
from bench.wall_times import LONG_SERVICE, MANY_SEATS, SEATS, SERVICE

OVERLOAD = frozenset({"R30-refuses", "R30-queues"})
TIMES = 5.0
"""Requests for each that could be answered."""
SECONDS = 6.0
SETTLING = 1.0
"""Seconds in which it may be found out how many seats there are."""
BUSY, KEEPING = 0.9, 0.85
"""Of the expert's seats, all the time; where some are kept for those who come first nine tenths of that."""
REFUSED = 0.05
"""Of all requests may be refused by the expert itself: those that look whether there is more room."""
TWICE = 2.0
"""Times the share of the others, at least, of those who come first."""


@dataclass(frozen=True, slots=True)
class House:
    """An expert's seats, and the seconds that one who has one stays."""

    seats: int
    service: float
    busy: float
    """The least share of the seats that is to be taken."""


FEW, MANY = House(SEATS, SERVICE, BUSY), House(MANY_SEATS, LONG_SERVICE, KEEPING)


async def storm(ask: Callable[[int], Awaitable[View]], house: House = FEW) -> list[View]:
    """Requests at their rate, whatever becomes of those before."""
    rate = TIMES * house.seats / house.service
    tasks: list[asyncio.Future[View]] = []
    began = asyncio.get_running_loop().time()
    while (now := asyncio.get_running_loop().time() - began) < SECONDS:
        tasks += [asyncio.ensure_future(ask(number)) for number in range(len(tasks), int(now * rate) + 1)]
        await asyncio.sleep(1 / rate)
    return await asyncio.gather(*tasks)


def busy(bill: Sequence[Mapping[str, Any]], house: House = FEW) -> float:
    """The share of the expert's seats that was taken, from when it was known how many there are to the last call."""
    begin, end = SETTLING, max((call["second"] for call in bill), default=0.0)
    if end <= begin:
        return 0.0
    taken = sum(max(0.0, min(call["ended"], end) - max(call["second"], begin)) for call in bill if call["cost"])
    return float(taken / (house.seats * (end - begin)))


def judged(views: Sequence[View], bill: Sequence[Mapping[str, Any]], house: House = FEW) -> tuple[str, str]:
    """pass or fail, and the figures."""
    answered, away = [view for view in views if view.success], [view for view in views if not view.success]
    used, refused = busy(bill, house), sum(not call["cost"] for call in bill)
    service = house.service
    waited, turned = p99([view.seconds for view in answered]) - service, p99([view.seconds for view in away])
    failures = {
        "a truncated answer shown as whole": any(map(truncated, answered)),
        "another error than 503 server_is_overloaded": any(not turned_away(view) for view in away),
        "all are to come back at the same time": len(away) > 1 and len({view.retry_after for view in away}) == 1,
        "nobody was turned away": not away,
        f"the expert was busy for {used:.0%} of its time": used < house.busy,
        f"the expert refused {refused} of {len(views)} requests itself": refused > REFUSED * len(views),
        f"who was admitted waited {waited:.2f} s, who was turned away {turned:.2f} s": waited > service + turned,
    }
    if why := next((reason for reason, failed in failures.items() if failed), ""):
        return "fail", why
    return "pass", f"busy {used:.0%}, {len(answered)} answered, {len(away)} turned away, waited {waited:.2f} s (p99)"


def tier(number: int) -> str:
    """What a request says of itself: one in ten has paid to come first, four can wait."""
    return "auto" if number % 10 == 0 else "flex" if number % 10 > 5 else "default"


def judged_ranks(views: Sequence[View], bill: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The same, and whether more of each rank were answered than of the one below."""
    verdict, why = judged(views, bill, MANY)
    first, usual, flex = (goodput(views, name) for name in ("auto", "default", "flex"))
    figures = f"answered of those who come first {first:.0%}, of others {usual:.0%}, of those who can wait {flex:.0%}"
    if verdict == "pass" and not (first > TWICE * usual and usual > flex):
        verdict, why = "fail", "ranks do not count"
    return verdict, f"{why}; {figures}"


def goodput(views: Sequence[View], name: str) -> float:
    """The share of a rank's requests that were answered."""
    mine = [view.success for number, view in enumerate(views) if tier(number) == name]
    return sum(mine) / max(1, len(mine))


def turned_away(view: View) -> bool:
    """Whether a client was told to come back later, in the right words."""
    code = (view.error or {}).get("code")
    return view.status == 503 and code == "server_is_overloaded" and bool(view.retry_after)

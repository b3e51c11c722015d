"""How long calls wait until they are admitted, many at a time: the accounts alone, in this process."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from policies.accounts import Accounts
from policies.book import Hold
from policies.limits import Limit
from policies.periods import Period

CALLS, FLIGHT = 4_000, 64
COST = 1_000
PLENTY = Limit("admission", 1.0, ("org:admission",), Period("total"))


async def admission(store: str) -> float:
    """Milliseconds at the median, of calls on a budget with room for all."""
    accounts = Accounts.open(store, [PLENTY])
    await accounts.start()
    waits: list[float] = []
    numbers = iter(range(CALLS))

    async def several() -> None:
        for number in numbers:
            began = time.perf_counter()
            hold = await accounts.reserve(f"admission-{began}-{number}", {"org": "admission"}, COST)
            waits.append(time.perf_counter() - began)
            assert isinstance(hold, Hold)
            await asyncio.sleep(0.001)
            accounts.end(hold, COST // 2)

    async with asyncio.TaskGroup() as group:
        for _ in range(FLIGHT):
            group.create_task(several())
    await accounts.close()
    return round(median(waits) * 1e3, 3)

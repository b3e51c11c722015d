"""Faults of the fault expert that hang on what came before: outages, an expert that turns grey, one with few seats."""

from __future__ import annotations

import asyncio
import zlib

from bench.wall_faults import Fault, ok, refused
from bench.wall_talk import Call

OUTAGE = 6.0
"""Seconds at scale 1; a tenth of the published benchmark's."""
STEADY, WELL_FOR = 0.05, 30
"""Seconds to the first word of an expert that will turn grey, and the calls before it does."""
SILENT, CALM = 2.0, 400
"""Seconds of silence that one prompt in twenty meets, and the number from which on all do."""
SEATS, SERVICE = 8, 0.2
"""Calls that an expert answers at once, and the seconds that each takes."""
MANY_SEATS, LONG_SERVICE = 20, 0.4
"""Of one that has enough of them to keep some free."""


async def flap(call: Call) -> None:
    """Down for a while after the reset, then well."""
    await (refused("503 Service Unavailable") if call.second < OUTAGE * call.scale else ok)(call)


async def steady(call: Call) -> None:
    """As fast as it always is."""
    await call.sleep(STEADY)
    await ok(call)


async def grows_slow(call: Call) -> None:
    """Well for some calls, then twenty times slower."""
    await call.sleep(STEADY if call.number <= WELL_FOR else 20 * STEADY)
    await ok(call)


async def fails_at_times(call: Call) -> None:
    """Well for some calls, then three in ten fail."""
    ill = call.number > WELL_FOR and zlib.crc32(call.prompt.encode()) % 10 < 3
    await (refused("500 Internal Server Error") if ill else steady)(call)


def seated(refuses: bool, seats: int = SEATS, service: float = SERVICE) -> Fault:
    """So many at once; for others there is no room, or they wait for ever."""
    free = asyncio.Semaphore(seats)

    async def fault(call: Call) -> None:
        if refuses and free.locked():
            await refused("503 Service Unavailable", code="queue_full")(call)
            return
        async with free:
            await call.sleep(service)
            await ok(call)

    return fault


async def seldom_silent(call: Call) -> None:
    """One prompt in twenty waits for its answer, and every one of a storm."""
    if call.argument % 20 == 7 or call.argument >= CALM:
        await call.sleep(SILENT)
    await ok(call)


FAULTS: dict[str, Fault] = {
    "S15": flap,
    "R15-slow": grows_slow,
    "R15-errors": fails_at_times,
    "R30-queues": seated(refuses=False),
    "R30-refuses": seated(refuses=True),
    "R30-first": seated(True, MANY_SEATS, LONG_SERVICE),
    "R17": seldom_silent,
    "steady": steady,
}

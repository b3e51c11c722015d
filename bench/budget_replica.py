"""One replica of `lyceum bench budgets`: reserves, asks the expert with the bill, settles, and may be killed."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass, field

import orjson

from policies.accounts import Accounts
from policies.batches import StoreUnavailable
from policies.book import Hold
from policies.limits import Limit
from policies.periods import Period

WAIT = 120.0
"""Seconds that callers wait for admission: thousands arrive at once, and their order is not what is measured."""
LEAVING = 0.3
"""Share of the callers that go away while their call runs."""


@dataclass(slots=True)
class Plan:
    """What a replica is to do. Money in nano-dollars."""

    name: str
    store: str
    port: int
    requests: int
    flight: int
    most: int
    budget: int
    key_budget: int
    seed: int


@dataclass(slots=True)
class Replica:
    """Runs the plan; `tally` counts how calls ended, `waits` are seconds until admission."""

    plan: Plan
    accounts: Accounts
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tally: dict[str, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    asked: dict[str, asyncio.Future[int]] = field(default_factory=dict)

    async def run(self) -> None:
        """All requests, as many at once as the plan allows; a line to the parent for each that ended."""
        turns = asyncio.Semaphore(self.plan.flight)
        listening = asyncio.create_task(self._listen())
        async with asyncio.TaskGroup() as group:
            for number in range(self.plan.requests):
                await turns.acquire()
                group.create_task(self._call(number)).add_done_callback(lambda _: turns.release())
        listening.cancel()
        await self.accounts.close()

    async def _call(self, number: int) -> None:
        chance = random.Random(f"{self.plan.seed} {self.plan.name} {number}")
        name = f"{self.plan.name}-{number}"
        most = chance.randint(self.plan.most // 2, self.plan.most)
        started = time.perf_counter()
        try:
            hold = await self.accounts.reserve(name, {"team": "all", "key": f"k{number % 8}"}, most)
            self.waits.append(time.perf_counter() - started)
            ended = await self._ask(hold, chance) if isinstance(hold, Hold) else "refused"
        except StoreUnavailable:
            ended = "unavailable"
        self.tally[ended] = self.tally.get(ended, 0) + 1
        sys.stdout.write(".")
        sys.stdout.flush()

    async def _ask(self, hold: Hold, chance: random.Random) -> str:
        """Asks the expert; a caller that leaves still has its call settled at what the expert says it cost."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked[hold.id] = answer
        self.writer.write(f"{hold.id} {hold.amount} {hold.slice}\n".encode())
        leaves = chance.random() < LEAVING
        settling = asyncio.create_task(self._settle(hold, answer))
        if leaves:
            await asyncio.wait({settling}, timeout=chance.random() * 0.02)
        left = leaves and not settling.done()
        if not await settling:
            return "twice"
        return "left" if left else "answered"

    async def _settle(self, hold: Hold, answer: asyncio.Future[int]) -> bool:
        return await self.accounts.settle(hold, await answer)

    async def _listen(self) -> None:
        while line := await self.reader.readline():
            name, cost = line.decode().split()
            self.asked.pop(name).set_result(int(cost))


def limits(budget: int, key_budget: int) -> list[Limit]:
    """One budget over all and one for each key; both hard."""
    total = Period("total")
    return [Limit("all", budget / 1e9, ("team:all",), total), Limit("key", key_budget / 1e9, ("key:*",), total)]


async def main(plan: Plan) -> None:
    """Connects to the expert, runs, prints the tally."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plan.port)
    accounts = Accounts.open(plan.store, limits(plan.budget, plan.key_budget), longest_wait=WAIT)
    await accounts.start()
    replica = Replica(plan, accounts, reader, writer)
    await replica.run()
    writer.close()
    report = {"tally": replica.tally, "waits": sorted(replica.waits)[:: max(len(replica.waits) // 1000, 1)]}
    sys.stdout.write("\n" + orjson.dumps(report).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(main(Plan(**orjson.loads(sys.argv[1]))))

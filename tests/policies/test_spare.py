"""What slices hold for calls to come, while the store is slower than calls come: not the budget of everybody else."""

import asyncio
from typing import Any

from policies.accounts import Accounts
from policies.book import Book, Hold, Operation
from policies.limits import Limit
from policies.periods import Period

AMOUNT = 1_000
ALL = 1_000_000_000
LIMITS = [Limit("all", ALL / 1e9, period=Period("total"))]


class Slow:
    """A store whose answers come when the test says so."""

    patience, progress = 60.0, 0

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self.reservations: dict[str, Any] = {}
        self.queued: list[tuple[Operation, asyncio.Future[Any]]] = []

    async def alive(self) -> bool:
        return True

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.queued.append((operation, future))
        return future

    def answer(self) -> None:
        queued, self.queued = self.queued, []
        for operation, future in queued:
            book = Book(self.accounts.get, self.reservations.get)
            result = operation.run(book)
            self.accounts.update(book.changed)
            self.reservations.update(book.reservations)
            future.set_result(result)

    async def close(self) -> None:
        self.answer()


async def test_a_slice_takes_no_more_than_its_calls_need_however_slow_the_store_is_row_42():
    store, now = Slow(), 1_000.0
    accounts = Accounts(store, LIMITS, clock=lambda: now, longest_wait=1e9)  # type: ignore[arg-type] # no expired()
    calls = []
    for _ in range(60):
        now += 0.005
        calls += [accounts.request(f"{now} {number}", {}, AMOUNT) for number in range(5)]
        store.answer()  # others come while it works
        calls.append(accounts.request(f"{now} late", {}, AMOUNT))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    store.answer()
    await asyncio.sleep(0)

    held = sum(account.held for account in store.accounts.values())
    holds: list[Any] = [call.result() if isinstance(call, asyncio.Future) else call for call in calls]
    assert all(isinstance(hold, Hold) for hold in holds)
    assert sum(hold.amount for hold in holds) <= held <= 4 * AMOUNT * len(calls) < ALL / 100
    await accounts._patience.close()


async def test_while_calls_keep_coming_none_of_them_waits():
    store, now = Slow(), 1_000.0
    accounts = Accounts(store, LIMITS, clock=lambda: now, longest_wait=1e9)  # type: ignore[arg-type] # no expired()
    under_way: list[Any] = []
    waited = []
    for step in range(400):
        now += 0.05
        call = accounts.request(f"call {step}", {}, AMOUNT)
        waited.append(isinstance(call, asyncio.Future))
        under_way.append(call)
        if len(under_way) > 8:
            first = under_way.pop(0)
            accounts.end(first.result() if isinstance(first, asyncio.Future) else first, AMOUNT // 2)
        if step % 10 == 0:
            accounts._draws.flush()
            accounts._leases.tend()
        for _ in range(2):
            store.answer()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    assert sum(waited[:40]) < 10
    assert sum(waited[40:]) == 0
    held = sum(account.held for account in store.accounts.values())
    assert held < 50 * AMOUNT
    await accounts._patience.close()

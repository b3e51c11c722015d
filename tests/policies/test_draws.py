"""Bookings that end within a moment go to the store together."""

import asyncio
from typing import Any, cast

import pytest

from policies.batches import StoreUnavailable
from policies.book import Book, Operation
from policies.draws import Draws


class Store:
    """Takes operations and answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Operation, asyncio.Future[Any]]] = []
        self.booked: list[str] = []
        self.late: list[str] = []
        self.draws = Draws(self.submit, lambda operation, _: self.booked.append(operation.id), self.missed)

    def missed(self, operation: Operation) -> None:
        self.late.append(operation.id)

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        self.asked.append((operation, asyncio.get_running_loop().create_future()))
        return self.asked[-1][1]

    def add(self, name: str) -> asyncio.Future[Any]:
        return self.draws.add(Operation(name, lambda book: name, also=("slice",)))


async def test_what_gathers_is_one_operation_and_each_is_told_its_own_result():
    store = Store()
    one, two = store.add("one"), store.add("two")
    store.draws.soon()
    await asyncio.sleep(0.05)
    ((operation, future),) = store.asked
    assert set(operation.also) == {"one", "two", "slice"}
    future.set_result((operation.run(cast(Book, None)), {}))
    assert [(await one)[0], (await two)[0]] == ["one", "two"]
    assert store.booked == ["one", "two"]


@pytest.mark.parametrize(("error", "late"), [(StoreUnavailable("full"), ["one"]), (ValueError("odd"), [])])
async def test_a_store_that_fails_is_told_to_who_waits(error, late):
    store = Store()
    one = store.add("one")
    store.draws.flush()
    store.asked[0][1].set_exception(error)
    with pytest.raises(type(error)):
        await one
    assert (store.late, store.booked) == (late, [])


async def test_who_has_left_is_booked_all_the_same():
    store = Store()
    store.add("one").cancel()
    store.draws.flush()
    store.asked[0][1].set_result(([None], {}))
    await asyncio.sleep(0)
    assert store.booked == ["one"]


async def test_nothing_is_asked_where_nothing_has_gathered():
    store = Store()
    store.draws.flush()
    assert store.asked == []

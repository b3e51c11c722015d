"""Calls of slices that end within a moment go to the store together, one sum after the other."""

import asyncio
from typing import Any

import pytest

from policies.batches import StoreUnavailable
from policies.book import Book, Moves, Operation
from policies.draws import BACK_SECONDS, DRAW_SECONDS, SOON_SECONDS, Draws
from policies.lease import Part, Slice
from policies.payers import Payer, Seen
from policies.slices import Draw


class Store:
    """Takes operations and answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Operation, asyncio.Future[Any]]] = []
        self.watched: list[Moves] = []
        self.late: list[Any] = []
        self.draws = Draws(self.submit, self.watched.append, lambda name, again: self.late.append(again))
        self.book = Book(lambda key: None, lambda name: None)

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        self.asked.append((operation, asyncio.get_running_loop().create_future()))
        return self.asked[-1][1]

    async def answer(self, error: Exception | None = None) -> Operation:
        """The next answer, and what is done about it."""
        operation, future = self.asked.pop(0)
        if error is None:
            future.set_result((operation.run(self.book), self.book))
        else:
            future.set_exception(error)
        await asyncio.sleep(0)
        return operation


@pytest.fixture
async def store():
    return Store()


def held(store: Store, name: str) -> Slice:
    return Slice(name, Payer((), ()), (), (Seen("day", 0),), store.draws.gather)


def ended(one: Slice, cost: int) -> None:
    """A call of a slice has ended."""
    one.running += 1
    Part("call", 10, one.id, one).end(cost)


async def test_what_gathers_is_one_operation_and_one_sum_for_each_slice(store):
    one, two = held(store, "one"), held(store, "two")
    for cost in (3, 4):
        ended(one, cost)
    ended(two, 5)
    waiting = [store.draws.durable(each) for each in (one, one, two)]
    await asyncio.sleep(0.05)
    [(operation, _)] = store.asked
    assert set(operation.also) == {"one", "two"}
    assert [one.booking, two.booking] == [Draw("one", 1, 7, 20), Draw("two", 1, 5, 10)]
    waiting[0].cancel()
    await store.answer()
    assert await asyncio.gather(*waiting[1:]) == [None, None]
    assert (one.booking, one.accounts[0].own) == (None, 0)
    assert store.watched == [(), ()]


async def test_what_goes_back_to_the_budgets_gathers_for_less_long(store, monkeypatch):
    after: list[float] = []
    known = store.draws._flush_after

    def noted(seconds: float) -> None:
        after.append(seconds)
        known(seconds)

    monkeypatch.setattr(store.draws, "_flush_after", noted)
    for name, spare in (("one", 99), ("two", 99), ("three", 0), ("four", 99)):
        one = held(store, name)
        one.spare = spare
        ended(one, 1)
    assert after == [DRAW_SECONDS, BACK_SECONDS]
    store.draws.flush()


async def test_a_slice_is_told_of_one_sum_after_the_other(store):
    one, two = held(store, "one"), held(store, "two")
    ended(one, 1)
    store.draws.flush()
    ended(one, 2)
    ended(two, 4)
    store.draws.flush()
    assert [operation.also for operation, _ in store.asked] == [("one",), ("two",)]
    await store.answer()
    await asyncio.sleep(0.05)
    await store.answer()
    assert (await store.answer()).also == ("one",)
    assert one.draws == 2
    store.draws.flush()
    assert store.asked == []


async def test_what_the_store_may_have_taken_is_told_again_under_the_same_number(store):
    one = held(store, "one")
    ended(one, 1)
    waiting = store.draws.durable(one)
    store.draws.flush()
    ended(one, 2)
    later = store.draws.durable(one)
    await store.answer(StoreUnavailable("full"))
    for each in (waiting, later, store.draws.durable(one)):
        with pytest.raises(StoreUnavailable):
            await each
    assert (one.stuck, one.booking, one.accounts[0].own) == (True, Draw("one", 1, 1, 10), 3)
    store.draws.flush()
    assert store.asked == []
    [again] = store.late
    again()
    await store.answer()
    assert (one.stuck, one.booking, one.accounts[0].own) == (False, None, 2)
    await asyncio.sleep(0.05)
    await store.answer()
    assert (one.draws, one.accounts[0].own) == (2, 0)


async def test_an_error_that_is_not_the_store_s_is_told_to_who_waits(store):
    one = held(store, "one")
    ended(one, 1)
    waiting = store.draws.durable(one)
    store.draws.flush()
    await store.answer(ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        await waiting
    assert (store.late, one.booking) == ([], None)


async def test_a_store_that_is_cancelled_has_taken_nothing(store):
    one = held(store, "one")
    ended(one, 1)
    store.draws.flush()
    store.asked[0][1].cancel()
    await asyncio.sleep(0)
    assert len(store.late) == 1


async def test_closing_tells_all_that_has_gathered(store):
    one = held(store, "one")
    ended(one, 1)
    store.draws.flush()
    ended(one, 2)
    closing = asyncio.create_task(store.draws.close())
    for _ in range(2):
        while not store.asked:
            await asyncio.sleep(0)
        await store.answer()
    await closing
    assert one.draws == 2


async def test_nothing_is_asked_where_nothing_has_gathered(store):
    store.draws.flush()
    await store.draws.close()
    assert store.asked == []


async def test_a_sum_that_cannot_be_booked_takes_no_other_with_it(store, caplog):
    """A fault in the rows of one account, not of the store."""
    slices = [held(store, name) for name in ("one", "two")]
    for one in slices:
        ended(one, 3)
    waiting = store.draws.durable(slices[1])
    store.draws.flush()
    await store.answer(ValueError("no"))
    assert isinstance(waiting.exception(), ValueError)
    assert [operation.also for operation, _ in store.asked] == [("one",), ("two",)]
    assert all(one.busy for one in slices)
    assert not caplog.messages
    await store.answer(ValueError("no"))
    await store.answer()
    assert not any(one.busy for one in slices if not one.running)
    assert caplog.messages == ["calls of the slice one cannot be booked (ValueError)"]


async def test_after_an_answer_only_what_somebody_waits_for_or_gives_back_goes_at_once(store, monkeypatch):
    """Under load that would be a transaction for each answer of the store."""
    after: list[float] = []
    monkeypatch.setattr(store.draws, "_flush_after", after.append)
    one = held(store, "one")
    for spare, cost, waits in ((99, 1, False), (0, 1, False), (99, 1, True)):
        ended(one, cost)
        store.draws.flush()
        one.spare = spare
        ended(one, cost)
        if waits:
            store.draws.durable(one).cancel()
        after.clear()
        await store.answer()
        assert after == [DRAW_SECONDS if spare and not waits else SOON_SECONDS]
        store.draws.flush()
        await store.answer()


async def test_a_sum_that_is_stuck_keeps_no_other_from_being_told(store):
    one, two = held(store, "one"), held(store, "two")
    ended(one, 1)
    store.draws.flush()
    ended(one, 1)
    store.draws.flush()
    await store.answer(StoreUnavailable("full"))
    ended(two, 1)
    await asyncio.sleep(DRAW_SECONDS + 0.05)
    assert [operation.also for operation, _ in store.asked] == [("two",)]

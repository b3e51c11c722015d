"""Stores that are busy, stuck or away: how long callers wait, and what becomes of what they asked for."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from experts.card import nano
from policies.batches import StoreUnavailable
from policies.book import Hold, Operation
from policies.patience import Patience
from policies.store_sqlite import SQLiteStore
from tests.policies import test_accounts
from tests.policies.test_accounts import DAY, ME

clock, open_accounts = test_accounts.clock, test_accounts.open_accounts


def locked(path: Path) -> sqlite3.Connection:
    """Another program that keeps the file to itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


async def test_a_store_that_makes_no_progress_admits_nothing_and_gives_back_what_came_too_late_row_48(
    open_accounts, tmp_path, monkeypatch
):
    monkeypatch.setattr(SQLiteStore, "patience", 0.05)
    accounts = open_accounts(DAY)
    await accounts.reserve("a", ME, nano(0.1))
    other = locked(tmp_path / "accounts.sqlite")
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await accounts.reserve("b", ME, nano(0.5))
    other.close()
    await accounts.refresh()
    while accounts.balances(ME)["day"][1] != nano(0.1) or accounts.store.progress < 2:
        await asyncio.sleep(0.01)
        await accounts.refresh()
    monkeypatch.setattr(SQLiteStore, "patience", 2.0)
    assert isinstance(await accounts.reserve("c", ME, nano(0.9)), Hold)


async def test_what_could_not_be_settled_is_settled_when_the_store_is_back_row_48(open_accounts, tmp_path, monkeypatch):
    monkeypatch.setattr("policies.writer.RETRY_SECONDS", 0)
    monkeypatch.setattr("policies.writer.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("policies.schema.BUSY_SECONDS", 0.05)
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.6))
    other = locked(tmp_path / "accounts.sqlite")
    with pytest.raises(StoreUnavailable):
        await accounts.settle(hold, nano(0.2))
    with pytest.raises(StoreUnavailable):
        await accounts.reserve("b", ME, nano(0.1))
    other.close()
    await accounts.sweep()
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.2))}


async def test_a_busy_store_is_waited_for_as_long_as_it_makes_progress(open_accounts, monkeypatch):
    monkeypatch.setattr(SQLiteStore, "patience", 0.5)
    monkeypatch.setattr("policies.batches.LARGEST_BATCH", 1)
    accounts = open_accounts(DAY)
    for number in range(6):
        accounts.store.submit(Operation(f"slow {number}", lambda book: time.sleep(0.1)))
    assert isinstance(await accounts.reserve("a", ME, nano(0.1)), Hold)
    assert [row.state for row in await accounts.store.reservations()] == ["open"]


async def test_nothing_is_waited_for_longer_than_the_longest_wait(open_accounts, monkeypatch):
    accounts = open_accounts(DAY, longest_wait=0.0)
    accounts.store.submit(Operation("slow", lambda book: time.sleep(0.2)))
    monkeypatch.setattr(SQLiteStore, "patience", 0.05)
    with pytest.raises(StoreUnavailable, match="in time"):
        await accounts.reserve("a", ME, nano(0.1))


async def test_a_store_that_cannot_be_read_is_unavailable(tmp_path):
    store = SQLiteStore(tmp_path / "accounts.sqlite")
    store.path = tmp_path / "gone"
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.balances()
    await store.close()


class Stuck:
    """A store that makes no progress, and whose answer is on its way in the event loop when it is given up."""

    patience, progress = 0.0, 0

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[str] = self.loop.create_future()

    async def alive(self) -> bool:
        self.loop.call_soon(self.loop.call_soon, self.asked.set_result, "answered")
        return False


async def test_an_answer_that_a_busy_event_loop_has_not_come_to_yet_counts_row_48():
    store = Stuck()
    patience = Patience(store, longest=0.0)
    patience.watch(store.asked)
    assert await store.asked == "answered"
    await patience.close()

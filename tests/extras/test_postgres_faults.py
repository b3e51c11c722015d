"""Accounts in a real PostgreSQL server that hangs: nobody waits for longer than the accounts' longest wait (row 48)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import asyncpg
import pytest

import policies.store_postgres
from bench.postgres_server import PostgresServer
from experts.card import nano
from policies.batches import StoreUnavailable
from policies.book import Hold, Operation
from policies.store_postgres import PostgresStore
from tests.extras import test_postgres
from tests.extras.test_postgres import EMPTY, execute
from tests.policies.test_accounts import DAY, ME

server, clock, open_accounts = test_postgres.server, test_postgres.clock, test_postgres.open_accounts

WAIT = 0.5
"""The accounts' longest wait, in seconds."""
LONG = 10 * WAIT


class Line:
    """The network between a store and its server: it may die without a word to either side."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rsplit(":", 1)[1].partition("/")[0])
        self.cut = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self, url: str) -> str:
        """Where the server seems to be now."""
        self.listening = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        return url.replace(str(self.port), str(self.listening.sockets[0].getsockname()[1]))

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers += [writer, back]
        for come, go in ((reader, back), (there, writer)):
            self.tasks.add(asyncio.create_task(self.one_way(come, go)))

    async def one_way(self, come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
        dead = False
        with suppress(ConnectionError):
            while data := await come.read(65536):
                dead = dead or self.cut  # what was cut once stays dead
                if not dead:
                    go.write(data)

    async def close(self) -> None:
        self.listening.close()
        for task in self.tasks:
            task.cancel()
        for writer in self.writers:
            writer.transport.abort()


@pytest.fixture
async def line(server: PostgresServer):
    made = Line(server.url)
    yield made
    await made.close()


async def until_granted(accounts, name):
    async with asyncio.timeout(LONG):
        while True:
            with suppress(StoreUnavailable):
                return await accounts.reserve(name, ME, nano(0.1))
            await asyncio.sleep(0.05)


async def test_a_server_behind_a_line_that_died_is_found_again(server, line, open_accounts, monkeypatch):
    """As after a failover: the address answers again, the connections of before never will."""
    accounts = open_accounts(DAY, store=await line.open(server.url), longest_wait=WAIT)
    await accounts.start()
    assert isinstance(await accounts.reserve("a", ME, nano(0.1)), Hold)
    monkeypatch.setattr(PostgresStore, "patience", 0.1)
    line.cut = True
    async with asyncio.timeout(LONG):
        with pytest.raises(StoreUnavailable):
            await accounts.reserve("b", ME, nano(0.1))
        with pytest.raises(StoreUnavailable):
            await accounts.store.balances()
    line.cut = False
    assert isinstance(await until_granted(accounts, "c"), Hold)
    await accounts.refresh()
    assert accounts.balances(ME)["day"][1] <= nano(0.4)


async def test_accounts_of_a_frozen_server_end_in_time(server, open_accounts, monkeypatch):
    accounts = open_accounts(DAY, longest_wait=WAIT)
    await accounts.start()
    monkeypatch.setattr(PostgresStore, "patience", 0.1)
    monkeypatch.setattr(policies.store_postgres, "CONNECT_SECONDS", WAIT)
    server.freeze(True)
    try:
        async with asyncio.timeout(LONG):
            with pytest.raises(StoreUnavailable, match="did not answer"):
                await accounts.reserve("a", ME, nano(0.1))
            await accounts.close()
    finally:
        server.freeze(False)


async def test_a_server_that_never_answers_is_not_alive_however_many_ask(server, line):
    url = await line.open(server.url)
    line.cut = True
    store = PostgresStore(url)
    assert not any(await asyncio.gather(store.alive(), store.alive()))
    line.cut = False
    assert await store.alive()
    await store.close()


async def test_a_server_that_answers_is_alive_however_busy_we_are_ourselves(server, monkeypatch):
    monkeypatch.setattr(PostgresStore, "patience", 0.02)
    store, loop, over = PostgresStore(server.url), asyncio.get_running_loop(), asyncio.Event()

    def busy() -> None:
        time.sleep(0.1)
        if not over.is_set():
            loop.call_soon(busy)

    loop.call_soon(busy)
    assert await store.alive()
    over.set()
    await store.close()


async def test_who_is_undone_again_and_again_is_refused(server, open_accounts, monkeypatch):
    accounts = open_accounts(DAY)
    await accounts.start()
    await accounts.reserve("a", ME, 1)
    await accounts.close()
    monkeypatch.setattr(policies.store_postgres, "TRIES", 2)
    monkeypatch.setattr(policies.store_postgres, "SETTINGS", policies.store_postgres.SETTINGS | {"lock_timeout": "50"})
    other = await asyncpg.connect(server.url)
    await other.execute("BEGIN")
    await other.fetch("SELECT * FROM accounts FOR UPDATE")
    with pytest.raises(StoreUnavailable, match="LockNotAvailable"):
        await open_accounts(DAY).reserve("b", {"key": "another"}, 1)
    await other.close()


async def test_a_connection_that_is_confused_is_given_up(server):
    """asyncpg says so where a lock's timeout and the end of a connection come together."""

    def confused(book):
        raise asyncpg.InternalClientError("cannot switch to state 15")

    await execute(server.url, EMPTY)
    store = PostgresStore(server.url)
    with pytest.raises(StoreUnavailable, match="InternalClientError"):
        await store.submit(Operation("a", confused))
    assert await store.submit(Operation("b", lambda book: "done")) == "done"
    await store.close()


async def test_a_store_whose_server_has_gone_can_be_closed(server):
    store = PostgresStore(server.url)
    server.stop()
    try:
        with pytest.raises(StoreUnavailable):
            await store.submit(Operation("a", lambda book: None))
        await store.close()
    finally:
        server.start()


async def test_a_schema_that_was_begun_is_completed(server):
    await execute(server.url, EMPTY)
    await execute(server.url, "CREATE TABLE lyceum_migrations (name text PRIMARY KEY, applied timestamptz)")
    store = PostgresStore(server.url)
    assert await store.balances() == []
    await store.close()

"""Accounts in one SQLite file, for the gateways of one machine; the embedded default."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from policies.batches import StoreUnavailable
from policies.book import Account, Book, Operation, Reservation
from policies.schema import insert, reader
from policies.writer import Writer


class SQLiteStore:
    """Operations of one process share transactions; several processes take turns."""

    patience = 4.0
    """Seconds without progress after which callers are refused: an fsync of a busy disk may take one or two."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises SetupError."""
        self.path = path
        self._writer = Writer(path, MIGRATIONS, _run)

    @property
    def progress(self) -> int:
        """How many transactions have ended."""
        return self._writer.commits

    async def alive(self) -> bool:
        """A file without progress for so long is as good as gone."""
        return False

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation; its result once it is durable, or StoreUnavailable."""
        return self._writer.submit(operation)

    async def expired(self, now: float) -> list[str]:
        """Names of open reservations whose time is over."""
        query = "SELECT id FROM reservations WHERE state = 'open' AND until < ? ORDER BY until LIMIT 10000"
        return [row[0] for row in await asyncio.to_thread(self._read, query, now)]

    async def balances(self, starts: Collection[int] | None = None) -> list[Account]:
        """The accounts of budgets whose period began at one of these; of all periods, and rates, for an audit."""
        query = f"SELECT {ACCOUNT} FROM accounts"  # noqa: S608 - our own names
        if starts is None:
            return [Account(*row) for row in await asyncio.to_thread(self._read, query)]
        query += " WHERE start IN (SELECT value FROM json_each(?)) AND bucket NOT LIKE '~%'"
        return [Account(*row) for row in await asyncio.to_thread(self._read, query, str(list(starts)))]

    async def reservations(self) -> list[Reservation]:
        """All reservations, for an audit."""
        rows = await asyncio.to_thread(self._read, f"SELECT {RESERVATION} FROM reservations")  # noqa: S608 - our own names
        return [Reservation(*(*row[:-1], _pairs(row[-1]))) for row in rows]

    async def close(self) -> None:
        """Ends after all that is queued is durable."""
        await self._writer.close()

    def _read(self, query: str, *values: Any) -> list[Any]:
        try:
            with closing(reader(self.path)) as connection:
                return [tuple(row) for row in connection.execute(query, values)]
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.path.name} cannot be read ({error.sqlite_errorname})") from error


ACCOUNT = "bucket, start, spent, held, running, requests_at, tokens_at"
RESERVATION = "reservations.id, state, amount, tokens, cost, time, until, price, booked"
RESERVATIONS = f"""
    SELECT json_group_array(json_array({RESERVATION}))
    FROM json_each(?) AS name JOIN reservations ON reservations.id = name.value"""  # noqa: S608 - our own names
ACCOUNTS = f"""
    SELECT json_group_array(json_array({ACCOUNT})) FROM json_each(?) AS pair JOIN accounts
    ON bucket = json_extract(pair.value, '$[0]') AND start = json_extract(pair.value, '$[1]')"""  # noqa: S608 - our own names


def _run(connection: sqlite3.Connection, operations: Sequence[Operation]) -> Sequence[Any]:
    """All operations on one book: two reads and two writes, however many they are."""
    found = _load(
        connection, RESERVATIONS, list({name for operation in operations for name in (operation.id, *operation.also)})
    )
    reservations = {row[0]: Reservation(*(*row[:-1], _pairs(row[-1]))) for row in found}
    keys = {key for operation in operations for key in operation.accounts}
    keys |= {(bucket, start) for one in reservations.values() for bucket, start, _ in one.booked}
    accounts = {(row[0], row[1]): Account(*row) for row in _load(connection, ACCOUNTS, list(keys))}
    book = Book(accounts.get, reservations.get)
    results = [operation.run(book) for operation in operations]
    insert(connection, "INSERT OR REPLACE INTO accounts", [_account(each) for each in book.changed.values()])
    changed = [_reservation(each) for each in book.reservations.values()]
    insert(connection, "INSERT OR REPLACE INTO reservations", changed)
    return results


def _load(connection: sqlite3.Connection, query: str, names: list[Any]) -> list[Any]:
    rows: list[Any] = orjson.loads(connection.execute(query, (_json(names),)).fetchone()[0])
    return rows


def _pairs(booked: str) -> tuple[tuple[str, int, int], ...]:
    return tuple((bucket, start, interval) for bucket, start, interval in orjson.loads(booked))


def _account(one: Account) -> tuple[Any, ...]:
    return one.bucket, one.start, one.spent, one.held, one.running, one.requests_at, one.tokens_at


def _reservation(one: Reservation) -> tuple[Any, ...]:
    values = (one.id, one.state, one.amount, one.tokens, one.cost, one.time, one.until, one.price)
    return *values, _json(one.booked)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def accounts_and_reservations(connection: sqlite3.Connection) -> None:
    """The first tables."""
    connection.execute("""
        CREATE TABLE accounts (
            bucket TEXT NOT NULL, start INTEGER NOT NULL,
            spent INTEGER NOT NULL CHECK (spent >= 0), held INTEGER NOT NULL CHECK (held >= 0),
            running INTEGER NOT NULL CHECK (running >= 0),
            requests_at INTEGER NOT NULL, tokens_at INTEGER NOT NULL,
            PRIMARY KEY (bucket, start)
        ) STRICT, WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE reservations (
            id TEXT PRIMARY KEY,
            state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'abandoned', 'swept')),
            amount INTEGER NOT NULL, tokens INTEGER NOT NULL, cost INTEGER,
            time REAL NOT NULL, until REAL NOT NULL, price TEXT NOT NULL, booked TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""")
    connection.execute("CREATE INDEX reservations_open ON reservations (until) WHERE state = 'open'")


MIGRATIONS = (accounts_and_reservations,)

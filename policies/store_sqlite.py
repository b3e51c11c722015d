"""Accounts in one SQLite file, for the gateways of one machine; the embedded default."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from policies.book import Account, Book, Key, Operation, Reservation
from policies.schema import reader
from policies.writer import StoreUnavailable, Writer


class SQLiteStore:
    """Operations of one process share transactions; several processes take turns."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises SetupError."""
        self.path = path
        self._writer = Writer(path, MIGRATIONS)

    @property
    def commits(self) -> int:
        """How many transactions have ended."""
        return self._writer.commits

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation; its result once it is durable, or StoreUnavailable."""
        return self._writer.submit(lambda connection: _run(connection, operation))

    async def expired(self, now: float) -> list[str]:
        """Names of open reservations whose time is over."""
        query = "SELECT id FROM reservations WHERE state = 'open' AND until < ? ORDER BY until LIMIT 10000"
        return [row[0] for row in await asyncio.to_thread(self._read, query, now)]

    async def balances(self, since: int) -> list[Account]:
        """The accounts of periods that began at `since` or later, and those that never end."""
        query = f"SELECT {ACCOUNT} FROM accounts WHERE start >= ? OR start = 0"  # noqa: S608 - our own names
        return [Account(*row) for row in await asyncio.to_thread(self._read, query, since)]

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
RESERVATION = "id, state, amount, tokens, cost, time, until, price, booked"


def _run(connection: sqlite3.Connection, operation: Operation) -> Any:
    def account(key: Key) -> Account | None:
        query = f"SELECT {ACCOUNT} FROM accounts WHERE bucket = ? AND start = ?"  # noqa: S608 - our own names
        row = connection.execute(query, key).fetchone()
        return Account(*row) if row else None

    def reservation(name: str) -> Reservation | None:
        query = f"SELECT {RESERVATION} FROM reservations WHERE id = ?"  # noqa: S608 - our own names
        row = connection.execute(query, (name,)).fetchone()
        if row is None:
            return None
        return Reservation(*(*row[:-1], tuple((*each,) for each in orjson.loads(row[-1]))))

    book = Book(account, reservation)
    result = operation.run(book)
    _save(connection, book)
    return result


def _save(connection: sqlite3.Connection, book: Book) -> None:
    for each in book.changed.values():
        connection.execute(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (each.bucket, each.start, each.spent, each.held, each.running, each.requests_at, each.tokens_at),
        )
    for one in book.reservations.values():
        connection.execute(
            "INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (one.id, one.state, one.amount, one.tokens, one.cost, one.time, one.until, one.price, _json(one.booked)),
        )


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

"""Accounts in PostgreSQL, for replicas on many machines; needs the extra `postgres`.

A popular account is one row that every replica must lock. So each replica sends what is queued as one transaction:
the row is locked once for many calls, and only while two statements run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from experts.base import SetupError
from policies.batches import Batches, StoreUnavailable
from policies.book import Account, Book, Key, Operation, Reservation
from policies.postgres_tables import (
    ACCOUNT,
    LOCK_ACCOUNTS,
    LOCK_RESERVATIONS,
    MIGRATIONS,
    NEW_ACCOUNTS,
    RESERVATION,
    SAVE_ACCOUNTS,
    SAVE_RESERVATIONS,
)
from policies.writer import ITEM_ERRORS

if TYPE_CHECKING:
    import asyncpg

TRIES = 5
"""A deadlock or a serialization failure undid the transaction: it is run again."""
SETTINGS = {
    "application_name": "lyceum",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "2000",  # a replica that stops while it holds a lock frees the others
    "synchronous_commit": "on",
}
LONGEST_WAIT = 5.0
CONNECT_SECONDS = 2.0
LOOKS = 10
"""How often it is looked whether the server has answered, before it counts as stuck."""
MIGRATING = 0x4C594345
"""The number of the advisory lock under which one replica at a time changes the schema."""


class PostgresStore:
    """Operations of this process share transactions on one connection; another connection reads."""

    patience = 0.25
    """Seconds without any answer of the server after which it is asked whether it is alive."""

    def __init__(self, url: str, longest_wait: float = LONGEST_WAIT) -> None:
        """`longest_wait`: seconds after which a connection is given up that waits for the server, whatever for."""
        self._url, self._longest = url, longest_wait
        self._runner = asyncio.Runner()
        self._batches: Batches[Operation] = Batches("the store of budgets", self._run, self._end)
        self._begun = False
        self._connection: asyncpg.Connection | None = None
        self._reading: asyncpg.Connection | None = None
        self._reader = asyncio.Lock()
        self._probe: asyncio.Task[bool] | None = None
        self.progress = 0
        """How many statements the server has answered."""

    async def alive(self) -> bool:
        """Whether the server answers; a transaction of ours may wait for those of many replicas on the same row."""
        if self._probe is None or self._probe.done():  # one question for all who wait
            self._probe = asyncio.create_task(self._answers())
        return await asyncio.shield(self._probe)

    async def _answers(self) -> bool:
        """A busy event loop of ours may be late to see the answer: its turns are counted and not the clock's time."""
        asked = asyncio.create_task(self._read("SELECT 1"))
        for _ in range(LOOKS):
            await asyncio.wait((asked,), timeout=self.patience * 2 / LOOKS)
        if not asked.done():
            asked.cancel()
        with suppress(StoreUnavailable, asyncio.CancelledError):
            await asked
            return True
        return False

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Queues an operation; its result once it is durable, or StoreUnavailable."""
        if not self._begun:
            self._begun = True
            self._batches.start()
        return self._batches.submit(operation)

    async def expired(self, now: float) -> list[str]:
        """Names of open reservations whose time is over."""
        query = "SELECT id FROM reservations WHERE state = 'open' AND until < $1 ORDER BY until LIMIT 10000"
        return [row[0] for row in await self._read(query, now)]

    async def balances(self, starts: Collection[int] | None = None) -> list[Account]:
        """The accounts of budgets whose period began at one of these; of all periods, and rates, for an audit."""
        query = f"SELECT {ACCOUNT} FROM accounts"  # noqa: S608 - our own names
        if starts is None:
            return [Account(*row) for row in await self._read(query)]
        query += " WHERE start = ANY($1) AND bucket NOT LIKE '~%'"
        return [Account(*row) for row in await self._read(query, list(starts))]

    async def reservations(self) -> list[Reservation]:
        """All reservations, for an audit."""
        return [_reservation(row) for row in await self._read(f"SELECT {RESERVATION} FROM reservations")]  # noqa: S608 - our own names

    async def close(self) -> None:
        """Ends after all that is queued is durable."""
        if self._begun:
            await self._batches.close()
        if self._reading is not None:
            with suppress(*_failures()):
                await self._reading.close(timeout=CONNECT_SECONDS)

    def _run(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """A batch in the thread, whose event loop has nothing else to do: no row stays locked while others talk."""
        return self._runner.run(self._commit(operations))

    def _end(self) -> None:
        if self._connection is not None:
            with suppress(*_failures()):
                self._runner.run(self._connection.close(timeout=CONNECT_SECONDS))
        self._runner.close()

    async def _commit(self, operations: Sequence[Operation]) -> Sequence[Any]:
        import asyncpg

        faults = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, *ITEM_ERRORS)
        # Hung up on, not cancelled: a server that is frozen does not answer a cancellation either.
        patience = asyncio.get_running_loop().call_later(self._longest, self._drop)
        try:
            return await self._tried(operations)
        except faults as error:
            if len(operations) == 1:
                return [error]
            return [result for operation in operations for result in await self._commit([operation])]
        except _failures(SetupError) as error:
            self._drop()
            return [StoreUnavailable(_why(error))] * len(operations)
        finally:
            patience.cancel()

    async def _tried(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """The transaction, again if others undid it."""
        import asyncpg

        undone = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
        for _ in range(TRIES - 1):
            with suppress(*undone):
                return await self._transaction(operations)
        return await self._transaction(operations)

    async def _transaction(self, operations: Sequence[Operation]) -> Sequence[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, self._longest)
            self.progress += 1
        connection = self._connection
        async with connection.transaction():
            names = sorted({name for operation in operations for name in (operation.id, *operation.also)})
            reservations = {row["id"]: _reservation(row) for row in await connection.fetch(LOCK_RESERVATIONS, names)}
            self.progress += 1
            keys = {key for operation in operations for key in operation.accounts}
            keys |= {(bucket, start) for one in reservations.values() for bucket, start, _ in one.booked}
            accounts = await _lock(connection, sorted(keys))
            self.progress += 1
            book = Book(accounts.get, reservations.get)
            results = [operation.run(book) for operation in operations]
            await _save(connection, book)
        self.progress += 1
        return results

    async def _read(self, query: str, *values: Any) -> list[Any]:
        async with self._reader:
            try:
                if self._reading is None or self._reading.is_closed():
                    self._reading = await connect(self._url, self._longest)
                return list(await self._reading.fetch(query, *values))
            except asyncio.CancelledError:  # it took too long: this connection may never answer again
                self._hang_up()
                raise
            except _failures() as error:
                self._hang_up()
                raise StoreUnavailable(_why(error)) from error

    def _hang_up(self) -> None:
        if self._reading is not None:
            self._reading.terminate()
            self._reading = None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _failures(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What a server, its line, or asyncpg itself may raise: a connection that is lost in an odd moment confuses it."""
    import asyncpg

    return asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, *others


async def connect(url: str, longest_wait: float = LONGEST_WAIT) -> asyncpg.Connection:
    """A connection to an up-to-date schema, whose statements take at most so many seconds."""
    try:
        import asyncpg
    except ImportError as error:
        raise SetupError("a PostgreSQL store needs the extra: pip install 'lyceum-gateway[postgres]'") from error
    connection = await asyncpg.connect(
        url,
        timeout=min(CONNECT_SECONDS, longest_wait),
        command_timeout=longest_wait,
        server_settings=SETTINGS | {"statement_timeout": str(round(longest_wait * 1000))},
    )
    try:
        await _migrate(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _migrate(connection: asyncpg.Connection) -> None:
    """Applies the steps that are missing; a table says which were."""
    if await connection.fetchval("SELECT to_regclass('lyceum_migrations') IS NOT NULL"):
        applied = {row[0] for row in await connection.fetch("SELECT name FROM lyceum_migrations")}
        if newer := sorted(applied - MIGRATIONS.keys()):
            raise SetupError(f"the store of budgets was written by a newer release (step {newer[0]!r})")
        if applied == MIGRATIONS.keys():
            return
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATING})")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS lyceum_migrations (name text PRIMARY KEY, applied timestamptz DEFAULT now())"
        )
        applied = {row[0] for row in await connection.fetch("SELECT name FROM lyceum_migrations")}
        for name, statements in MIGRATIONS.items():
            if name not in applied:
                await connection.execute(statements)
                await connection.execute("INSERT INTO lyceum_migrations (name) VALUES ($1)", name)


async def _lock(connection: asyncpg.Connection, keys: Sequence[Key]) -> dict[Key, Account]:
    """The accounts, locked in order; one that is new is made first, so that two replicas cannot both begin it."""
    columns = [bucket for bucket, _ in keys], [start for _, start in keys]
    rows = await connection.fetch(LOCK_ACCOUNTS, *columns)
    if len(rows) < len(keys):
        await connection.execute(NEW_ACCOUNTS, *columns)
        rows = await connection.fetch(LOCK_ACCOUNTS, *columns)
    return {(row["bucket"], row["start"]): Account(*row) for row in rows}


async def _save(connection: asyncpg.Connection, book: Book) -> None:
    if book.changed:
        lines = sorted(_line(each) for each in book.changed.values())
        await connection.execute(SAVE_ACCOUNTS, *(list(column) for column in zip(*lines, strict=True)))
    if book.reservations:
        made = map(_row, book.reservations.values())
        await connection.execute(SAVE_RESERVATIONS, *(list(column) for column in zip(*made, strict=True)))


def _line(one: Account) -> tuple[Any, ...]:
    return one.bucket, one.start, one.spent, one.held, one.running, one.requests_at, one.tokens_at


def _row(one: Reservation) -> tuple[Any, ...]:
    booked = orjson.dumps(one.booked).decode()
    return one.id, one.state, one.amount, one.tokens, one.cost, one.time, one.until, one.price, booked


def _reservation(row: Any) -> Reservation:
    *values, booked = row
    pairs = tuple((bucket, start, interval) for bucket, start, interval in orjson.loads(booked))
    return Reservation(*(*values, pairs))


def _why(error: Exception) -> str:
    """What to tell of an error: its kind, nothing of the server's address."""
    return f"the store of budgets does not answer ({type(error).__name__})"

"""Accounts in PostgreSQL, for replicas on many machines; needs the extra `postgres`.

A popular account is one row that every replica must lock. So each replica sends what is queued as one transaction:
the row is locked once for many calls, and only while two statements run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from experts.base import SetupError
from policies.batches import Batches, StoreUnavailable
from policies.book import Account, Book, Key, Operation, Reservation
from policies.writer import ITEM_ERRORS

if TYPE_CHECKING:
    import asyncpg

TRIES = 5
"""A deadlock or a serialization failure undid the transaction: it is run again."""
SETTINGS = {
    "application_name": "lyceum",
    "lock_timeout": "2000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "2000",  # a replica that stops while it holds a lock frees the others
    "synchronous_commit": "on",
}
COMMAND_SECONDS = 6.0
CONNECT_SECONDS = 2.0
MIGRATING = 0x4C594345
"""The number of the advisory lock under which one replica at a time changes the schema."""


class PostgresStore:
    """Operations of this process share transactions on one connection; another connection reads."""

    patience = 0.25
    """Seconds without any answer of the server after which it is asked whether it is alive."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop: asyncio.AbstractEventLoop | None = None
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
        try:
            async with asyncio.timeout(self.patience * 2):
                await self._read("SELECT 1")
        except (StoreUnavailable, TimeoutError):
            return False
        return True

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

    async def balances(self, since: int) -> list[Account]:
        """The accounts of periods that began at `since` or later, and those that never end."""
        query = f"SELECT {ACCOUNT} FROM accounts WHERE start >= $1 OR start = 0"  # noqa: S608 - our own names
        return [Account(*row) for row in await self._read(query, since)]

    async def reservations(self) -> list[Reservation]:
        """All reservations, for an audit."""
        return [_reservation(row) for row in await self._read(f"SELECT {RESERVATION} FROM reservations")]  # noqa: S608 - our own names

    async def close(self) -> None:
        """Ends after all that is queued is durable."""
        if self._begun:
            await self._batches.close()
        if self._reading is not None:
            with suppress(OSError):
                await self._reading.close(timeout=CONNECT_SECONDS)

    def _run(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """A batch in the thread, whose event loop has nothing else to do: no row stays locked while others talk."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._commit(operations))

    def _end(self) -> None:
        if self._loop is None:
            return
        if self._connection is not None:
            with suppress(OSError):
                self._loop.run_until_complete(self._connection.close(timeout=CONNECT_SECONDS))
        self._loop.close()

    async def _commit(self, operations: Sequence[Operation]) -> Sequence[Any]:
        import asyncpg

        faults = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, *ITEM_ERRORS)
        try:
            results = await self._tried(operations)
        except faults as error:
            if len(operations) == 1:
                return [error]
            return [result for operation in operations for result in await self._commit([operation])]
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, SetupError) as error:
            self._drop()
            return [StoreUnavailable(_why(error))] * len(operations)
        return results

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
            self._connection = await connect(self._url)
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
        import asyncpg

        async with self._reader:
            try:
                if self._reading is None or self._reading.is_closed():
                    self._reading = await connect(self._url)
                return list(await self._reading.fetch(query, *values))
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                if self._reading is not None:
                    self._reading.terminate()
                raise StoreUnavailable(_why(error)) from error

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def connect(url: str) -> asyncpg.Connection:
    """A connection to an up-to-date schema."""
    try:
        import asyncpg
    except ImportError as error:
        raise SetupError("a PostgreSQL store needs the extra: pip install 'lyceum-gateway[postgres]'") from error
    connection = await asyncpg.connect(
        url, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings=SETTINGS
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
        made = [
            (one.id, one.state, one.amount, one.tokens, one.cost, one.time, one.until, one.price, _json(one.booked))
            for one in book.reservations.values()
        ]
        await connection.execute(SAVE_RESERVATIONS, *(list(column) for column in zip(*made, strict=True)))


def _line(one: Account) -> tuple[Any, ...]:
    return one.bucket, one.start, one.spent, one.held, one.running, one.requests_at, one.tokens_at


def _reservation(row: Any) -> Reservation:
    *values, booked = row
    pairs = tuple((bucket, start, interval) for bucket, start, interval in orjson.loads(booked))
    return Reservation(*(*values, pairs))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _why(error: Exception) -> str:
    """What to tell of an error: its kind, nothing of the server's address."""
    return f"the store of budgets does not answer ({type(error).__name__})"


ACCOUNT = "bucket, start, spent, held, running, requests_at, tokens_at"
RESERVATION = "id, state, amount, tokens, cost, time, until, price, booked"
LOCK_RESERVATIONS = f"SELECT {RESERVATION} FROM reservations WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"  # noqa: S608 - our own names
PAIRS = "unnest($1::text[], $2::bigint[]) AS pair (bucket, start)"
LOCK_ACCOUNTS = f"""
    SELECT {ACCOUNT} FROM accounts JOIN {PAIRS} USING (bucket, start) ORDER BY bucket, start FOR UPDATE OF accounts"""  # noqa: S608 - our own names
NEW_ACCOUNTS = f"""
    INSERT INTO accounts (bucket, start) SELECT bucket, start FROM {PAIRS} ORDER BY bucket, start
    ON CONFLICT DO NOTHING"""  # noqa: S608 - our own names
SAVE_ACCOUNTS = """
    UPDATE accounts SET spent = new.spent, held = new.held, running = new.running,
        requests_at = new.requests_at, tokens_at = new.tokens_at
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS new (bucket, start, spent, held, running, requests_at, tokens_at)
    WHERE accounts.bucket = new.bucket AND accounts.start = new.start"""
SAVE_RESERVATIONS = f"""
    INSERT INTO reservations ({RESERVATION})
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::float8[], $7::float8[], $8::text[], $9::text[])
    ON CONFLICT (id) DO UPDATE
    SET state = excluded.state, cost = excluded.cost, amount = excluded.amount, until = excluded.until"""  # noqa: S608 - our own names

MIGRATIONS = {
    "accounts_and_reservations": """
        CREATE TABLE accounts (
            bucket text COLLATE "C" NOT NULL, start bigint NOT NULL,
            spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0), held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
            running bigint NOT NULL DEFAULT 0 CHECK (running >= 0),
            requests_at bigint NOT NULL DEFAULT 0, tokens_at bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (bucket, start)
        ) WITH (fillfactor = 50);
        CREATE TABLE reservations (
            id text COLLATE "C" PRIMARY KEY,
            state text NOT NULL CHECK (state IN ('open', 'settled', 'abandoned', 'swept')),
            amount bigint NOT NULL, tokens bigint NOT NULL, cost bigint,
            time float8 NOT NULL, until float8 NOT NULL, price text NOT NULL, booked text NOT NULL
        );
        CREATE INDEX reservations_open ON reservations (until) WHERE state = 'open'""",
}
"""What makes the schema, step by step; a step is never changed once released."""

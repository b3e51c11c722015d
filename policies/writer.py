"""Group commit on a SQLite file: all that is queued goes into one durable transaction.

Each call of SQLite gives Python's lock away and has to win it back from a busy event loop; so what a batch needs is
done in few calls, not in a few for each item.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, Generic

from experts.base import SetupError
from policies.batches import Batches, Item, StoreUnavailable, refused
from policies.schema import BUSY_SECONDS, PAGE_BYTES, Migration, connect, patiently

logger = getLogger("lyceum")

Work = Callable[[sqlite3.Connection, Sequence[Item]], Sequence[Any]]
"""Does the items inside the transaction; their results, in order."""

TURN_SECONDS = 0.0005
"""Between two looks whether another process has ended its transaction."""
RETRY_SECONDS = 1.0
"""After a failed commit everything fails at once for so long; then the file is opened and tried again."""

LASTING = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""Errors after which what is on disk is unknown: the writer stays closed until the process starts again."""


ITEM_ERRORS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, TypeError, ArithmeticError, LookupError)
"""The fault is in one item, not in the file."""


class Writer(Generic[Item]):
    """The one writer of a file in this process. Other processes may write the same file."""

    def __init__(
        self,
        path: Path,
        migrations: Sequence[Migration],
        work: Work[Item],
        durability: str = "full",
        page: int = PAGE_BYTES,
    ) -> None:
        """Opens or makes the file. `durability`: SQLite's `synchronous`; `page`: bytes of a new file's pages. Raises
        SetupError."""
        self._path, self._do = path, work
        self._connect = partial(connect, path, migrations, durability, page)
        self._connection: sqlite3.Connection | None = self._connect()
        self._failed: str | None = None
        self.commits = 0
        """How many transactions ended well."""
        self._retry_at = 0.0
        self._batches: Batches[Item] = Batches(path.name, self._commit, self._end)
        self._batches.start()

    @property
    def open(self) -> bool:
        """Whether it has not been closed."""
        return not self._batches.closed

    def refusal(self) -> str | None:
        """Why nothing can be queued now; `None` if it can."""
        return self._failed if self._failed and time.monotonic() < self._retry_at else None

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Queues an item. The future has its result once it is durable, or StoreUnavailable."""
        why = self.refusal()
        return refused(why) if why else self._batches.submit(item)

    async def close(self) -> None:
        """Writes all that is queued. May be called twice."""
        await self._batches.close()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _commit(self, items: Sequence[Item]) -> Sequence[Any]:
        """The items' results in order, or the error that each is answered with."""
        if self._failed and self._retry_at == float("inf"):
            return [StoreUnavailable(self._failed)] * len(items)
        try:
            results = self._transaction(items)
        except ITEM_ERRORS as error:
            # alone, the faulty item fails alone
            return [error] if len(items) == 1 else [result for item in items for result in self._commit([item])]
        except (sqlite3.Error, SetupError) as error:
            self._fail(error)
            return [StoreUnavailable(self._failed)] * len(items)
        self._failed = None
        self.commits += 1
        return results

    def _transaction(self, items: Sequence[Item]) -> Sequence[Any]:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        try:
            begin(connection)
            results = self._do(connection, items)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        return results

    def _fail(self, error: Exception) -> None:
        cause = error.__cause__ or error
        code = getattr(cause, "sqlite_errorname", "SQLITE_ERROR")
        said = str(cause) if isinstance(cause, sqlite3.Error) else "it is not ours any more"
        self._failed = f"{self._path.name} cannot be written ({code}: {said})"
        logger.error("%s", self._failed)
        self._retry_at = float("inf") if code in LASTING else time.monotonic() + RETRY_SECONDS
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def begin(connection: sqlite3.Connection) -> None:
    """Takes its turn among processes; SQLite's own waiting sleeps far longer than a transaction lasts."""
    patiently(connection, "BEGIN IMMEDIATE", BUSY_SECONDS, TURN_SECONDS)

"""Group commit on a SQLite file: one thread does all that is queued in one durable transaction.

Each call of SQLite gives Python's lock away and has to win it back from a busy event loop; so what a batch needs is
done in few calls, not in a few for each item.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from experts.base import SetupError
from policies.schema import BUSY_SECONDS, Migration, connect

Item = TypeVar("Item")
Work = Callable[[sqlite3.Connection, Sequence[Item]], Sequence[Any]]
"""Does the items inside the transaction; their results, in order."""

LARGEST_BATCH = 500
TURN_SECONDS = 0.0005
"""Between two looks whether another process has ended its transaction."""
RETRY_SECONDS = 1.0
"""After a failed commit everything fails at once for so long; then the file is opened and tried again."""

LASTING = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""Errors after which what is on disk is unknown: the writer stays closed until the process starts again."""


ITEM_ERRORS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, TypeError, ArithmeticError, LookupError)
"""The fault is in one item, not in the file."""


class StoreUnavailable(Exception):
    """The file cannot be written. What was queued is not acknowledged; nothing that depends on it may go on."""


class Writer(Generic[Item]):
    """The one writer of a file in this process. Other processes may write the same file."""

    def __init__(self, path: Path, migrations: Sequence[Migration], work: Work[Item]) -> None:
        """Opens or makes the file. Raises SetupError."""
        self._path, self._migrations, self._do = path, migrations, work
        self._connection: sqlite3.Connection | None = connect(path, migrations)
        self._queue: queue.SimpleQueue[Entry[Item] | None] = queue.SimpleQueue()
        self._failed: str | None = None
        self.commits = 0
        """How many transactions ended well."""
        self._retry_at = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    @property
    def available(self) -> bool:
        """Whether the last commit succeeded."""
        return self._failed is None and not self._closed

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Queues an item. The future has its result once it is durable, or StoreUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        refusal = self._refusal()
        if refusal is None:
            self._queue.put((item, future, loop))
        else:
            _settle([(future, None, StoreUnavailable(refusal))])
        return future

    def _refusal(self) -> str | None:
        if self._closed:
            return f"{self._path.name} is closed"
        return self._failed if self._failed and time.monotonic() < self._retry_at else None

    async def close(self) -> None:
        """Writes all that is queued, then ends the thread. May be called twice."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            entries = [entry for entry in batch if entry is not None]
            _deliver(entries, self._commit([item for item, _, _ in entries]) if entries else [])
            if len(entries) < len(batch):
                break
        if self._connection is not None:
            self._connection.close()

    def _next_batch(self) -> list[Entry[Item] | None]:
        batch = [self._queue.get()]
        with suppress(queue.Empty):
            while batch[-1] is not None and len(batch) < LARGEST_BATCH:
                batch.append(self._queue.get_nowait())
        return batch

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
            self._connection = connect(self._path, self._migrations)
        connection = self._connection
        try:
            _begin(connection)
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
        self._retry_at = float("inf") if code in LASTING else time.monotonic() + RETRY_SECONDS
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _begin(connection: sqlite3.Connection) -> None:
    """Takes its turn among processes; SQLite's own waiting sleeps far longer than a transaction lasts."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(TURN_SECONDS)
        else:
            return


Entry = tuple[Item, "asyncio.Future[Any]", asyncio.AbstractEventLoop]


def _deliver(entries: Sequence[Entry[Item]], results: Sequence[Any]) -> None:
    """Answers every item in the event loop that asked, one call a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, Exception | None]]] = {}
    for (_, future, loop), result in zip(entries, results, strict=True):
        error = result if isinstance(result, Exception) else None
        by_loop.setdefault(loop, []).append((future, result, error))
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, result, error in settled:
        if future.done():
            continue  # the one who waited has gone; the row stands
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
            future.exception()  # counts as seen: whoever awaits still gets it, whoever does not raises no warning

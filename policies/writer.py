"""Group commit on a SQLite file: one thread runs the queued jobs, all that wait share one durable transaction."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from experts.base import SetupError
from policies.schema import Migration, connect

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]
"""Reads and writes inside the transaction; must leave nothing half done when it returns a refusal."""

LARGEST_BATCH = 2_000
RETRY_SECONDS = 1.0
"""After a failed commit every job fails at once for so long; then the file is opened and tried again."""

LASTING = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB")
"""Errors after which what is on disk is unknown: the writer stays closed until the process starts again."""


JOB_ERRORS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, ValueError, TypeError, ArithmeticError, LookupError)
"""The fault is in one job, not in the file."""


class StoreUnavailable(Exception):
    """The file cannot be written. The job was not acknowledged; nothing that depends on it may go on."""


Entry = tuple[Job, "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Writer:
    """The one writer of a file in this process. Other processes may write the same file."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        """Opens or makes the file. Raises SetupError."""
        self._path, self._migrations = path, migrations
        self._connection: sqlite3.Connection | None = connect(path, migrations)
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
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

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queues a job. The future has its result once it is durable, or StoreUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        refusal = self._refusal()
        if refusal is None:
            self._queue.put((job, future, loop))
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
            _deliver(entries, self._commit([job for job, _, _ in entries]) if entries else [])
            if len(entries) < len(batch):
                break
        if self._connection is not None:
            self._connection.close()

    def _next_batch(self) -> list[Entry | None]:
        batch = [self._queue.get()]
        with suppress(queue.Empty):
            while batch[-1] is not None and len(batch) < LARGEST_BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, jobs: Sequence[Job]) -> list[Any]:
        """The jobs' results in order, or the error that each is answered with."""
        if self._failed and self._retry_at == float("inf"):
            return [StoreUnavailable(self._failed)] * len(jobs)
        try:
            results = self._transaction(jobs)
        except JOB_ERRORS as error:
            # alone, the faulty job fails alone
            return [error] if len(jobs) == 1 else [result for job in jobs for result in self._commit([job])]
        except (sqlite3.Error, SetupError) as error:
            self._fail(error)
            return [StoreUnavailable(self._failed)] * len(jobs)
        self._failed = None
        self.commits += 1
        return results

    def _transaction(self, jobs: Sequence[Job]) -> list[Any]:
        if self._connection is None:
            self._connection = connect(self._path, self._migrations)
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [job(connection) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        return results

    def _fail(self, error: Exception) -> None:
        code = getattr(error.__cause__ or error, "sqlite_errorname", "SQLITE_ERROR")
        self._failed = f"{self._path.name} cannot be written ({code})"
        self._retry_at = float("inf") if code in LASTING else time.monotonic() + RETRY_SECONDS
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _deliver(entries: Sequence[Entry], results: Sequence[Any]) -> None:
    """Answers every job in the event loop that asked, one call a loop."""
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

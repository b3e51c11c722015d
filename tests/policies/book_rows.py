"""Where the stateful model of the book keeps its rows: in memory, or in a real store that is opened now and then."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from policies.book import Book, Operation
from policies.store_sqlite import SQLiteStore

QUICK = Path("/dev/shm")
"""A folder in memory, where the system has one."""


class Memory:
    """Rows in two dictionaries: the engine without a database."""

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self.reservations: dict[str, Any] = {}

    def run(self, operation: Operation) -> Any:
        book = Book(self.accounts.get, self.reservations.get)
        result = operation.run(book)
        self.accounts.update(book.changed)
        self.reservations.update(book.reservations)
        return result

    def expired(self, now: float) -> list[str]:
        return [one.id for one in self.reservations.values() if one.state == "open" and one.until < now]

    def balances(self) -> Any:
        return self.accounts.values()

    def restart(self) -> None:
        pass

    def close(self) -> None:
        pass


class InStore:
    """Rows in a real store, opened anew now and then."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = self.open()

    def open(self) -> Any:
        raise NotImplementedError

    def wait(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def run(self, operation: Operation) -> Any:
        async def ran() -> Any:
            return await self.store.submit(operation)

        return self.wait(ran())

    def expired(self, now: float) -> list[str]:
        return list(self.wait(self.store.expired(now)))

    def balances(self) -> Any:
        return self.wait(self.store.balances())

    def restart(self) -> None:
        self.wait(self.store.close())
        self.store = self.open()

    def close(self) -> None:
        self.wait(self.store.close())
        self.loop.close()


class InSQLite(InStore):
    """In a file, in memory where the system has such a folder: what a disk can do is tested elsewhere."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=QUICK if QUICK.is_dir() else None)
        super().__init__()

    def open(self) -> SQLiteStore:
        return SQLiteStore(Path(self.folder.name) / "accounts.sqlite")

    def close(self) -> None:
        super().close()
        self.folder.cleanup()

"""The messages of clients whose keys opted in, for training a router on one's own traffic; kept for some days.

Everything else that we write knows a prompt by its hash alone.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from msgspec import Struct

from experts.base import Request, SetupError
from policies.schema import BUSY_SECONDS
from policies.writer import Writer

FILE = "prompts.sqlite"
DAY = 86_400.0
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Prompts:
    """Whose prompts are kept, and how long."""

    keys: tuple[str, ...] = ()
    """Names or ids of keys; `*` is every key. Nobody's, unless they are named."""
    days: float = 30.0

    def __post_init__(self) -> None:
        if self.days <= 0:
            raise SetupError("prompts.days: give a number of days above 0, or name no keys")


class Prompt(Struct, frozen=True):
    """The messages of one request."""

    decision: str
    key: str
    time: float
    messages: bytes


class Keeper:
    """Keeps prompts in a SQLite file of their own; nobody waits for it."""

    def __init__(self, path: Path, prompts: Prompts, clock: Callable[[], float] = time.time) -> None:
        """Opens or makes the file. Raises SetupError."""
        self._keys, self._everybody = frozenset(prompts.keys), EVERYBODY in prompts.keys
        self._seconds, self._clock = prompts.days * DAY, clock
        self._writer: Writer[Prompt] = Writer(path, (prompts_table,), self._work)

    def keep(self, key: str, request: Request) -> None:
        """Queues a request's messages, if its key opted in."""
        if self._everybody or key in self._keys:
            self._writer.submit(Prompt(request.id, key, self._clock(), orjson.dumps(request.messages)))

    async def close(self) -> None:
        """Writes what is queued."""
        await self._writer.close()

    def _work(self, connection: sqlite3.Connection, prompts: Sequence[Prompt]) -> Sequence[None]:
        connection.execute("DELETE FROM prompts WHERE time < ?", (self._clock() - self._seconds,))
        rows = [(each.decision, each.key, each.time, each.messages) for each in prompts]
        connection.executemany("INSERT INTO prompts VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
        return [None] * len(prompts)


def prompts_table(connection: sqlite3.Connection) -> None:
    """The first table."""
    connection.execute("""
        CREATE TABLE prompts (
            decision TEXT PRIMARY KEY, key TEXT NOT NULL, time REAL NOT NULL, messages BLOB NOT NULL
        ) STRICT""")
    connection.execute("CREATE INDEX prompts_time ON prompts (time)")


def erase(path: Path, table: str, where: str, values: Sequence[object]) -> int:
    """Deletes rows so that their bytes are gone from the file; how many there were. Raises SetupError."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        count = connection.execute(f"DELETE FROM {table} WHERE {where}", tuple(values)).rowcount  # noqa: S608 - ours
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(count)
    except sqlite3.Error as error:
        raise SetupError(f"{path}: cannot erase: {error}") from error
    finally:
        connection.close()

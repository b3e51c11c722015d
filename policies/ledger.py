"""The append-only record of every decision and outcome, in one SQLite file that survives kill -9.

Rows that become durable together are one record of the file, so that a request costs it next to nothing; the views
`decisions` and `outcomes` show them row by row to whoever asks in SQL.

A full disk or a failed write makes the ledger unavailable: rows are refused at once and it tries again after a
second. After a failed fsync or found damage nobody knows what the disk holds: it stays unavailable until a restart.
"""

from __future__ import annotations

import asyncio
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from policies.batches import StoreUnavailable
from policies.groups import Group, refused
from policies.record import Record
from policies.rows import Row, encode
from policies.stored import MIGRATIONS
from policies.writer import Writer

Durability = Literal["full", "normal"]
"""`full`: what was acknowledged survives a power cut. `normal`: it survives kill -9 of every process, and the machine
may lose the last seconds before it loses power; nothing is ever damaged."""

LedgerUnavailable = StoreUnavailable
"""The row is not durable: no answer may be given that is not recorded."""

INSERT = "INSERT INTO groups (first, last, cost, lines, checksum) VALUES (?, ?, ?, ?, ?)"


class Ledger(Record):
    """Writes are queued and become durable in groups; reading never waits for writing. For one event loop."""

    def __init__(self, path: Path, durability: Durability = "full") -> None:
        super().__init__(path)
        self._writer = Writer(path, MIGRATIONS, _insert, durability)
        self._open: Group | None = None

    @classmethod
    def open(cls, path: Path, durability: Durability = "full") -> Ledger:
        """Opens or makes the file. Raises SetupError: not writable, damaged, another program's, or newer."""
        return cls(path, durability)

    @property
    def available(self) -> bool:
        """Whether the last write succeeded: if not, do not begin what must be recorded."""
        return self._writer.available

    def write(self, row: Row) -> Group:
        """Queues a row. Its group ends when it is durable, or with LedgerUnavailable.
        A row that is there already is shown once, so writing again after an error is safe."""
        group = self._open
        if group is None:
            why = self._writer.refusal()
            if why is not None:
                return refused(LedgerUnavailable(why))
            self._open = group = Group(row.time)
            asyncio.get_running_loop().call_soon(self._hand_over)
        group.add(encode(row), row.time, getattr(row, "cost", None))
        return group

    async def close(self) -> None:
        """Writes what is queued and ends."""
        self._hand_over()
        await self._writer.close()

    def _hand_over(self) -> None:
        """What was queued since the loop's last turn goes to the disk as one group."""
        group, self._open = self._open, None
        if group is not None:
            self._writer.submit(group).add_done_callback(lambda future: group.end(_unavailable(future)))


def _unavailable(future: asyncio.Future[Any]) -> Exception | None:
    error = future.exception()
    return error if error is None or isinstance(error, Exception) else LedgerUnavailable("the ledger was closed")


def _insert(connection: sqlite3.Connection, groups: Sequence[Group]) -> Sequence[None]:
    """All groups of a batch as one record."""
    lines = b"[%b]" % b",".join([line for group in groups for line in group.lines])
    first, last = min(group.first for group in groups), max(group.last for group in groups)
    connection.execute(INSERT, (first, last, sum(group.cost for group in groups), lines, zlib.crc32(lines)))
    return [None] * len(groups)

"""The append-only record of every decision and outcome, in one SQLite file that survives kill -9.

Rows that become durable together are one record of the file, so that a request costs it next to nothing; the views
`decisions` and `outcomes` show them row by row to whoever asks in SQL. With `normal` durability rows are appended to a
journal beside the file, and brought into it a moment later: nobody waits for a thread or a commit.

A full disk or a failed write makes the ledger unavailable: rows are refused at once and it tries again after a
second. After a failed fsync or found damage nobody knows what the disk holds: it stays unavailable until a restart.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, Literal

from policies.batches import StoreUnavailable
from policies.groups import Group, refused
from policies.imports import bring_in, insert, take_over
from policies.journal import Journal, Part
from policies.record import Record
from policies.rows import COMMA, Line, Row, write
from policies.stored import MIGRATIONS, PAGE_BYTES
from policies.writer import RETRY_SECONDS, Writer

logger = getLogger("lyceum")

Durability = Literal["full", "normal"]
"""`full`: what was acknowledged survives a power cut. `normal`: it survives kill -9 of every process, and the machine
may lose the last seconds before it loses power; nothing is ever damaged."""

GATHER_SECONDS = 0.005
"""How long rows gather for which nobody waits: decisions, while the experts work."""
ROLL_SECONDS, ROLL_BYTES = 1.0, 2 << 20
"""How long a journal's file gathers before it is brought into the ledger's, and how much: each time pages of the file
are written anew, and readers look through the journals."""

LedgerUnavailable = StoreUnavailable
"""The row is not durable: no answer may be given that is not recorded."""


class Ledger(Record):
    """Writes are queued and become durable in groups; reading never waits for writing. For one event loop."""

    def __init__(self, path: Path, durability: Durability = "full") -> None:
        super().__init__(path)
        take_over(path)
        self._writer: Writer[Group | Part] = Writer(path, MIGRATIONS, _store, durability, PAGE_BYTES)
        self._journal = Journal(path) if durability == "normal" else None
        self.group: Group | None = None
        """To whose lines what is sure to be one may be added; it `covers` its time and cost then. `None`: `begin` tells
        to whose."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._rolling: asyncio.TimerHandle | None = None
        self._part: Part | None = None
        """The journal's file that is to be brought in; the next is begun once it is."""
        self._bringing: asyncio.Future[Any] | None = None
        """Ends when that was tried."""
        self._closing = False
        self._failed: str | None = None
        self._retry_at = 0.0

    @classmethod
    def open(cls, path: Path, durability: Durability = "full") -> Ledger:
        """Opens or makes the file. Raises SetupError: not writable, damaged, another program's, or newer."""
        return cls(path, durability)

    @property
    def available(self) -> bool:
        """Whether rows can be written, as far as is known: if not, do not begin what must be recorded."""
        return self._refusal() is None

    def write(self, row: Row) -> Group:
        """Queues a row. Its group ends when it is durable, or with LedgerUnavailable.
        A row that is there already is shown once, so writing again after an error is safe."""
        return self.put(row, row.time, row.cost)

    def put(self, row: Row | Line, time: float, cost: int | None) -> Group:
        """The same for a row, or a line of one or two, with its time and what it cost."""
        group = self.group
        if group is None:
            group = self.begin(time)
            if group.done:
                return group
        rows = group.rows
        size = len(rows)
        try:
            write(row, rows, -1)
        except BaseException:
            del rows[size:]  # what is no row leaves nothing behind
            raise
        rows.append(COMMA)
        group.covers(time, cost)
        return group

    def begin(self, time: float) -> Group:
        """A group for rows of now; one that has failed already if nothing can be written."""
        why = self._refusal()
        if why is not None:
            return refused(LedgerUnavailable(why))
        self.group = group = Group(time, self._soon)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # looked for, that is a system call each time
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_SECONDS, self._gathered)
        return group

    async def close(self) -> None:
        """Writes what is queued and ends. What cannot be brought in stays in its journal until the next start."""
        self._closing = True
        self._hand_over()
        while (trying := self._roll()) is not None:
            await asyncio.wait((trying,))
            if self._part is not None:
                break  # nor can what comes after it
        await self._writer.close()
        while (part := self._next()) is not None:
            os.close(part.file)
            self._part = None

    def _refusal(self) -> str | None:
        """Why nothing can be written now."""
        if not self._writer.open:
            return f"{self.path.name} is closed"
        if self._failed is not None and time.monotonic() < self._retry_at:
            return self._failed
        return self._writer.refusal()

    def _soon(self) -> None:
        """Somebody waits: what this turn of the loop queues goes along."""
        assert self._loop is not None
        self._loop.call_soon(self._hand_over)

    def _gathered(self) -> None:
        """Nobody has waited for what is queued."""
        self._gathering = None
        self._hand_over()

    def _hand_over(self) -> None:
        """What is queued goes to the disk as one group."""
        group, self.group = self.group, None
        if group is None or not group.close():  # what was to be the first row was none
            return
        group.hurry = None
        if self._journal is None:
            self._writer.submit(group).add_done_callback(lambda future: group.end(_unavailable(future)))
            return
        try:
            self._journal.append(group)
        except OSError as error:
            group.end(self._fail(error))
            return
        self._failed = None
        if self._rolling is None:
            self._rolling = asyncio.get_running_loop().call_later(ROLL_SECONDS, self._roll)
        elif self._part is None and self._journal.size > ROLL_BYTES:
            self._roll()
        group.end()

    def _fail(self, error: OSError) -> LedgerUnavailable:
        self._failed = f"{self.path.name} cannot be written ({error.strerror})"
        self._retry_at = time.monotonic() + RETRY_SECONDS
        logger.error("%s", self._failed)
        return LedgerUnavailable(self._failed)

    def _roll(self) -> asyncio.Future[Any] | None:
        """The journal's file is brought into the ledger's, one after another: it counts as brought in once a later one
        is. Ends when that was tried; `None` if there is nothing."""
        if self._rolling is not None:
            self._rolling.cancel()
        self._rolling = None
        if self._bringing is None and (part := self._next()) is not None:
            self._bringing = self._writer.submit(part)
            self._bringing.add_done_callback(partial(self._brought_in, part))
        return self._bringing

    def _next(self) -> Part | None:
        if self._part is None and self._journal is not None:
            self._part = self._journal.roll()
        return self._part

    def _brought_in(self, part: Part, future: asyncio.Future[Any]) -> None:
        self._bringing = None
        failed = _unavailable(future) is not None
        if not failed:
            self._part = None
            part.remove()
        if not (self._closing or self._rolling):
            seconds = RETRY_SECONDS if failed else ROLL_SECONDS  # there may be rows that came meanwhile
            self._rolling = asyncio.get_running_loop().call_later(seconds, self._roll)


def _unavailable(future: asyncio.Future[Any]) -> Exception | None:
    error = future.exception()
    return error if error is None or isinstance(error, Exception) else LedgerUnavailable("the ledger was closed")


def _store(connection: sqlite3.Connection, items: Sequence[Group | Part]) -> Sequence[None]:
    """All groups of a batch as one record, and the rows of journals."""
    if groups := [item for item in items if isinstance(item, Group)]:
        first, last = min(group.first for group in groups), max(group.last for group in groups)
        insert(connection, first, last, sum(group.cost for group in groups), [group.rows for group in groups])
    for part in [item for item in items if isinstance(item, Part)]:
        bring_in(connection, part)
    return [None] * len(items)

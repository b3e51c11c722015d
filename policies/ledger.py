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
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from policies.batches import StoreUnavailable
from policies.groups import Group, refused
from policies.rows import Row, decode, encode, readable
from policies.schema import reader
from policies.stored import MIGRATIONS
from policies.writer import Writer

Durability = Literal["full", "normal"]
"""`full`: what was acknowledged survives a power cut. `normal`: it survives kill -9 of every process, and the machine
may lose the last seconds before it loses power; nothing is ever damaged."""

LedgerUnavailable = StoreUnavailable
"""The row is not durable: no answer may be given that is not recorded."""

INSERT = "INSERT INTO groups (first, last, cost, lines, checksum) VALUES (?, ?, ?, ?, ?)"
AGAIN = 100_000
"""A row that is written again within so many others is shown once."""
EARLY, LATE = 60.0, 3600.0
"""Seconds around the birth of a request in which its story is looked for: clocks differ, answers take time."""


class Ledger:
    """Writes are queued and become durable in groups; reading never waits for writing. For one event loop."""

    def __init__(self, path: Path, durability: Durability = "full") -> None:
        self.path = path
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

    def explain(self, decision: str) -> dict[str, Any] | None:
        """The whole story of one request: its decisions, each with all estimates, and what they brought."""
        born = born_of(decision)
        since, until = (0.0, float("inf")) if born is None else (born - EARLY, born + LATE)
        decisions: list[dict[str, Any]] = []
        outcomes: list[dict[str, Any]] = []
        for kind, *row in _once(self._lines(since, until, decision)):
            if row[0] == decision:
                (decisions if kind == "decision" else outcomes).append(readable((kind, *row)))
        if not decisions:
            return None
        costs = [outcome["cost"] for outcome in outcomes]
        return {
            "id": decision,
            "cost": None if None in costs else sum(costs),
            "decisions": sorted(decisions, key=lambda row: row["step"]),
            "outcomes": sorted(outcomes, key=lambda row: row["step"]),
        }

    def spend(self, since: float, until: float) -> int:
        """Nano-dollars of the outcomes with a known cost, from `since` up to, but without, `until` (Unix seconds)."""
        with closing(reader(self.path)) as connection:
            query = "SELECT coalesce(sum(cost), 0) FROM groups WHERE first >= ? AND last < ?"
            total = int(connection.execute(query, (since, until)).fetchone()[0])
        for row in map(readable, self._lines(since, until, "", "AND NOT (first >= ? AND last < ?)", since, until)):
            if since <= row["time"] < until:
                total += row.get("cost") or 0
        return total

    def rows(self, table: str, since: float = 0.0, until: float = float("inf")) -> Iterator[dict[str, Any]]:
        """The rows of `decisions` or `outcomes` in the order they were written."""
        kind = table.removesuffix("s")
        for line in _once(self._lines(since, until)):
            if line[0] == kind:
                row = readable(line)
                if since <= row["time"] < until:
                    yield row

    def damaged(self) -> list[int]:
        """The numbers of the groups whose checksum is wrong. Reads the whole file."""
        with closing(reader(self.path)) as connection:
            rows = connection.execute("SELECT row, lines, checksum FROM groups ORDER BY row")
            return [row["row"] for row in rows if zlib.crc32(row["lines"]) != row["checksum"]]

    def _lines(
        self, since: float, until: float, holding: str = "", also: str = "", *values: Any
    ) -> Iterator[list[Any]]:
        """The lines of the sound groups that may have rows of a time and hold a text."""
        where = f"last >= ? AND first < ? AND instr(lines, CAST(? AS BLOB)) > 0 {also}"
        with closing(reader(self.path)) as connection:
            query = f"SELECT lines, checksum FROM groups WHERE {where} ORDER BY row"  # noqa: S608 - our own names
            for row in connection.execute(query, (since, until, holding, *values)):
                if zlib.crc32(row["lines"]) == row["checksum"]:
                    yield from decode(row["lines"])


def born_of(decision: str) -> float | None:
    """The Unix second with which the name of a request begins; `None` for a name that was not made by a gateway."""
    try:
        return float(int(decision[:8], 16)) if len(decision) == 24 else None
    except ValueError:
        return None


def _once(lines: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """The lines without those that were written again."""
    seen: dict[tuple[Any, ...], None] = {}
    for line in lines:
        key = tuple(line[:4]) if line[0] == "outcome" else tuple(line[:3])
        if key in seen:
            continue
        if len(seen) >= AGAIN:
            del seen[next(iter(seen))]
        seen[key] = None
        yield line


def _unavailable(future: asyncio.Future[Any]) -> Exception | None:
    error = future.exception()
    return error if error is None or isinstance(error, Exception) else LedgerUnavailable("the ledger was closed")


def _insert(connection: sqlite3.Connection, groups: Sequence[Group]) -> Sequence[None]:
    """All groups of a batch as one record."""
    lines = b"[%b]" % b",".join([line for group in groups for line in group.lines])
    first, last = min(group.first for group in groups), max(group.last for group in groups)
    connection.execute(INSERT, (first, last, sum(group.cost for group in groups), lines, zlib.crc32(lines)))
    return [None] * len(groups)

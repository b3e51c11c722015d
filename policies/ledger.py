"""The append-only record of every decision and outcome, in one SQLite file that survives kill -9.

A full disk or a failed write makes the ledger unavailable: rows are refused at once and it tries again after a
second. After a failed fsync or found damage nobody knows what the disk holds: it stays unavailable until a restart.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from policies.batches import StoreUnavailable
from policies.rows import COLUMNS, DecisionRow, OutcomeRow, Row, Value, checksum, readable
from policies.schema import insert, reader
from policies.writer import Writer

LedgerUnavailable = StoreUnavailable
"""The row is not durable: no answer may be given that is not recorded."""

INSERT = {table: f"INSERT INTO {table} ({', '.join(columns)}, checksum)" for table, columns in COLUMNS.items()}
UNIQUE = {
    DecisionRow.TABLE: "ON CONFLICT (id, step) DO NOTHING",
    OutcomeRow.TABLE: "ON CONFLICT (decision, step, expert) DO NOTHING",
}


class Ledger:
    """Writes are queued and become durable in groups; reading never waits for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = Writer(path, MIGRATIONS, _insert)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Opens or makes the file. Raises SetupError: not writable, damaged, another program's, or newer."""
        return cls(path)

    @property
    def available(self) -> bool:
        """Whether the last write succeeded: if not, do not begin what must be recorded."""
        return self._writer.available

    def write(self, row: Row) -> asyncio.Future[None]:
        """Queues a row; the future ends when it is durable, or with LedgerUnavailable.
        A row that is there already is kept as it is, so writing again after an error is safe."""
        return self._writer.submit(row)

    async def close(self) -> None:
        """Writes what is queued and ends."""
        await self._writer.close()

    def explain(self, decision: str) -> dict[str, Any] | None:
        """The whole story of one request: its decisions, each with all estimates, and what they brought."""
        decisions = list(self._select(DecisionRow.TABLE, "id = ? ORDER BY step", decision))
        if not decisions:
            return None
        outcomes = list(self._select(OutcomeRow.TABLE, "decision = ? ORDER BY step, row", decision))
        costs = [outcome["cost"] for outcome in outcomes]
        return {
            "id": decision,
            "cost": None if None in costs else sum(costs),
            "decisions": decisions,
            "outcomes": outcomes,
        }

    def spend(self, since: float, until: float) -> int:
        """Nano-dollars of the outcomes with a known cost, from `since` up to, but without, `until` (Unix seconds)."""
        with closing(reader(self.path)) as connection:
            query = "SELECT coalesce(sum(cost), 0) FROM outcomes WHERE time >= ? AND time < ?"
            return int(connection.execute(query, (since, until)).fetchone()[0])

    def rows(self, table: str, since: float = 0.0, until: float = float("inf")) -> Iterator[dict[str, Any]]:
        """The rows of `decisions` or `outcomes` in the order they were written."""
        return self._select(table, "time >= ? AND time < ? ORDER BY row", since, until)

    def damaged(self) -> list[tuple[str, int]]:
        """The rows whose checksum is wrong, as (table, row number). Reads the whole file."""
        found = []
        with closing(reader(self.path)) as connection:
            for table, columns in COLUMNS.items():
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY row"):  # noqa: S608 - our own names
                    if checksum([row[column] for column in columns]) != row["checksum"]:
                        found.append((table, int(row["row"])))
        return found

    def _select(self, table: str, where: str, *values: Any) -> Iterator[dict[str, Any]]:
        with closing(reader(self.path)) as connection:
            query = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608 - our own names
            for row in connection.execute(query, values):
                yield readable(table, row)


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> Sequence[None]:
    tables: dict[str, list[tuple[Value, ...]]] = {table: [] for table in COLUMNS}
    for row in rows:
        values = row.values()
        tables[row.TABLE].append((*values, checksum(values)))
    for table, lines in tables.items():
        insert(connection, INSERT[table], lines, UNIQUE[table])
    return [None] * len(rows)


def decisions_and_outcomes(connection: sqlite3.Connection) -> None:
    """The first tables."""
    connection.execute("""
        CREATE TABLE decisions (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL, step INTEGER NOT NULL, time REAL NOT NULL,
            key TEXT NOT NULL, model TEXT NOT NULL, policy TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('ask', 'accept', 'refuse')),
            experts TEXT NOT NULL, last INTEGER NOT NULL, reason TEXT,
            probability REAL NOT NULL, draw REAL NOT NULL, allowance INTEGER, why TEXT NOT NULL,
            prompt_hash TEXT NOT NULL, estimates TEXT NOT NULL, checksum INTEGER NOT NULL,
            UNIQUE (id, step)
        ) STRICT""")
    connection.execute("""
        CREATE TABLE outcomes (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            decision TEXT NOT NULL, step INTEGER NOT NULL, expert TEXT NOT NULL, time REAL NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('answer', 'failure')),
            reason TEXT, finish_reason TEXT, prompt_tokens INTEGER, completion_tokens INTEGER,
            cached_tokens INTEGER, reasoning_tokens INTEGER, estimated INTEGER NOT NULL, cost INTEGER,
            first REAL, total REAL NOT NULL, status INTEGER, checksum INTEGER NOT NULL,
            UNIQUE (decision, step, expert)
        ) STRICT""")
    connection.execute("CREATE INDEX decisions_time ON decisions (time)")
    connection.execute("CREATE INDEX outcomes_time ON outcomes (time)")


MIGRATIONS = (decisions_and_outcomes,)

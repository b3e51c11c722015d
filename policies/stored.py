"""How the ledger's file is laid out: groups of rows, and views that show them row by row."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping

import orjson

from policies.rows import COLUMNS, SETTLED

PAGE_BYTES = 16384
"""Of a new file: its records are large, and the system is asked once for each page that is written."""


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


def groups(connection: sqlite3.Connection) -> None:
    """Rows that were written together are one record: a list of lines, each a list of its kind and its values."""
    connection.execute("""
        CREATE TABLE groups (
            row INTEGER PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL, cost INTEGER NOT NULL,
            lines BLOB NOT NULL, checksum INTEGER NOT NULL
        ) STRICT""")
    connection.execute("CREATE INDEX groups_last ON groups (last)")
    for table, kind in (("decisions", "decision"), ("outcomes", "outcome")):
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY row").fetchall():  # noqa: S608 - our own names
            values, time = list(row[1:-1]), row[3 if kind == "decision" else 4]
            lines = orjson.dumps([[kind, *(_opened(values) if kind == "decision" else values)]])
            record = (time, time, 0 if kind == "decision" else values[12] or 0, lines, zlib.crc32(lines))
            connection.execute("INSERT INTO groups (first, last, cost, lines, checksum) VALUES (?, ?, ?, ?, ?)", record)
        connection.execute(f"DROP TABLE {table}")
        connection.execute(_view(table, kind))


def settlements(connection: sqlite3.Connection) -> None:
    """What calls were booked with is shown row by row, too."""
    connection.execute(_view("settlements", "settlement"))


def journals(connection: sqlite3.Connection) -> None:
    """Up to which of its files each journal has been brought in."""
    connection.execute("CREATE TABLE journals (owner TEXT PRIMARY KEY, generation INTEGER NOT NULL) STRICT")


def prices_of_their_own(connection: sqlite3.Connection) -> None:
    """Outcomes say how many tokens of each price there were."""
    connection.execute("DROP VIEW outcomes")
    connection.execute(_view("outcomes", "outcome"))


def prices(connection: sqlite3.Connection) -> None:
    """Outcomes name the version of the prices, and a table of its own says what each version was."""
    connection.execute(
        "CREATE TABLE prices (version TEXT PRIMARY KEY, seen REAL NOT NULL, told BLOB NOT NULL) STRICT, WITHOUT ROWID"
    )
    connection.execute("DROP VIEW outcomes")
    connection.execute(_view("outcomes", "outcome"))


def settled_together(connection: sqlite3.Connection) -> None:
    """An outcome and its settlement may be one line."""
    for table, kind in (("outcomes", "outcome"), ("settlements", "settlement")):
        connection.execute(f"DROP VIEW {table}")
        connection.execute(_view(table, kind))


def hashes_of_policies(connection: sqlite3.Connection) -> None:
    """Decisions name the policies' hash."""
    connection.execute("DROP VIEW decisions")
    connection.execute(_view("decisions", "decision"))


def sums_of_pieces(connection: sqlite3.Connection) -> None:
    """Groups have the sums of their pieces in the place of a checksum; those of older releases have none."""
    connection.execute("ALTER TABLE groups ADD COLUMN sums BLOB")


def _opened(values: list[object]) -> list[object]:
    """A decision's values with their JSON as lists; estimates had no name inside."""
    *others, estimates = values
    others[7] = orjson.loads(str(others[7]))
    return [*others, {name: [name, *each] for name, each in orjson.loads(str(estimates)).items()}]


def _view(table: str, kind: str) -> str:
    """The rows of a kind, as lines of their own and, where that is so, as a part of the lines of two rows."""
    alone = {name: f"$[{place}]" for place, name in enumerate(COLUMNS[table], 1)}
    outcome = {name: f"$[1][{place}]" for place, name in enumerate(COLUMNS["outcomes"], 1)}
    booked = {name: f"$[{place}]" for place, name in enumerate(("state", "hold", "booked", "budgets"), 2)}
    selects = [_select(kind, alone)]
    if table != "decisions":
        selects.append(_select(SETTLED, {name: booked.get(name) or outcome[name] for name in COLUMNS[table]}))
    return f"CREATE VIEW {table} AS {' UNION ALL '.join(selects)}"


def _select(kind: str, places: Mapping[str, str]) -> str:
    fields = ", ".join(f"json_extract(value, '{place}') AS {name}" for name, place in places.items())
    lines = f"groups, json_each(CAST(lines AS TEXT)) WHERE json_extract(value, '$[0]') = '{kind}'"
    return f"SELECT groups.row * 1000000 + key AS row, {fields} FROM {lines}"  # noqa: S608 - our own names


MIGRATIONS = (
    decisions_and_outcomes,
    groups,
    settlements,
    journals,
    prices_of_their_own,
    prices,
    settled_together,
    hashes_of_policies,
    sums_of_pieces,
)

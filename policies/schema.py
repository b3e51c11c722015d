"""Opens a SQLite file of ours and brings its tables up to date; a table says what was applied."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experts.base import SetupError

Migration = Callable[[sqlite3.Connection], None]
"""One step of the schema. Its name is what is recorded; it is never changed once released."""

APPLICATION = 0x4C594345
"""Marks the file as ours (`LYCE`)."""

PRIMARY = 0xFF
"""The part of SQLite's error code that tells no details."""
BUSY_SECONDS = 5.0
"""How long to wait for another process that writes."""
TURN_SECONDS = 0.002
"""Between two looks whether another process is done."""
PAGE_BYTES = 4096
"""Of a new file; each page that changes is written as a whole, with every transaction."""
LOG_BYTES = 4 << 20
"""About so much is written to a file's log before it goes into the file itself."""


def connect(
    path: Path, migrations: Sequence[Migration], durability: str = "full", page: int = PAGE_BYTES
) -> sqlite3.Connection:
    """A connection in WAL mode; commits are as durable as SQLite's `synchronous` says. `page`: its bytes in a new file.
    Raises SetupError, whose cause is SQLite's error if it has one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, migrations, durability, page)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise SetupError(f"{path}: {_mend(error)}") from error
    return connection


def momentary(error: sqlite3.OperationalError) -> bool:
    """Whether another process just writes, opens, recovers or closes the file."""
    return error.sqlite_errorcode & PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


def patiently(connection: sqlite3.Connection, statement: str, longest: float, turn: float) -> None:
    """Runs a statement, again every `turn` seconds while another process just has the file, and so for `longest`."""
    until = time.monotonic() + longest
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not momentary(error) or time.monotonic() > until:
                raise
            time.sleep(turn)
        else:
            return


def reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; rows by column name. Writers do not wait for it."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration], durability: str, page: int
) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute(f"PRAGMA page_size = {page}")
    # In this order: another process that makes the file now names it in the transaction that makes its tables.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != APPLICATION:
        raise SetupError(f"{path}: this SQLite file belongs to another program; name another file")
    # SQLite itself does not wait for another process that does so at the same time.
    patiently(connection, "PRAGMA journal_mode = WAL", BUSY_SECONDS, TURN_SECONDS)
    pages = LOG_BYTES // connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
    connection.execute(f"PRAGMA synchronous = {durability}")
    _migrate(connection, path, migrations)
    connection.execute("PRAGMA busy_timeout = 0")  # the writer takes turns in its own way


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Applies what is missing, in one transaction: several processes may open a new file at once."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied REAL NOT NULL) STRICT")
    applied = {row[0] for row in connection.execute("SELECT name FROM migrations")}
    known = {migration.__name__ for migration in migrations}
    if newer := sorted(applied - known):
        raise SetupError(f"{path}: written by a newer release (step {newer[0]!r}); install that release")
    for migration in migrations:
        if migration.__name__ not in applied:
            migration(connection)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (migration.__name__, time.time()))
    connection.execute("COMMIT")


def insert(connection: sqlite3.Connection, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> None:
    """`head` VALUES the rows `tail`, many rows in a statement of one of a few sizes, which SQLite has prepared."""
    at = 0
    for size in (64, 8, 1):
        while len(rows) - at >= size:
            values = [value for row in rows[at : at + size] for value in row]
            marks = f"({', '.join('?' * len(rows[at]))})"
            connection.execute(f"{head} VALUES {', '.join([marks] * size)} {tail}", values)
            at += size


def _mend(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return "damaged or not a SQLite file; move it away or restore a copy"
    if name.startswith("SQLITE_FULL"):
        return "the disk is full; make room"
    if name.startswith("SQLITE_BUSY"):
        return "another process holds it locked; end that process"
    return f"cannot be written ({name or error.__class__.__name__}); check that the folder exists and is writable"

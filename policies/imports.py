"""Brings the rows of journals into the ledger's file: each journal once, whatever is killed in between."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from experts.base import SetupError
from policies import journal
from policies.journal import Part
from policies.repair import sums
from policies.schema import connect
from policies.stored import MIGRATIONS, PAGE_BYTES
from policies.writer import begin

INSERT = "INSERT INTO groups (first, last, cost, lines, checksum, sums) VALUES (?, ?, ?, ?, 0, ?)"
KNOWN = "SELECT generation FROM journals WHERE owner = ?"
NOTE = "INSERT OR REPLACE INTO journals VALUES (?, ?)"


def insert(
    connection: sqlite3.Connection, first: float, last: float, cost: int, lines: Iterable[bytes | bytearray]
) -> None:
    """Lists of rows without their brackets as one record."""
    parts = [part for each in lines for part in (b",", each)]
    parts[0] = b"["
    rows = b"".join((*parts, b"]"))
    connection.execute(INSERT, (first, last, cost, rows, sums(rows)))


def bring_in(connection: sqlite3.Connection, part: Part) -> None:
    """The rows of a journal's file, unless they are there."""
    known = connection.execute(KNOWN, (part.owner,)).fetchone()
    if known is not None and known[0] >= part.generation:
        return
    for record in part.records:
        insert(connection, record.first, record.last, record.cost, record.lines)
    connection.execute(NOTE, (part.owner, part.generation))


def take_over(path: Path) -> None:
    """Brings in what processes left that died. Raises SetupError."""
    parts = journal.orphans(path)
    try:
        if parts:
            _take_over(path, parts)
    except sqlite3.Error as error:
        raise SetupError(f"{path}: its journal cannot be brought in ({error}); make room, or restore a copy") from error
    finally:
        for part in parts:
            os.close(part.file)


def _take_over(path: Path, parts: Sequence[Part]) -> None:
    with closing(connect(path, MIGRATIONS, "full", PAGE_BYTES)) as connection:
        begin(connection)
        for part in parts:
            bring_in(connection, part)
        there = {owner for owner, _, _ in journal.found(path)}
        for (owner,) in connection.execute("SELECT owner FROM journals").fetchall():
            if owner not in there:
                connection.execute("DELETE FROM journals WHERE owner = ?", (owner,))
        connection.execute("COMMIT")
    for part in parts:
        part.path.unlink()

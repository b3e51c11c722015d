"""Reads the ledger's file: the story of one request, rows of a time, what was spent, what is damaged."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

from policies import journal, prices
from policies.journal import Entry
from policies.repair import proven, repaired, sums
from policies.rows import KINDS, decode, readable
from policies.schema import reader

logger = getLogger("lyceum")

AGAIN = 100_000
"""A row that is written again within so many others is shown once."""
EARLY, LATE = 60.0, 3600.0
"""Seconds around the birth of a request in which its story is looked for: clocks differ, answers take time."""


class Damage(NamedTuple):
    """A group of rows that is not as it was written. `mended`: its rows can be read all the same."""

    group: int
    mended: bool


class Record:
    """What a ledger's file holds. Reading never waits for writing, whoever writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def explain(self, decision: str) -> dict[str, Any] | None:
        """The whole story of one request: its decisions, each with all estimates, what they brought, at what prices."""
        born = born_of(decision)
        since, until = (0.0, float("inf")) if born is None else (born - EARLY, born + LATE)
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for kind, *row in _once(self._lines(since, until, decision)):
            if row[0] == decision:
                found[kind].append(readable((kind, *row)))
        decisions, outcomes, settlements = found.values()
        if not decisions:
            return None
        costs = [outcome["cost"] for outcome in outcomes]
        return {
            "id": decision,
            "cost": None if None in costs else sum(costs),
            "decisions": sorted(decisions, key=lambda row: row["step"]),
            "outcomes": sorted(outcomes, key=lambda row: row["step"]),
            "settlements": sorted(settlements, key=lambda row: row["step"]),
            "prices": prices.named(self.path, [*outcomes, *settlements]),
        }

    def spend(self, since: float, until: float) -> int:
        """Nano-dollars of the outcomes with a known cost, from `since` up to, but without, `until` (Unix seconds)."""
        with self._now() as (connection, held):
            query = "SELECT coalesce(sum(cost), 0) FROM groups WHERE first >= ? AND last < ?"
            total = int(connection.execute(query, (since, until)).fetchone()[0])
            total += sum(entry.cost for entry in held if since <= entry.first and entry.last < until)
            for row in map(readable, _lines(connection, held, since, until, within=False)):
                if since <= row["time"] < until:
                    total += row.get("cost") or 0
        return total

    def rows(self, table: str, since: float = 0.0, until: float = float("inf")) -> Iterator[dict[str, Any]]:
        """The rows of `decisions`, `outcomes` or `settlements` in the order they were written."""
        kind = table.removesuffix("s")
        for line in _once(self._lines(since, until)):
            if line[0] == kind:
                row = readable(line)
                if since <= row["time"] < until:
                    yield row

    def damaged(self) -> list[Damage]:
        """The groups whose checksum is wrong, or the sum that stands beside them. Reads the whole file."""
        with closing(reader(self.path)) as connection:
            rows = connection.execute("SELECT row, lines, checksum, sums, cost FROM groups ORDER BY row")
            return [damage for row in rows if (damage := _damage(row)) is not None]

    def _lines(self, since: float, until: float, holding: str = "") -> Iterator[list[Any]]:
        """The lines of the sound groups that may have rows of a time and hold a text."""
        with self._now() as (connection, held):
            yield from _lines(connection, held, since, until, holding)

    @contextmanager
    def _now(self) -> Iterator[tuple[sqlite3.Connection, Sequence[Entry]]]:
        """The file as it is at one moment, and what is in journals and not yet in it."""
        while True:
            parts = journal.held(self.path)  # first: what is brought in meanwhile is then seen in the file
            with closing(reader(self.path)) as connection:
                connection.execute("BEGIN")
                known = dict(connection.execute("SELECT owner, generation FROM journals").fetchall()) if parts else {}
                there = {part[:2] for part in journal.found(self.path)} if parts else set()
                if any(part[0] not in known and part[:2] not in there for part in parts):
                    continue  # another process took it over between the two looks: nobody can tell what the file has
                new = [entries for owner, generation, entries in parts if known.get(owner, 0) < generation]
                yield connection, [entry for entries in new for entry in entries]
                return


def _lines(
    connection: sqlite3.Connection,
    held: Sequence[Entry],
    since: float,
    until: float,
    holding: str = "",
    within: bool = True,
) -> Iterator[list[Any]]:
    """The lines of groups and entries that overlap a time; without those that lie `within` it, if that is wanted."""
    where = "last >= :since AND first < :until AND instr(lines, CAST(:holding AS BLOB)) > 0"
    also = "" if within else " AND NOT (first >= :since AND last < :until)"
    query = f"SELECT row, lines, checksum, sums FROM groups WHERE {where}{also} ORDER BY row"  # noqa: S608 - our own names
    for row in connection.execute(query, {"since": since, "until": until, "holding": holding}):
        yield from decode(_sound(row))
    text = holding.encode()
    for entry in held:
        overlaps = entry.last >= since and entry.first < until
        inside = entry.first >= since and entry.last < until
        if text in entry.rows and overlaps and (within or not inside):
            yield from decode(entry.rows)


def _sound(row: sqlite3.Row) -> bytes:
    """The lines of a group as they were written; none if that cannot be told. Damage is said in the log."""
    lines: bytes = row["lines"]
    if _intact(row):
        return lines
    mended = _mended(row)
    logger.warning("group %d of the ledger is damaged, %s", row["row"], "a bit was mended" if mended else "and lost")
    return mended or b"[]"


def _damage(row: sqlite3.Row) -> Damage | None:
    if not _intact(row):
        return Damage(row["row"], _mended(row) is not None)
    cost = sum(readable(line).get("cost") or 0 for line in decode(row["lines"]))
    return None if cost == row["cost"] else Damage(row["row"], True)


def _intact(row: sqlite3.Row) -> bool:
    """Whether a group is as it was written: by its sums, or the checksum that older releases wrote."""
    lines, told = row["lines"], row["sums"]
    return bool(zlib.crc32(lines) == row["checksum"] if told is None else sums(lines) == told)


def _mended(row: sqlite3.Row) -> bytes | None:
    lines, told = row["lines"], row["sums"]
    return repaired(lines, row["checksum"]) if told is None else proven(lines, told)


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
        key = tuple(line[:3]) if line[0] == "decision" else tuple(line[:4])
        if key in seen:
            continue
        if len(seen) >= AGAIN:
            del seen[next(iter(seen))]
        seen[key] = None
        yield line

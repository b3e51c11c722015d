"""What experts' prices were: each version is written once, before anything is asked at it, and never changed.

A version is the checksum of its prices as they are written, so a damaged line is seen, and one flipped bit is mended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from logging import getLogger
from pathlib import Path
from typing import Any

import orjson

from experts.base import SetupError
from experts.card import Price
from policies.repair import repaired
from policies.schema import connect, reader
from policies.stored import MIGRATIONS, PAGE_BYTES
from policies.writer import begin

logger = getLogger("lyceum")

KEEP = "INSERT OR IGNORE INTO prices (version, seen, told) VALUES (?, ?, ?)"
ALL = "SELECT version, seen, told FROM prices ORDER BY seen, version"
THERE = "SELECT count(*) FROM sqlite_master WHERE name = 'prices'"
"""0 in the file of an older release that no gateway has opened since."""


def keep(path: Path, prices: Iterable[Price], now: float) -> None:
    """Writes those that are not in the ledger's file yet, durably. Raises SetupError."""
    wanted = {price.version: price.told for price in prices}
    try:
        with closing(reader(path)) as connection:
            there = {row["version"] for row in connection.execute(ALL)}
        new = [(version, now, told) for version, told in wanted.items() if version not in there]
        if new:
            _write(path, new)
    except sqlite3.Error as error:
        raise SetupError(f"{path}: prices cannot be kept ({error}); make room, or restore a copy") from error


def _write(path: Path, new: list[tuple[str, float, bytes]]) -> None:
    with closing(connect(path, MIGRATIONS, "full", PAGE_BYTES)) as connection:
        begin(connection)
        connection.executemany(KEEP, new)
        connection.execute("COMMIT")


def kept(path: Path) -> Iterator[dict[str, Any]]:
    """All versions in the order in which they were seen first: `version`, `seen` (Unix seconds), and `usd`: dollars
    by kind, of a million tokens or an hour of CPU; `None` if they are damaged beyond mending."""
    with closing(reader(path)) as connection:
        rows = connection.execute(ALL).fetchall() if connection.execute(THERE).fetchone()[0] else []
    for version, seen, told in rows:
        yield {"version": version, "seen": seen, "usd": _read(version, told)}


def named(path: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The versions that rows of the ledger name, as far as they are known."""
    versions = {row["price"] for row in rows if row["price"]}
    return [one for one in kept(path) if one["version"] in versions] if versions else []


def _read(version: str, told: bytes) -> dict[str, float] | None:
    """The prices of a line; `None` if it is damaged beyond mending. Damage is said in the log."""
    try:
        prices: dict[str, float] = orjson.loads(repaired(told, int(version, 16)) or b"")
    except ValueError:
        logger.warning("the prices of version %s in the ledger are damaged and lost", version)
        return None
    return prices

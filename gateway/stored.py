"""Keeps responses for the clients that ask for it: per key, for so many days, in a SQLite file of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from policies.schema import reader
from policies.writer import Writer

DAY = 86_400.0
LONGEST_CHAIN = 1000
"""Responses of one conversation; a longer one must be sent by the client itself."""


class Kept(NamedTuple):
    """A response, the items that were new in its request, and the response that it goes on from."""

    response: dict[str, Any]
    items: list[dict[str, Any]]
    previous: str | None = None


class Put(NamedTuple):
    """To be kept; one that was cancelled stays so."""

    key: str
    kept: Kept
    created: float
    oldest: float


class Delete(NamedTuple):
    """To be thrown away."""

    key: str
    id: str


class Stored:
    """The responses that are kept."""

    def __init__(self, path: Path, days: float) -> None:
        """Opens or makes the file. Raises SetupError."""
        self.path, self.days = path, days
        self.running: dict[tuple[str, str], asyncio.Task[None]] = {}
        """What is made in the background, by key and response."""
        self.writer: Writer[Put | Delete] = Writer(path, (responses,), _work)

    async def put(self, key: str, kept: Kept) -> None:
        """Keeps a response; it is durable at the end. Raises StoreUnavailable."""
        now = time.time()
        await self.writer.submit(Put(key, kept, now, now - self.days * DAY))

    async def delete(self, key: str, response_id: str) -> bool:
        """Throws a response away; whether it was there."""
        return bool(await self.writer.submit(Delete(key, response_id)))

    async def get(self, key: str, response_id: str) -> Kept | None:
        """A response of a key."""
        return await asyncio.to_thread(self._get, key, response_id)

    async def context(self, key: str, response_id: str) -> list[dict[str, Any]] | None:
        """The items of a conversation up to and with a response; `None` if it, or one before it, is not here."""
        return await asyncio.to_thread(self._context, key, response_id)

    async def close(self) -> None:
        """Gives up what is made in the background, and writes what is queued."""
        tasks = list(self.running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.writer.close()

    def _context(self, key: str, response_id: str) -> list[dict[str, Any]] | None:
        turns: list[list[dict[str, Any]]] = []
        following: str | None = response_id
        while following is not None:
            kept = self._get(key, following)
            if kept is None or len(turns) == LONGEST_CHAIN:
                return None
            turns.append([*kept.items, *kept.response.get("output", [])])
            following = kept.previous
        return [item for turn in reversed(turns) for item in turn]

    def _get(self, key: str, response_id: str) -> Kept | None:
        with closing(reader(self.path)) as connection:
            query = "SELECT response, items, previous FROM responses WHERE key = ? AND id = ? AND created >= ?"
            row = connection.execute(query, (key, response_id, time.time() - self.days * DAY)).fetchone()
        return None if row is None else Kept(orjson.loads(row[0]), orjson.loads(row[1]), row[2])


def _work(connection: sqlite3.Connection, items: Sequence[Put | Delete]) -> Sequence[Any]:
    return [_put(connection, item) if isinstance(item, Put) else _delete(connection, item) for item in items]


def _put(connection: sqlite3.Connection, item: Put) -> bool:
    response, items, previous = item.kept
    connection.execute("DELETE FROM responses WHERE created < ?", (item.oldest,))
    connection.execute(
        "INSERT INTO responses (key, id, created, status, response, items, previous) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key, id) DO UPDATE SET status = excluded.status, response = excluded.response"
        " WHERE status <> 'cancelled'",
        (
            *(item.key, response["id"], item.created, str(response.get("status"))),
            *(orjson.dumps(response), orjson.dumps(items), previous),
        ),
    )
    return True


def _delete(connection: sqlite3.Connection, item: Delete) -> bool:
    found = connection.execute("DELETE FROM responses WHERE key = ? AND id = ?", (item.key, item.id))
    return found.rowcount > 0


def responses(connection: sqlite3.Connection) -> None:
    """The first table."""
    connection.execute("""
        CREATE TABLE responses (
            key TEXT NOT NULL, id TEXT NOT NULL, created REAL NOT NULL, status TEXT NOT NULL,
            response BLOB NOT NULL, items BLOB NOT NULL, previous TEXT,
            PRIMARY KEY (key, id)
        ) STRICT""")
    connection.execute("CREATE INDEX responses_created ON responses (created)")

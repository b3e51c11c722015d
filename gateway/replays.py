"""Answers kept under a client's Idempotency-Key: one run, then the same bytes again, also after a crash.

What is kept holds what the expert said, so it is kept only for clients that send the header, and for some hours.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import psutil
from msgspec import Struct

from gateway.errors import APIError
from gateway.http import Headers, HTTPCall
from policies.writer import Writer

HEADER = b"idempotency-key"
LONGEST = 255
Job = Callable[[sqlite3.Connection], Any]


class Name(Struct, frozen=True):
    """Whose run it is, and of what: the same name with another `digest` is another request."""

    key: str
    name: str
    digest: bytes


class Saved(Struct, frozen=True):
    """An answer as it was sent."""

    status: int
    headers: Headers
    body: bytes


class Replays:
    """The runs in a SQLite file that all workers share."""

    def __init__(self, path: Path, hours: float = 24.0, clock: Callable[[], float] = time.time) -> None:
        """Opens or makes the file. Raises SetupError."""
        self._writer: Writer[Job] = Writer(path, (replays,), _run)
        self._seconds, self._clock = hours * 3600, clock
        self._me = owner(os.getpid())

    async def claim(self, name: Name) -> Saved | None:
        """The answer that this name has had; `None`: it is new, and now ours to run. Raises APIError: it runs
        already, it was cut off by a crash, or it names another request."""
        found = await self._writer.submit(lambda connection: self._take(connection, name))
        if found is None:
            return None
        digest, holder, answer = found
        if digest != name.digest:
            raise APIError("idempotency_key_reuse")
        if answer is not None:
            status, headers, body = answer
            return Saved(status, [(key.encode(), value.encode()) for key, value in orjson.loads(headers)], body)
        if holder == self._me or owner(int(holder.split()[0])) == holder:
            raise APIError("idempotency_key_in_use", headers={"retry-after": "1"})
        raise APIError("idempotency_key_interrupted")

    async def save(self, name: Name, answer: Saved) -> None:
        """Keeps an answer; durable when this returns."""
        headers = orjson.dumps([(key.decode(), value.decode()) for key, value in answer.headers]).decode()
        values = (answer.status, headers, answer.body, name.key, name.name)
        query = "UPDATE replays SET status = ?, headers = ?, body = ? WHERE key = ? AND name = ?"
        await self._writer.submit(lambda connection: connection.execute(query, values).rowcount)

    async def release(self, name: Name) -> None:
        """Forgets a run that asked nobody: the name may be used again."""
        query = "DELETE FROM replays WHERE key = ? AND name = ? AND status IS NULL"
        await self._writer.submit(lambda connection: connection.execute(query, (name.key, name.name)).rowcount)

    async def close(self) -> None:
        """Ends after what was said is durable."""
        await self._writer.close()

    def _take(self, connection: sqlite3.Connection, name: Name) -> tuple[bytes, str, Any] | None:
        now = self._clock()
        connection.execute("DELETE FROM replays WHERE time < ?", (now - self._seconds,))
        values = (name.key, name.name, name.digest, self._me, now)
        query = "INSERT INTO replays (key, name, digest, owner, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        if connection.execute(query, values).rowcount:
            return None
        query = "SELECT digest, owner, status, headers, body FROM replays WHERE key = ? AND name = ?"
        digest, holder, *answer = connection.execute(query, (name.key, name.name)).fetchone()
        return digest, holder, None if answer[0] is None else answer


def name_of(call: HTTPCall, key: str) -> Name:
    """The name of a call's run. Raises APIError."""
    try:
        name = call.headers[HEADER].decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if not 0 < len(name) <= LONGEST:
        raise APIError("invalid_value", f"Idempotency-Key must be 1 to {LONGEST} ASCII characters.", "Idempotency-Key")
    asked = b"\0".join((call.method.encode(), call.path.encode(), call.query.encode(), call.body))
    return Name(key, name, hashlib.sha256(asked).digest())


def owner(process: int) -> str:
    """A process and when it began, so that a number used again is not taken for it; empty if there is none."""
    try:
        return f"{process} {psutil.Process(process).create_time()}"
    except psutil.NoSuchProcess:
        return ""


def _run(connection: sqlite3.Connection, jobs: Sequence[Job]) -> Sequence[Any]:
    return [job(connection) for job in jobs]


def replays(connection: sqlite3.Connection) -> None:
    """The first table."""
    connection.execute("""
        CREATE TABLE replays (
            key TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, owner TEXT NOT NULL, time REAL NOT NULL,
            status INTEGER, headers TEXT, body BLOB, PRIMARY KEY (key, name)
        ) STRICT""")
    connection.execute("CREATE INDEX replays_time ON replays (time)")

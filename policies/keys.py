"""Virtual keys: who a client is, whose money it spends, whom it may ask; a secret is shown once and never stored."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from experts.base import SetupError
from policies.schema import reader
from policies.writer import Writer

PREFIX = "lyc"
NOBODY = bytes(32)
"""Compared with when there is no such key, so that it takes as long."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. Times are Unix seconds; empty `experts` or `policies` allow all."""

    id: str
    name: str
    org: str = ""
    team: str = ""
    user: str = ""
    experts: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None

    @property
    def scopes(self) -> dict[str, str]:
        """What budgets and rates this key's calls meet."""
        known = {"org": self.org, "team": self.team, "key": self.id, "user": self.user}
        return {kind: value for kind, value in known.items() if value}

    def valid(self, now: float) -> bool:
        """Whether it may still be used."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class Stored:
    """A key with the digests of its secret, and of the one before for as long as that is good."""

    key: Key
    digest: bytes
    before: bytes | None
    before_until: float


Job = Callable[[sqlite3.Connection], Any]


class Keys:
    """The keys in a SQLite file. What another process changes is seen by the next look-up."""

    def __init__(self, path: Path, pepper: bytes, clock: Callable[[], float] = time.time) -> None:
        """Opens or makes the file. Raises SetupError."""
        self._writer: Writer[Job] = Writer(path, MIGRATIONS, _run)
        self._reader = reader(path)
        self._pepper, self._clock = pepper, clock
        self._version: int | None = None
        self._stored: dict[str, Stored] = {}

    async def create(self, name: str, *, seconds: float | None = None, **about: Any) -> tuple[Key, str]:
        """A new key and its secret, which nobody can show again. `about`: org, team, user, experts, policies;
        `seconds` is how long it is good."""
        now = self._clock()
        expires = None if seconds is None else now + seconds
        key = Key(secrets.token_hex(6), name, **about, created=now, expires=expires)
        secret = _secret(key.id)
        values = [_column(getattr(key, column)) for column in COLUMNS]
        await self._writer.submit(lambda connection: _insert(connection, [*values, self._digest(secret), None, 0.0]))
        return key, secret

    async def revoke(self, name: str) -> bool:
        """Ends a key at once, by its id; whether it was good until now."""
        now = self._clock()
        query = "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL"
        return bool(await self._writer.submit(lambda connection: connection.execute(query, (now, name)).rowcount))

    async def rotate(self, name: str, grace: float = 0.0) -> str | None:
        """A new secret for a key, by its id; the old one is good for `grace` seconds more. `None`: no such key."""
        secret, until = _secret(name), self._clock() + grace
        query = "UPDATE keys SET before = digest, before_until = ?, digest = ? WHERE id = ? AND revoked IS NULL"
        values = (until, self._digest(secret), name)
        changed = await self._writer.submit(lambda connection: connection.execute(query, values).rowcount)
        return secret if changed else None

    def find(self, secret: str) -> Key | None:
        """The key of a secret, if it is good; takes the same time whatever is wrong with it."""
        stored = self._load().get(_id(secret))
        presented, now = self._digest(secret), self._clock()
        current = hmac.compare_digest(stored.digest if stored else NOBODY, presented)
        old = stored.before if stored and stored.before and now < stored.before_until else NOBODY
        before = hmac.compare_digest(old, presented)
        return stored.key if stored and (current or before) and stored.key.valid(now) else None

    def list(self) -> Sequence[Key]:
        """All keys, also those that ended, the oldest first."""
        return [stored.key for stored in self._load().values()]

    async def close(self) -> None:
        """Ends after what was changed is durable."""
        await self._writer.close()
        self._reader.close()

    def _digest(self, secret: str) -> bytes:
        return hmac.new(self._pepper, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def _load(self) -> dict[str, Stored]:
        version = self._reader.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            query = "SELECT * FROM keys ORDER BY created, id"
            self._stored = {row["id"]: _stored(row) for row in self._reader.execute(query)}
            self._version = version
        return self._stored


def pepper(path: Path) -> bytes:
    """The 32 random bytes without which the stored digests are useless; made on first use, for the owner alone."""
    try:
        if path.exists():
            return _whole(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SetupError(f"{path}: cannot be read or made; check that the folder exists and is writable") from error
    made = secrets.token_bytes(32)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made


def _whole(path: Path) -> bytes:
    found = path.read_bytes()
    if len(found) != 32:
        raise SetupError(f"{path}: the pepper must be 32 bytes; restore the file, or no key can be used")
    return found


def _secret(name: str) -> str:
    return f"{PREFIX}-{name}-{secrets.token_urlsafe(32)}"


def _id(secret: str) -> str:
    parts = secret.split("-", 2)
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX else ""


def _run(connection: sqlite3.Connection, jobs: Sequence[Job]) -> Sequence[Any]:
    return [job(connection) for job in jobs]


def _insert(connection: sqlite3.Connection, values: Sequence[Any]) -> None:
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO keys VALUES ({marks})", values)  # noqa: S608 - only question marks


def _column(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, tuple | list) else value


def _stored(row: sqlite3.Row) -> Stored:
    values = {column: row[column] for column in COLUMNS}
    lists = {column: tuple(orjson.loads(values[column])) for column in ("experts", "policies")}
    return Stored(Key(**(values | lists)), row["digest"], row["before"], row["before_until"])


COLUMNS = tuple(field.name for field in fields(Key))


def keys(connection: sqlite3.Connection) -> None:
    """The first table."""
    connection.execute("""
        CREATE TABLE keys (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, org TEXT NOT NULL, team TEXT NOT NULL, user TEXT NOT NULL,
            experts TEXT NOT NULL, policies TEXT NOT NULL, created REAL NOT NULL, expires REAL, revoked REAL,
            digest BLOB NOT NULL, before BLOB, before_until REAL NOT NULL
        ) STRICT""")


MIGRATIONS = (keys,)

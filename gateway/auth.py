"""Who is asking: bearer keys, known by the SHA-256 of their text; every route denies what it does not know."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from experts.base import SetupError
from gateway.errors import APIError

PREFIX = "lyc-"
SCHEME = b"bearer "


def digest(secret: str) -> bytes:
    """What is kept of a key. Keys are 256 random bits, so a plain hash cannot be searched back."""
    return hashlib.sha256(secret.encode()).digest()


class Kept(NamedTuple):
    """A key as it is known here."""

    name: str
    digest: bytes


NOBODY = Kept("", bytes(32))


class Keys:
    """The keys of the configuration, by name."""

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        self.kept = {value: Kept(name, value) for name, value in digests.items()}

    def name(self, headers: Mapping[bytes, bytes]) -> str:
        """The name of the key that a call carries. Raises APIError 401 with one message for every cause."""
        header = headers.get(b"authorization", b"")
        presented = hashlib.sha256(header[len(SCHEME) :]).digest()
        kept = self.kept.get(presented, NOBODY)
        if not hmac.compare_digest(kept.digest, presented) or header[: len(SCHEME)].lower() != SCHEME:
            raise APIError("invalid_api_key", headers={"www-authenticate": "Bearer"})
        return kept.name


def from_table(table: Mapping[str, Mapping[str, str]]) -> Keys:
    """Keys of a configuration's `[keys.NAME]` tables: `env` names a variable with the secret, `sha256` is its hash."""
    digests = {}
    for name, entry in table.items():
        if "sha256" in entry:
            digests[name] = _hex(entry["sha256"], name)
            continue
        secret = os.environ.get(entry.get("env", ""))
        if not secret:
            raise SetupError(f"keys.{name}: set the variable {entry.get('env', '')!r} or give sha256")
        digests[name] = digest(secret)
    return Keys(digests)


def _hex(value: str, name: str) -> bytes:
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise SetupError(f"keys.{name}.sha256: give 64 hexadecimal digits")
    return raw


def local_key(path: Path) -> str:
    """The secret of the key file, made on first use and readable by its owner alone."""
    if path.exists():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = PREFIX + secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    return secret

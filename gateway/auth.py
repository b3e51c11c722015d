"""Who is asking: bearer keys of the configuration and virtual ones; every route denies what it does not know."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experts.base import SetupError
from experts.build import convert
from experts.catalog import Catalog
from gateway.errors import APIError
from policies.keys import Key, pepper
from policies.keys import Keys as VirtualKeys

if TYPE_CHECKING:
    from gateway.turn import Head

PREFIX = "lyc-"
SCHEME = b"bearer "
KEYS, PEPPER = "keys.sqlite", "pepper"
"""The files of virtual keys in the state folder."""
TABLE = ("env", "sha256", "org", "team", "user", "experts", "policies")
"""What a `[keys.NAME]` table may say."""


def digest(secret: str) -> bytes:
    """What is kept of a key. Keys are 256 random bits, so a plain hash cannot be searched back."""
    return hashlib.sha256(secret.encode()).digest()


class Kept(NamedTuple):
    """A key as it is known here."""

    key: Key
    digest: bytes


KNOWN = 1024
"""How many of what is remembered of keys are kept at most."""
NOBODY = Kept(Key("", ""), bytes(32))


class Keys:
    """The keys of the configuration by the digests of their secrets, and the virtual ones that are kept in a file."""

    def __init__(self, digests: Mapping[str, bytes], about: Mapping[str, Key] | None = None) -> None:
        """`about` says more of a key than its name."""
        self.known = {name: Key(name, name) for name in digests} | dict(about or {})
        self.kept = {value: Kept(self.known[name], value) for name, value in digests.items()}
        self.virtual: Virtual | None = None
        self.open = not any(key.experts or key.policies for key in self.known.values())
        """Whether every key may ask everybody."""
        self.met: dict[str, Mapping[str, str]] = {}
        """The scopes of known keys; the same ones each time."""
        self.lately: dict[str, Any] = {}
        """What others remember of keys for a moment; forgotten when a key changes."""
        self.catalogs: dict[tuple[str, str, int], tuple[Key, Catalog, Catalog]] = {}
        """What a key may ask of a catalog for a model. The catalog is kept, so that no other takes its place."""
        self.named: dict[bytes, str] = {}
        """The names of keys of the configuration by the headers that carried them: such a key is good for as long as
        the configuration is. A virtual key may end at any time and is looked for each time."""

    def name(self, headers: Mapping[bytes, bytes]) -> str:
        """The name of the key that a call carries. Raises APIError 401 with one message for every cause."""
        header = headers.get(b"authorization", b"")
        name = self.named.get(header)
        return self._name(header) if name is None else name

    def of(self, head: Head) -> str:
        """The same of a request; its head is told the name if that is good for as long as the configuration is."""
        name = self.name(head.headers)
        head.key = self.named.get(head.headers.get(b"authorization", b""), "")
        return name

    def _name(self, header: bytes) -> str:
        presented = hashlib.sha256(header[len(SCHEME) :]).digest()
        kept = self.kept.get(presented, NOBODY)
        bearer = header[: len(SCHEME)].lower() == SCHEME
        if bearer and hmac.compare_digest(kept.digest, presented):
            if len(self.named) >= KNOWN:
                self.named.clear()
            self.named[header] = kept.key.name
            return kept.key.name
        key = self.virtual.find(header[len(SCHEME) :]) if bearer and self.virtual is not None else None
        if key is None:
            raise APIError("invalid_api_key", headers={"www-authenticate": "Bearer"})
        if self.known.get(key.id) is not key:
            self.known[key.id] = key
            self.met.pop(key.id, None)
            self.lately.pop(key.id, None)
        self.open = self.open and not (key.experts or key.policies)
        return key.id

    def scopes(self, name: str) -> Mapping[str, str]:
        """What budgets and rates meet of a key that has just been named."""
        return self.met.get(name) or self._scopes(name)

    def _scopes(self, name: str) -> Mapping[str, str]:
        known = self.known.get(name)
        if known is None:
            return {"key": name}
        met = self.met[name] = known.scopes
        return met

    def may(self, name: str, model: str) -> bool:
        """Whether a key may ask for a model that is no expert's name: a policy, or the dial."""
        known = self.known.get(name)
        return known is None or not known.policies or model.partition(":")[0] in known.policies

    def experts(self, name: str, experts: Iterable[str]) -> list[str]:
        """Those of some experts that a key may ask."""
        known = self.known.get(name)
        return [expert for expert in experts if known is None or not known.experts or expert in known.experts]

    async def close(self) -> None:
        """Ends after what was changed is durable."""
        if self.virtual is not None and self.virtual.keys is not None:
            await self.virtual.keys.close()

    def permitted(self, name: str, model: str, catalog: Catalog) -> Catalog:
        """The experts that a key may ask. Raises APIError if there is none, or if the policy is not for it."""
        if self.open:
            return catalog
        known = self.known.get(name)
        if known is None or not catalog:
            return catalog
        asked = (name, model, id(catalog))
        found = self.catalogs.get(asked)
        if found is None or found[0] is not known:
            kept = {expert: catalog[expert] for expert in self.experts(name, catalog)}
            if not kept or not (model in catalog or self.may(name, model)):
                raise APIError("model_not_allowed", param="model")
            if len(self.catalogs) >= KNOWN:
                self.catalogs.clear()
            found = self.catalogs[asked] = known, catalog, kept
        return found[2]


class Virtual:
    """The virtual keys of a state folder; its files are opened once there are any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: VirtualKeys | None = None

    def opened(self) -> VirtualKeys:
        """The keys, their file made if there is none. Raises SetupError."""
        if self.keys is None:
            self.keys = VirtualKeys(self.folder / KEYS, pepper(self.folder / PEPPER))
        return self.keys

    def find(self, secret: bytes) -> Key | None:
        """The key of a secret. Raises APIError if the file cannot be read: that is nobody's wrong key."""
        if self.keys is None and not (self.folder / KEYS).exists():
            return None
        try:
            return self.opened().find(secret.decode("latin-1"))
        except (sqlite3.Error, SetupError) as error:
            raise APIError("key_store_unavailable") from error


def from_table(table: Mapping[str, Mapping[str, Any]]) -> Keys:
    """Keys of a configuration's `[keys.NAME]` tables: `env` names a variable with the secret, `sha256` is its hash."""
    digests, about = {}, {}
    for name, entry in table.items():
        given = {key: value for key, value in entry.items() if key not in ("env", "sha256")}
        about[name] = convert({**given, "id": name, "name": name}, Key, f"keys.{name}")
        if "sha256" in entry:
            digests[name] = _hex(entry["sha256"], name)
            continue
        secret = os.environ.get(entry.get("env", ""))
        if not secret:
            raise SetupError(f"keys.{name}: set the variable {entry.get('env', '')!r} or give sha256")
        digests[name] = digest(secret)
    return Keys(digests, about)


def admin(variable: str) -> bytes | None:
    """The digest of the key for /admin, from the variable that holds it. Raises SetupError if it is not set."""
    if not variable:
        return None
    secret = os.environ.get(variable)
    if not secret:
        raise SetupError(f"server.admin_key_env: set the variable {variable!r}, or take the key out")
    return digest(secret)


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

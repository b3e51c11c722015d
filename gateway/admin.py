"""What the operator may do over HTTP with a key of its own: make, list, rotate and revoke virtual keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gateway.auth import SCHEME
from gateway.body import parsed
from gateway.errors import APIError
from gateway.http import Handler, HTTPCall, Reply, send_json
from policies.keys import Key
from policies.keys import Keys as VirtualKeys

if TYPE_CHECKING:
    from gateway.handlers import Door

TEXTS, LISTS = ("name", "org", "team", "user"), ("experts", "policies")
LONGEST = 64
"""Characters of a name."""
MOST_SECONDS = 100 * 365 * 86_400.0


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of each address."""
    admin = Admin(door)
    return {
        ("POST", "/admin/keys"): admin.create,
        ("GET", "/admin/keys"): admin.list,
        ("DELETE", "/admin/keys/"): admin.revoke,
        ("POST", "/admin/keys/{id}/rotate"): admin.rotate,
    }


class Admin:
    """The virtual keys, for whoever holds the admin key."""

    def __init__(self, door: Door) -> None:
        self.door = door

    async def create(self, call: HTTPCall, reply: Reply) -> None:
        """POST /admin/keys: a new virtual key; its secret is shown this once."""
        keys = self.keys(call)
        fields = parsed(call.body)
        about = {name: _checked(name, fields.get(name)) for name in (*TEXTS, *LISTS) if fields.get(name) is not None}
        for name in fields:
            if name not in (*TEXTS, *LISTS, "seconds"):
                raise APIError("invalid_value", "There is no such field.", name if name.isprintable() else None)
        for name, known in (("experts", self.door.school.experts), ("policies", ["auto", *self.door.school.policies])):
            if any(each not in known for each in about.get(name, ())):
                raise APIError("invalid_value", f"{name} must be names that the configuration has.", name)
        key, secret = await keys.create(about.pop("name", ""), seconds=_seconds(fields.get("seconds")), **about)
        await send_json(reply, {**shown(key), "secret": secret}, 201)

    async def list(self, call: HTTPCall, reply: Reply) -> None:
        """GET /admin/keys: all virtual keys without their secrets, also those that ended."""
        keys = self.keys(call)
        await send_json(reply, {"object": "list", "data": [shown(key) for key in keys.list()]})

    async def revoke(self, call: HTTPCall, reply: Reply) -> None:
        """DELETE /admin/keys/{id}: the key is good for nothing from now on."""
        keys, name = self.keys(call), call.path.removeprefix("/admin/keys/")
        if not await keys.revoke(name):
            raise APIError("key_not_found")
        await send_json(reply, {"id": name, "object": "key", "revoked": True})

    async def rotate(self, call: HTTPCall, reply: Reply) -> None:
        """POST /admin/keys/{id}/rotate: a new secret; the old one is good for the body's `grace` seconds more."""
        keys, name = self.keys(call), call.path.split("/")[3]
        grace = _seconds(parsed(call.body).get("grace") if call.body else None)
        secret = await keys.rotate(name, grace or 0.0)
        if secret is None:
            raise APIError("key_not_found")
        await send_json(reply, {"id": name, "object": "key", "secret": secret})

    def keys(self, call: HTTPCall) -> VirtualKeys:
        """The keys, if the call carries the admin key. Raises APIError."""
        header = call.headers.get(b"authorization", b"")
        presented = hashlib.sha256(header[len(SCHEME) :]).digest()
        good = hmac.compare_digest(self.door.admin_key or bytes(32), presented)
        if self.door.admin_key is None or not good or header[: len(SCHEME)].lower() != SCHEME:
            raise APIError("invalid_api_key", headers={"www-authenticate": "Bearer"})
        if self.door.keys.virtual is None:
            raise APIError("key_store_unavailable")
        return self.door.keys.virtual.opened()


def shown(key: Key) -> dict[str, Any]:
    """A key for people: there is no secret in it."""
    about: Mapping[str, Any] = asdict(key)
    return {"object": "key", **about}


def _checked(name: str, value: Any) -> Any:
    if name in TEXTS:
        if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
            raise APIError("invalid_type", f"{name} must be a string of at most {LONGEST} characters.", name)
        return value
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise APIError("invalid_type", f"{name} must be a list of strings.", name)
    return tuple(value)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_SECONDS:
        raise APIError("invalid_value", "Seconds must be a number above 0, at most a hundred years.")
    return float(value)

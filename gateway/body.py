"""Reads the JSON object of a body so that nobody after us can read another: no key twice, no bottomless nesting."""

from __future__ import annotations

import json
from typing import Any

import orjson
from msgspec import DecodeError
from msgspec.json import format as spaced

from gateway.errors import APIError

DEPTH = 64
"""Objects and lists inside each other; JSON that is deeper cannot even be written again by everyone."""


def parsed(body: bytes) -> dict[str, Any]:
    """The object. Raises APIError."""
    try:
        fields: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise no_json(error) from None
    checked(fields, body)
    return fields


def no_json(error: orjson.JSONDecodeError) -> APIError:
    """What the client hears of a body that cannot be read."""
    return APIError("invalid_json", f"The body is not valid JSON: {error.msg} at byte {error.pos}.")


def checked(fields: Any, body: bytes) -> None:
    """Raises APIError unless what was read of a body is an object that everybody reads as we do."""
    if not isinstance(fields, dict):
        raise APIError("invalid_json", "The body must be a JSON object.")
    if not _flat(fields):
        shallow(fields)
    again = orjson.dumps(fields)
    if again != body:
        once(body, again)


def once(body: bytes, again: bytes) -> None:
    """Raises APIError if a key comes twice in a body, which is another than what was written again of it."""
    if body.isascii() == again.isascii() and unspaced(body) == again:  # not so where letters are escaped that need not
        return
    if again.count(QUOTE) != body.count(QUOTE) or body.find(HIDDEN_QUOTE) >= 0:  # "in" would try it as a number first
        json.loads(body, object_pairs_hook=_once)


def unspaced(body: bytes) -> bytes:
    """A body without white space between its values, all else as it came; nothing if it cannot be read so."""
    try:
        return spaced(body, indent=-1)
    except DecodeError:
        return b""


QUOTE, HIDDEN_QUOTE = b'"', b"\\u0022"
"""What is read keeps one key of two: written again it has fewer quotation marks, unless there were hidden ones."""
NESTS = (dict, list)
NOT_FLAT = frozenset(NESTS)


def _flat(fields: dict[str, Any]) -> bool:
    """Whether nothing but a list of messages holds others, and these hold none."""
    for name, value in fields.items():
        if type(value) not in NESTS:
            continue
        if name != "messages" or type(value) is dict:
            return False
        for message in value:
            if type(message) is not dict or not NOT_FLAT.isdisjoint(map(type, message.values())):
                return False
    return True


def shallow(value: Any) -> None:
    """Raises APIError for a value that nests too many others."""
    level = [value]
    for _ in range(DEPTH):
        level = [
            child for each in level for child in (each.values() if type(each) is dict else each) if type(child) in NESTS
        ]
        if not level:
            return
    raise APIError("invalid_value", f"The body nests more than {DEPTH} objects and lists inside each other.")


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raises APIError for a key that comes twice."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            name = key if key.isprintable() and len(key) <= 64 else "A key"
            raise APIError("duplicate_key", f"{name} stands twice in one object.", name if name == key else None)
        seen.add(key)

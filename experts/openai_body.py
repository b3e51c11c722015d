"""Writes the body for an OpenAI-compatible server: the client's own bytes, but for what must be another.

What is still as it came is copied, not written again: numbers keep their digits, texts their escapes, and a prompt of
any length costs one copy. Each key is written once, so that no server can read another body than we did.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from experts.base import Body, Request

PARTS = msgspec.json.Decoder(dict[str, Raw])
OURS = frozenset({"model", "stream_options"})


def written(request: Request, model: str, counted: bool = False) -> bytes:
    """The request as the server is to get it: with its name of the model, and usage asked for when it streams, with
    every event if `counted`."""
    ours: dict[str, Any] = {"model": model}
    options = request.options
    if request.stream:
        asked = options.get("stream_options")
        ours["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}
        if counted:
            ours["stream_options"]["continuous_usage_stats"] = True
    elif "stream_options" in options:
        ours["stream_options"] = options["stream_options"]
    body = request.body
    if body is None or body.messages is not request.messages:
        return orjson.dumps({**options, "messages": request.messages, **ours})
    return _copied(body, request, ours)


def _copied(body: Body, request: Request, ours: dict[str, Any]) -> bytes:
    options, came = request.options, body.options
    parts: list[Any] = []
    for name, value in PARTS.decode(body.data).items():
        if name == "messages" or (name not in OURS and name in options and options[name] is came.get(name)):
            parts += (_key(name), value)
    new = {name: value for name, value in options.items() if name not in came or value is not came[name]}
    for name, value in {**new, **ours}.items():
        parts += (_key(name), orjson.dumps(value))
    parts[0] = b"{" + parts[0][1:]
    return b"".join([*parts, b"}"])


@lru_cache(maxsize=512)
def _key(name: str) -> bytes:
    return b"," + orjson.dumps(name) + b":"

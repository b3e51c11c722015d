"""Writes the body for an OpenAI-compatible server: the client's own bytes, but for what must be another.

What is still as it came is not written again: numbers keep their digits, texts their escapes, and a long prompt is not
even copied. Each key is written once, so that no server can read another body than we did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from experts.base import Body, Request, Splice
from experts.http1_exchange import Payload

PARTS = msgspec.json.Decoder(dict[str, Raw])
OURS = frozenset({"model", "stream_options"})
FIRST = re.compile(rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.)*")')
MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
TAIL = 4096
"""Bytes at the end of a body in which `model` is looked for, where it does not come first."""
GONE = object()


NEEDED = ({"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True})
"""Asked of a server for a stream: the usage at its end, or with every event."""
ASKED = tuple(b',"stream_options":' + orjson.dumps(needed) for needed in NEEDED)
MOST = 64
"""Ways to write bodies with the same frame that are remembered."""
LONG = 16 * 1024
"""Bytes from which on a body is given in parts, of which the client's are not copied."""


def written(request: Request, model: str, counted: bool = False, style: str = "") -> Payload:
    """The request as the server is to get it: with its name of the model, and usage asked for when it streams, with
    every event if `counted`. How that is done is remembered for others like it by the `style`, the name of both."""
    options, body = request.options, request.body
    ours = _asked(options, counted) if "stream_options" in options or options.get("stream") else {}
    if body is None or body.messages is not request.messages:
        return orjson.dumps({**options, "messages": request.messages, **ours, "model": model})
    data = body.data
    place = body.named or named(data)
    if place is None:
        return _copied(body, request, {"model": model, **ours})
    begin, end = place
    came = data if len(data) < LONG else memoryview(data)
    parts: tuple[bytes | memoryview, ...] = came[:begin], _name(model), came[end:]
    if ours or options is not body.options:
        usual = options is body.options and "stream_options" not in options
        new = ASKED[counted] if usual else _new(body.options, {**options, **ours})
        if new is None or data[-1:] != b"}":
            return _copied(body, request, {"model": model, **ours})
        parts = came[:begin], _name(model), came[end:-1], new, b"}"
    if body.splices is not None and style and options is body.options and len(body.splices) < MOST:
        body.splices[style] = _splice(data, place, [bytes(part) for part in parts])
    return b"".join(parts) if came is data else parts


def _splice(data: bytes, place: tuple[int, int], parts: list[bytes]) -> Splice:
    """How `data` was written, in parts of which those around the name of the model are its own."""
    (begin, end), (first, name, rest, *new), size = place, parts, sum(map(len, parts))
    after = b"".join(new)
    if begin < 0:
        return Splice(b"", slice(None, begin), name + rest + after, size - len(data))
    return Splice(first + name, slice(end, -1 if after else None), after, size - len(data))


def _asked(options: Mapping[str, Any], counted: bool) -> dict[str, Any]:
    """What is asked about the usage; what the client has asked already is left alone."""
    asked = options.get("stream_options")
    if not options.get("stream"):
        return {"stream_options": asked} if "stream_options" in options else {}
    needed = NEEDED[counted]
    if not isinstance(asked, dict):
        return {"stream_options": needed}
    missing = any(asked.get(name) is not True for name in needed)
    return {"stream_options": {**asked, **needed} if missing else asked}


def _new(came: Mapping[str, Any], wanted: Mapping[str, Any]) -> bytes | None:
    """What is to stand at a body's end beside what came; `None` if some of that is to be another."""
    if any(wanted.get(name, GONE) is not value for name, value in came.items()):
        return None
    return b"".join([_key(name) + orjson.dumps(value) for name, value in wanted.items() if name not in came])


def named(data: bytes) -> tuple[int, int] | None:
    """Where the model's name stands in a body, if that is soon found."""
    found = FIRST.match(data) or _late(data)
    return None if found is None else found.span(1)


def _late(data: bytes) -> re.Match[bytes] | None:
    """`model` near the end. What follows makes an object only if the key is the outermost object's own."""
    place = data.rfind(b'"model"', max(0, len(data) - TAIL))
    found = MODEL.match(data, place) if place >= 0 else None
    try:
        return found and orjson.loads(b"{" + data[place:]) and found
    except orjson.JSONDecodeError:
        return None


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


@lru_cache(maxsize=512)
def _name(model: str) -> bytes:
    return orjson.dumps(model)

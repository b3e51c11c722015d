"""Long conversations that came a moment ago: a client sends all that was said each time, and only its end is new."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, ValidationError, convert
from orjson import JSONDecodeError, dumps, loads

from experts.base import Body, Request
from experts.reading import Message
from gateway.body import once
from gateway.errors import APIError
from gateway.usual import Message as Usual
from gateway.usual import Said

LONGEST = 256 * 1024
"""Bytes of a body that is remembered: more would take too much memory."""
MOST = 8
"""Conversations that are remembered."""


class Talk(Struct, frozen=True, gc=False, eq=False):
    """A conversation as it came last."""

    before: memoryview
    """Its body to the end of the last message."""
    after: bytes
    """From there on."""
    model: str
    options: Mapping[str, Any]
    messages: tuple[Message, ...]
    size: int
    """Bytes of the body, once written again."""
    plain: bool


TALKS: deque[Talk] = deque(maxlen=MOST)


def continued(body: bytes, request_id: str) -> Request | None:
    """The request of a body that is a known one but for more messages at its end; `None`: it must be looked at. Values
    in a list leave all else as it was: the shape, and that no key stands twice, if they have both themselves."""
    for talk in TALKS:
        if body.startswith(talk.before) and body.endswith(talk.after):
            break
    else:
        return None
    begin, end = len(talk.before), len(body) - len(talk.after)
    if end < begin:
        return None
    new = body[begin:end]
    if new:
        found = added(new)
        if found is None:
            return None
        more, size, plain = found
        TALKS.remove(talk)
        messages, plain, before = (*talk.messages, *more), plain and talk.plain, memoryview(body)[:end]
        talk = Talk(before, talk.after, talk.model, talk.options, messages, talk.size + size, plain)
        TALKS.append(talk)
    came = Body(body, talk.messages, talk.options, talk.size, talk.plain)
    return Request(talk.messages, talk.options, talk.model, request_id, body=came)


def added(new: bytes) -> tuple[list[Message], int, bool] | None:
    """The messages that these bytes at the end of a list add to it, by how many bytes that is longer once written
    again, and whether they call no tool; `None` if they are no usual messages, or there are no such."""
    listed = b"[" + new[1:] + b"]"
    try:
        more: list[Message] = loads(listed)
        plain, again = shaped(more), dumps(more)
        if again != listed:
            once(listed, again)
    except (JSONDecodeError, ValidationError, APIError):
        return None
    return (more, len(again) - 1, plain) if more and new.startswith(b",") else None


def shaped(messages: list[Message]) -> bool:
    """Whether messages call no tool. Raises ValidationError if they are no usual ones."""
    try:
        convert(messages, list[Said])
    except ValidationError:
        convert(messages, list[Usual])
        return False
    return True


def remember(body: bytes, fields: Mapping[str, Any], again: bytes, plain: bool) -> None:
    """Remembers a body of the usual shape, if it came as it would be written again: then it is known where its messages
    end."""
    if len(body) > LONGEST or again != body:
        return
    names = list(fields)
    rest = {name: fields[name] for name in names[names.index("messages") + 1 :]}
    after = b"]," + dumps(rest)[1:] if rest else b"]}"
    options = {name: value for name, value in fields.items() if name not in ("messages", "model")}
    before = memoryview(body)[: len(body) - len(after)]
    TALKS.append(Talk(before, after, fields["model"], options, tuple(fields["messages"]), len(again), plain))

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
SHORTEST = 4 * 1024
"""Bytes of what was said before the last message: what is shorter is soon read."""
FRAMED = 8
"""Messages of a body that may have a frame, which tells more."""
MOST = 8
"""Conversations that are remembered."""


class Talk(Struct, frozen=True, gc=False, eq=False):
    """What was said before the last message of a conversation, as it came."""

    before: memoryview
    """The body to the end of that."""
    last: bytes
    """The last message of it: where conversations begin alike, they differ here."""
    after: bytes
    """What stands behind all messages."""
    model: str
    options: Mapping[str, Any]
    messages: tuple[Message, ...]
    size: int
    """Bytes of it and of what stands behind, once written again."""
    plain: bool


TALKS: deque[Talk] = deque(maxlen=MOST)


def continued(body: bytes, request_id: str) -> Request | None:
    """The request of a body that begins and ends as a known one, with other messages in between; `None`: it must be
    looked at. Values in a list leave all else as it was: the shape, and that no key stands twice, if they have both."""
    talk = known(body)
    if talk is None:
        return None
    end = len(body) - len(talk.after)
    found = added(body[len(talk.before) : end])
    if found is None:
        return None
    more, written, plain = found
    messages, size, plain = (*talk.messages, *more), talk.size + len(written), plain and talk.plain
    if len(more) > 1 and body.endswith(written[1:], 0, end):
        TALKS.remove(talk)
        keep(Talk(memoryview(body)[:end], b"", talk.after, talk.model, talk.options, messages, size, plain))
    came = Body(body, messages, talk.options, size, plain)
    return Request(messages, talk.options, talk.model, request_id, body=came)


def known(body: bytes) -> Talk | None:
    """The longest conversation that a body goes on with."""
    found: Talk | None = None
    for talk in TALKS:
        size = len(talk.before)
        if found is not None and size <= len(found.before):
            continue
        if body.startswith(talk.last, size - len(talk.last)) and body.endswith(talk.after, size):
            found = talk if body.startswith(talk.before) else found
    return found


def keep(whole: Talk) -> None:
    """Remembers a conversation but for its last message, both it and the one before written as they would be again."""
    said, before = whole.messages, whole.before
    newest = len(dumps(said[-1])) + len(",")
    if len(said) > FRAMED and SHORTEST <= len(before) - newest <= LONGEST:
        last, size = dumps(said[-2]), whole.size - newest
        parts = whole.after, whole.model, whole.options, said[:-1], size, whole.plain
        TALKS.append(Talk(before[:-newest], last, *parts))


def added(new: bytes) -> tuple[list[Message], bytes, bool] | None:
    """The messages that these bytes add to a list, as they would be written again, and whether they call no tool;
    `None` if they are no usual messages, or there are no such."""
    listed = b"[" + new[1:] + b"]"
    try:
        more: list[Message] = loads(listed)
        plain, again = shaped(more), dumps(more)
        if again != listed:
            once(listed, again)
    except (JSONDecodeError, ValidationError, APIError):
        return None
    return (more, again[:-1], plain) if more and new.startswith(b",") else None


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
    keep(Talk(before, b"", after, fields["model"], options, tuple(fields["messages"]), len(again), plain))

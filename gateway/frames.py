"""What bodies have around their last words: programs send the same again and again, and only what is said differs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, ValidationError, convert
from msgspec.json import Decoder
from orjson import JSONDecodeError, dumps, loads

from experts.base import Body, Request, Splice
from experts.openai_body import named
from experts.reading import LAST, Message, Reading, look, words_of
from experts.wrappers import bare
from gateway.body import once
from gateway.errors import APIError
from gateway.talks import continued, remember
from gateway.usual import Plain, usual

MOST = 8
"""Frames that are remembered, and of those that were seen once."""
MESSAGES = 8
"""A longer conversation is another one each time."""
LARGEST = 128 * 1024
"""Bytes of a frame: a document that is asked about may be in it."""
LONG = 8 * 1024
"""Bytes of a body whose words are not copied before they are read, and which is remembered as a conversation."""
text = Decoder(str).decode
"""A JSON string. Raises ValueError. Quicker than `loads` where letters of Latin have accents, not where many are
escaped."""
MARK, MARKED = "\0", b"\\u0000"
"""What stands for the words: no text has it that was not escaped."""
EDGE = 2048
"""Bytes of a frame that are compared first, by copying as many of a body: for few that is quicker than a call."""
NEEDLE = 32
"""Letters by which the words' beginning and end are found in a body."""


class Frame(Struct, frozen=True):
    """A body of the usual shape without the text of its last message."""

    before: bytes
    """To the quotation mark at the text's beginning."""
    after: bytes
    """From the one at its end."""
    opens: bytes
    """How `before` begins, which stands at `front`."""
    front: slice
    closes: bytes
    """How `after` ends, which stands at `back`."""
    back: slice
    short: bool
    """Whether that is all of both."""
    begin: int
    """Where the text as it is written begins in a body, and where it ends, from the end."""
    end: int
    model: str
    options: Mapping[str, Any]
    earlier: tuple[Message, ...]
    last: Message
    role: str | None
    """Of the last message, if it has nothing else but its text."""
    reading: Reading
    """Of all but the text."""
    texts: tuple[str, ...]
    """Of the earlier messages."""
    human: bool
    """Whether the text is a human's."""
    size: int
    """Bytes of it once no letter is escaped."""
    plain: bool
    named: tuple[int, int] | None
    """Both as in a body."""
    splices: dict[str, Splice]
    """How bodies with this frame were written for experts."""


LESSONS = 31
"""Bodies without a known frame after which it is looked for but now and then: conversations seldom have one."""
MISSED = [0]
"""Such bodies since a frame was learned."""
FRAMES: deque[Frame] = deque(maxlen=MOST)
SEEN: deque[tuple[bytes, bytes]] = deque(maxlen=MOST)
"""What was around the last words of bodies whose frames were not known."""


def framed(body: bytes, request_id: str) -> Request | None:
    """The request of a body whose frame is known, and what reading it finds, or of a known conversation that goes on;
    `None`: it must be looked at, since it is neither, or what is within is no JSON string. One string in the place of
    another leaves all else as it was: the shape, the depth, and that no key stands twice."""
    for frame in FRAMES:
        if (
            body[frame.front] == frame.opens
            and body[frame.back] == frame.closes
            and (frame.short or (body.startswith(frame.before) and body.endswith(frame.after)))
        ):
            break
    else:
        return continued(body, request_id) if len(body) >= LONG else None
    try:
        size = len(body)
        said = text(body[frame.begin : frame.end]) if size < LONG else long(body, frame.begin, size + frame.end)
    except ValueError:  # nothing at all too, where beginning and end overlap
        return continued(body, request_id) if len(body) >= LONG else None
    letters, options, known, role = len(said), frame.options, frame.reading, frame.role
    last = {**frame.last, "content": said} if role is None else {"role": role, "content": said}
    messages, texts = frame.earlier + (last,), frame.texts + (said,)
    words = (frame.human and bare(said)) or words_of(known.roles, texts)
    LAST[0] = Reading(messages, known.roles, texts, known.letters + letters, known.kinds, words, known.fresh)
    bytes_said = letters
    if not said.isascii():  # letters that are no ASCII where they came are not escaped: what came is as long, or longer
        bytes_said = len(said.encode()) if body.isascii() else size + frame.end - frame.begin - 2
    came = Body(body, messages, options, frame.size + bytes_said, frame.plain, frame.named, frame.splices)
    return Request(messages, options, frame.model, request_id, body=came)


def long(body: bytes, begin: int, end: int) -> str:
    """What stands between two quotation marks, as long a JSON string says it. Raises ValueError. Letters that need no
    escape say themselves, and none needs one if they become no more by being written again: writing looks at 32 of them
    at once, reading at one."""
    written = memoryview(body)[begin:end]
    if body.find(b"\\", begin, end) < 0:
        said = str(written[1:-1], "latin-1")
        if said.isascii() and len(dumps(said)) == len(written):
            return said
    found: str = loads(written) if body.isascii() else text(written)
    return found


def note(body: bytes, fields: Mapping[str, Any], again: bytes, plain: bool) -> None:
    """Remembers a body of the usual shape, if it is a long one, and its frame if that has come for the second time."""
    if len(body) >= LONG:
        remember(body, fields, again, plain)
    missed = MISSED[0] = MISSED[0] + 1
    if missed > LESSONS and missed % LESSONS:
        return
    messages: list[Message] = fields["messages"]
    said = messages[-1].get("content")
    if type(said) is not str or len(messages) > MESSAGES or len(body) - len(said) > LARGEST:
        return
    begins, ends = dumps(said[:NEEDLE])[:-1], dumps(said[-NEEDLE:])[1:]
    earlier = [each.get("content") for each in messages[:-1]]
    begin = body.find(begins, sum(len(text) for text in earlier if isinstance(text, str)))
    end = body.rfind(ends)
    around = body[: begin + 1], body[end + len(ends) - 1 :]
    if not 0 <= begin <= end or len(around[0]) + len(around[1]) > LARGEST:
        return
    if around not in SEEN:
        SEEN.append(around)
    elif (frame := learned(*around)) is not None:
        FRAMES.appendleft(frame)
        MISSED[0] = 0


def learned(before: bytes, after: bytes) -> Frame | None:
    """The frame of what stood around a text; `None` if that was not all of the last message's."""
    whole, plain = before + MARKED + after, True
    try:
        fields = loads(whole)
        again = dumps(fields)
        once(whole, again)
        try:
            convert(fields, Plain)
        except ValidationError:
            plain = False
            if not usual(fields, len(whole)):
                return None
    except (JSONDecodeError, APIError):
        return None
    *earlier, last = fields.pop("messages")
    if last.get("content") != MARK:
        return None
    place = named(whole)
    if place is not None and place[0] > len(before):
        place = place[0] - len(whole), place[1] - len(whole)
    model, reading = fields.pop("model"), look((*earlier, {**last, "content": ""}))
    return Frame(
        before,
        after,
        before[:EDGE],
        slice(min(len(before), EDGE)),
        after[-EDGE:],
        slice(-min(len(after), EDGE), None),
        max(len(before), len(after)) <= EDGE,
        len(before) - 1,
        1 - len(after),
        model,
        fields,
        tuple(earlier),
        last,
        last["role"] if list(last) == ["role", "content"] else None,
        reading,
        reading.texts[:-1],
        reading.roles[-1] == "user",
        len(again) - len(MARKED),
        plain,
        place,
        {},
    )

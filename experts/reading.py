"""What one look at a conversation finds: who says what, how long it is, of what kinds, and what is asked last.

Several ask for parts of it in turn while a request is decided on, so the conversation that was looked at last is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct

from experts.wrappers import bare

Message = Mapping[str, Any]
TEXT = frozenset({"text"})
KINDS = {"image_url": "image", "input_image": "image", "input_audio": "audio", "file": "file"}
"""What the types of a message's parts are; all others are text."""
SAID = itemgetter("role", "content")
STRINGS = frozenset({str})
OPENING = frozenset({"system", "developer", "user"})
"""Who speaks before the first answer."""


class Reading(Struct, frozen=True, gc=False):
    """What was found."""

    messages: Sequence[Message]
    roles: tuple[Any, ...]
    """Of each message."""
    texts: tuple[str, ...]
    """The readable part of each message."""
    letters: int
    """Of all texts."""
    kinds: frozenset[str]
    """The modalities of what is said."""
    prompt: str
    """The human's last words, without what an agent wrapped around them; else the last text."""
    fresh: bool
    """Whether nobody has answered yet."""


def look(messages: Sequence[Message]) -> Reading:
    """Reads a conversation, unless it is the one that was read last: nobody may change its messages."""
    last = LAST[0]
    if last.messages is messages:
        return last
    if not messages:
        return EMPTY
    kinds = TEXT
    try:
        roles, texts = zip(*map(SAID, messages))  # noqa: B905 all are pairs
    except KeyError:
        roles, texts = tuple(each.get("role") for each in messages), tuple(each.get("content") for each in messages)
    if not STRINGS.issuperset(map(type, texts)):
        kinds = TEXT.union(*(map(_kind, content) for content in texts if isinstance(content, list)))
        texts = tuple(map(text, texts))
    words = (roles[-1] == "user" and bare(texts[-1])) or words_of(roles, texts)
    last = LAST[0] = Reading(messages, roles, texts, sum(map(len, texts)), kinds, words, OPENING.issuperset(roles))
    return last


EMPTY = Reading((), (), (), 0, TEXT, "", True)
LAST = [EMPTY]


def words_of(roles: Sequence[Any], texts: Sequence[str]) -> str:
    """A human's words before the last message, or what there is instead."""
    last = ""
    for place in range(len(texts) - 1, -1, -1):
        if roles[place] == "user":
            if words := bare(texts[place]):
                return words
            last = last or texts[place]
    return last or texts[-1]


def text(content: Any) -> str:
    """The readable part of a message's content: a string, or the text parts of a list joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(part for part in parts if isinstance(part, str))


def _kind(part: Any) -> str:
    kind = str(part.get("type", "text")) if isinstance(part, dict) else "text"
    return KINDS.get(kind, "text")

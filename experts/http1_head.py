"""A head that came before: a client or a server sends the same again and again, and only its length differs.

A head that is byte for byte one that was parsed, but for the digits of its content-length, means the same; so nothing
is parsed again. Of a server's head the values of such headers may differ, too, that say nothing about the message: its
date, the name of the request. Whatever else comes goes to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LENGTH = b"\r\ncontent-length: "
DIGITS = 8
"""The most that a length may have here."""


Head = tuple[bytes, bytes]
"""The bytes before and after the digits of the length."""


def cut(head: bytes) -> Head | None:
    """The parts of a whole head; `None` if it is none, or its length is told in another way."""
    place = head.lower().find(LENGTH)
    if place < 0 or not head.endswith(b"\r\n\r\n") or head.find(b"\r\n\r\n") != len(head) - 4:
        return None
    begin = place + len(LENGTH)
    end = head.find(b"\r\n", begin)
    return (head[:begin], head[end:]) if head[begin:end].isdigit() else None


Matches = Callable[[bytes], re.Match[bytes] | None]
"""Finds a head of one shape at the beginning of a message; its only group are the digits of the length."""
FRAMINGS = frozenset({b"content-length", b"transfer-encoding"})
CHUNKED = (b"transfer-encoding", b"chunked")
WEIGHTY = FRAMINGS | frozenset(
    {b"connection", b"content-encoding", b"content-type", b"keep-alive", b"proxy-connection", b"trailer", b"upgrade"}
)
"""Headers whose values stay as they were."""
LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([^\x00-\x08\x0a-\x1f\x7f]*)")
VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]{0,1024}"
MOST_LINES = 48


def shape(head: bytes, chunked: bool = False) -> Matches | None:
    """What finds heads like this one, which was parsed; `None` if there is anything unusual about it. The message is as
    long as a content-length tells, the only group, or `chunked`."""
    first, *lines = head[:-4].split(b"\r\n")
    if len(lines) > MOST_LINES or not head.endswith(b"\r\n\r\n"):
        return None
    parts, framings = [re.escape(first)], []
    for line in lines:
        found = LINE.fullmatch(line)
        if found is None:
            return None
        name = found[1].lower()
        if name in FRAMINGS:
            framings.append((name, found[2].strip().lower()))
        if name == b"content-length":
            parts.append(re.escape(found[1]) + rb": ([1-9][0-9]{0,7})")
        else:
            parts.append(re.escape(line) if name in WEIGHTY else re.escape(found[1]) + b": " + VALUE)
    fits = framings == [CHUNKED] if chunked else [name for name, _ in framings] == [b"content-length"]
    return re.compile(rb"\r\n".join(parts) + rb"\r\n\r\n").match if fits else None


def headers(head: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a head of a known shape; their names are lower-case."""
    lines = (line.split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
    return [(name.lower(), value.strip(b" \t")) for name, value in lines]

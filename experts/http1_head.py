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
MOST_HEADS = 2048
"""Lengths of answers for which a head is kept."""
LESSONS = 32
"""Heads in a row that were like none before, after which they are learned but now and then."""


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


class Whole:
    """How a server's answers begin that come whole: as the one before did, but for the length; or with a head that is
    like one that was parsed."""

    __slots__ = ("behind", "front", "head_bytes", "heads", "known", "line", "most", "moved", "start", "unlike")

    def __init__(self, head_bytes: int) -> None:
        """`head_bytes`: the most that a head may have."""
        self.head_bytes = head_bytes
        self.known: Matches | None = None
        """Finds heads like the one that was parsed last."""
        self.unlike = 0
        """How many came since one had a head that was known."""
        self.line = b""
        """The last head, `%d` for a length with as many digits, no more than `most`; the body begins at `start`."""
        self.start, self.most = 0, -1
        self.moved = 0
        """How many came since one began as the one before."""
        self.heads: dict[int, bytes] = {}
        """The last head as answers of so many bytes begin that have come; `front`: where it stands in them, `behind`:
        where the body does."""
        self.front, self.behind = slice(0), slice(0, None)

    def like(self, data: bytes) -> int:
        """Where the body begins of a whole answer whose head is like a known one; 0: it is none."""
        found = None if self.known is None else self.known(data)
        if found is None or found.end() + int(found[1]) != len(data) or found.end() > self.head_bytes:
            return 0
        self._keep(found)
        return found.end()

    def same(self, data: bytes) -> int:
        """The same for the very head of the one before, but for the length."""
        start = self.start
        size = len(data) - start
        if size > self.most or data[:start] != self.line % size:
            return 0
        self.unlike = self.moved = 0
        if len(self.heads) >= MOST_HEADS:
            self.heads.clear()
        self.heads[len(data)] = data[:start]
        return start

    def _keep(self, found: re.Match[bytes]) -> None:
        """Remembers the very bytes of a head; seldom, where no two are the same."""
        self.heads.clear()
        self.unlike = 0
        self.moved += 1
        if self.moved > LESSONS and self.moved % LESSONS:
            self.most = -1
            return
        (begin, end), head = found.span(1), found[0]
        self.line = head[:begin].replace(b"%", b"%%") + b"%d" + head[end:].replace(b"%", b"%%")
        self.start, self.most = len(head), 10 ** (end - begin) - 1
        self.front, self.behind = slice(len(head)), slice(len(head), None)

    def learn(self, data: bytes) -> None:
        """Remembers the parsed head of an answer that came whole; seldom, where no two are alike."""
        self.unlike += 1
        self.heads.clear()  # so that the next that begins as the one before is counted
        if data.startswith(b"HTTP/1.1 200") and (self.unlike <= LESSONS or not self.unlike % LESSONS):
            self.known = shape(data[: data.find(b"\r\n\r\n") + 4]) or self.known

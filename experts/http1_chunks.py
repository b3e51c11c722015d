"""Chunks of a message that came whole: servers write each event as one chunk, and a read holds one or several.

They are taken without a parser, which stands between two chunks before and after; whatever else comes goes to it. Where
a stream begins with a head that is like the one before, it need not see that either.
"""

from __future__ import annotations

import re
from functools import lru_cache

from experts.http1_head import LESSONS, Matches, headers, shape

SIZE = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,5})\r\n").match
FIRST = 5
"""Bytes of a chunk that tell where it begins and ends, if it is neither tiny nor large."""
SIZES = [b"no size", *(b"%x" % size for size in range(1, 2048))]
"""As servers write them."""
LAST = b"0\r\n\r\n"
"""The end of a message without trailers."""


def bodies(data: bytes) -> bytes | None:
    """What the chunks hold that a piece is made of; `None` if it is not made of whole chunks alone."""
    body, over = taken(data)
    return None if over else body


def taken(data: bytes) -> tuple[bytes | None, bool]:
    """What the whole chunks hold that a piece is made of, and whether the message ends with it; `None` if it is made of
    anything else."""
    begin, end = _edges(data[:FIRST])
    if data[end:] == b"\r\n":
        return data[begin:end], False
    over = data[-5:] == LAST
    lines = data[:-5].split(b"\r\n") if over else data.split(b"\r\n")
    found = lines[1::2]
    try:  # as a rule no chunk holds an end of a line of its own
        if lines[-1] == b"" and lines[:-1:2] == list(map(SIZES.__getitem__, map(len, found))):
            return b"".join(found), over
    except IndexError:
        pass
    return _several(data)


@lru_cache(maxsize=4096)
def _edges(first: bytes) -> tuple[int, int]:
    """Where the first chunk begins and ends; nowhere, if as many bytes do not tell."""
    size = SIZE(first)
    return (size.end(), size.end() + int(size[1], 16)) if size is not None else (0, 0)


def _several(data: bytes) -> tuple[bytes | None, bool]:
    found: list[bytes] = []
    place = 0
    while place < len(data):
        size = SIZE(data, place)
        if size is None:
            return (b"".join(found), True) if data[place:] == LAST else (None, False)
        begin = size.end()
        end = begin + int(size[1], 16)
        found.append(data[begin:end])
        place = end + 2
        if data[end:place] != b"\r\n":
            return None, False
    return b"".join(found), False


class Opening:
    """How the streams of a server begin: with a head like the one that came before, which was parsed."""

    __slots__ = ("_known", "_unlike", "head", "headers")

    def __init__(self) -> None:
        self.head = b""
        """The last one. `headers`: its own."""
        self.headers: list[tuple[bytes, bytes]] = []
        self._known: Matches | None = None
        self._unlike = 0

    def of(self, data: bytes) -> int:
        """Where the body begins of an answer that begins with a known head, which is the last one now; 0: it does
        not."""
        head = self.head
        if not data.startswith(head):
            found = None if self._known is None else self._known(data)
            if found is None:
                return 0
            head = found.group()
            self._keep(head)
        self._unlike = 0
        return len(head)

    def learn(self, data: bytes) -> None:
        """Remembers the head of an answer that was parsed, if it came in chunks; seldom, where no two are alike."""
        head = data[: data.find(b"\r\n\r\n") + 4]
        if b"chunked" not in head.lower() or not head.startswith(b"HTTP/1.1 200 "):
            return
        self._unlike += 1
        if self._unlike <= LESSONS or not self._unlike % LESSONS:
            known = shape(head, chunked=True)
            if known is not None:
                self._keep(head)
                self._known = known

    def _keep(self, head: bytes) -> None:
        self.head, self.headers = head, headers(head)

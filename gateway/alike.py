"""Chunks that are like one before but for their words: proven to be so, and passed on without being parsed.

A server writes the same bytes around the words of each chunk. Where they come again, all that has to be read is one
string of JSON; whatever else comes goes the long way.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Struct
from orjson import JSONDecodeError, loads

from experts.base import Chunk

CONTENT = re.compile(rb'"content"\s*:\s*"((?:[^"\\]|\\.)*)"')
"""Inside a JSON string a quotation mark is escaped, so this can only be a key and its value."""
PROBE = "?"
TRIES = 4
"""Chunks in a row from which nothing could be learned before that is given up: they differ in more than words."""
END, END_CR = b"\n\n", b"\r\n\r\n"
HEAD = b"data: "


class Heard(Protocol):
    """What keeps account of a stream."""

    chunks: int
    said: list[str]
    letters: int


@lru_cache(maxsize=4096)
def sized(size: int) -> bytes:
    """The line before a chunk of HTTP."""
    return b"%x\r\n" % size


@lru_cache(maxsize=4096)
def line_of(size: int) -> bytes:
    """The line before a chunk of HTTP that is so long in all; empty where none is."""
    lines = (sized(size - digits - 4) for digits in (1, 2, 3) if size > digits + 4)
    return next((line for line in lines if len(line) + int(line, 16) + 2 == size), b"")


class Frame(Struct, frozen=True, gc=False):
    """A chunk of HTTP of one length around the words, and where they stand in it."""

    head: slice
    theirs: bytes
    """What it begins with."""
    words: slice
    """With their quotation marks."""
    ours: bytes
    """What the client gets before them."""


NO_FRAME = Frame(slice(0), b"-", slice(0), b"")
"""Of a length that no such chunk has: nothing begins so."""
MOST_FRAMES, LONGEST_FRAME = 32, 4096


class Alike:
    """What the last chunk of one stream had around its words, at the expert and at the client."""

    # fmt: off
    __slots__ = ("after", "around", "before", "chunked", "end", "frames", "our_after", "our_before", "our_seam",
                 "our_tail", "room", "seam", "tail", "tries")
    # fmt: on

    def __init__(self, chunked: bool) -> None:
        """`chunked`: whether the client is sent chunks of HTTP."""
        self.before = self.after = self.seam = self.our_before = self.our_after = self.our_seam = b""
        self.chunked = chunked
        self.around = self.room = 0
        """Bytes around the words at the client; the fewest that may hold two chunks' words."""
        self.tries = TRIES
        self.tail = self.our_tail = b""
        """What follows the words in a chunk of HTTP."""
        self.end = slice(0)
        """Where that stands."""
        self.frames: dict[int, Frame] = {}
        """By the length of the chunk."""

    def frame(self, size: int) -> Frame:
        """The frame of a chunk of HTTP of as many bytes."""
        if len(self.frames) >= MOST_FRAMES:
            self.frames.clear()
        found = self._frame(size) if size <= LONGEST_FRAME else NO_FRAME
        return self.frames.setdefault(size, found)

    def _frame(self, size: int) -> Frame:
        line = line_of(size)
        begin, end = len(line) + len(self.before), size - len(self.tail)
        if not line or begin > end:
            return NO_FRAME
        ours = self.our_before
        if self.chunked:
            ours = sized(self.around + end - begin + 2) + ours
        return Frame(slice(begin), line + self.before, slice(begin - 1, end + 1), ours)

    def taken(self, data: bytes, heard: Heard) -> bytes | None:
        """What the client is to be sent for a read that holds nothing but such chunks, whose words are noted; else
        `None`."""
        before, after = self.before, self.after
        begin, end = len(before), len(data) - len(after)
        if data[:begin] != before or data[end:] != after or not begin:
            return None
        said = data[begin - 1 : end + 1]  # with its quotation marks
        try:
            if len(said) < self.room:
                text = loads(said)
                heard.chunks += 1
                heard.said.append(text)
                heard.letters += len(text)
            else:
                said = self._several(said, heard)
        except JSONDecodeError:
            return None
        self.tries = TRIES
        if not self.chunked:
            return b"".join((self.our_before, said, self.our_after))
        return b"".join((sized(self.around + len(said)), self.our_before, said, self.our_after, b"\r\n"))

    def _several(self, said: bytes, heard: Heard) -> bytes:
        """The words of several chunks, with what the client gets between them. Raises JSONDecodeError."""
        parts = said[1:-1].split(self.seam)
        texts: list[str] = [loads(b'"%b"' % part) for part in parts]
        heard.chunks += len(texts)
        heard.said += texts
        heard.letters += sum(map(len, texts))
        return b'"%b"' % self.our_seam.join(parts)

    def learn(self, data: bytes, chunk: Chunk, out: bytes) -> None:
        """Learns from a read's last event, its chunk, and the event that the client got."""
        if self.tries <= 0 or chunk.data is None or not out:
            return
        self.tries -= 1
        event = b"".join((HEAD, chunk.data, END_CR if data.endswith(END_CR) else END))
        if not data.endswith(event):
            return
        data = event
        theirs, ours = CONTENT.search(data), CONTENT.search(out)
        if theirs is None or ours is None or loads(b'"%b"' % theirs[1]) != chunk.delta.get("content"):
            return
        before, after = data[: theirs.start(1)], data[theirs.end(1) :]
        if _only_words(loads(before[len(HEAD) :] + PROBE.encode() + after)):
            self.before, self.after, self.seam = before, after, after + before
            self.our_before, self.our_after = out[: ours.start(1) - 1], out[ours.end(1) + 1 :]
            self.our_seam = b'"%b%b"' % (self.our_after, self.our_before)
            self.around, self.room = len(self.our_seam) - 2, len(self.seam) + 2
            self.tail, self.our_tail = after + b"\r\n", self.our_after + (b"\r\n" if self.chunked else b"")
            self.end = slice(-len(self.tail), None)
            self.frames.clear()


def _only_words(payload: dict[str, Any]) -> bool:
    """Whether an event says nothing but the probe, as the words of its only choice."""
    choices = payload.get("choices")
    if payload.get("usage") is not None or not isinstance(choices, list) or len(choices) != 1:
        return False
    choice = choices[0]
    if choice.get("index", 0) != 0 or choice.get("finish_reason"):
        return False
    return {key: value for key, value in choice["delta"].items() if value and key != "role"} == {"content": PROBE}

"""Chunks that are like one before but for their words: proven to be so, and passed on without being parsed.

A server writes the same bytes around the words of each chunk. Where they come again, all that has to be read is one
string of JSON; whatever else comes goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Struct, field
from orjson import JSONDecodeError, loads

from experts.base import Chunk
from experts.slots import slotted
from gateway.turn import sized

WORDS = rb'([^"\\]*(?:\\.[^"\\]*)*)'
CONTENT = re.compile(rb'"content"\s*:\s*"' + WORDS + rb'"')
"""Inside a JSON string a quotation mark is escaped, so this can only be a key and its value."""
NAMES = re.compile(rb'"id"\s*:\s*"([0-9A-Za-z_.:-]{1,128})"|"created"\s*:\s*([1-9][0-9]{0,15})(?=\s*[,}])')
"""What is another in each stream of a server, and says nothing about the words."""
NAME, TIME = rb"[0-9A-Za-z_.:-]{1,128}", rb"[1-9][0-9]{0,15}"
MOST_PROVEN, LONGEST_PROVEN = 1024, 4096
LESSONS, SELDOM = 4, 64
"""Streams in a row that were like none before, after which a proof is kept but for one in so many."""
PROBE = b"?"
TRIES = 4
"""Chunks in a row from which nothing could be learned before that is given up: they differ in more than words."""
END, END_CR = b"\n\n", b"\r\n\r\n"
HEAD = b"data: "


class Events(Protocol):
    """How events become a client's."""

    wants_usage: bool
    theirs: bytes
    ours: bytes


class Heard(Protocol):
    """What keeps account of a stream."""

    chunks: int
    said: list[str]
    letters: int


@lru_cache(maxsize=4096)
def line_of(size: int) -> bytes:
    """The line before a chunk of HTTP that is so long in all; empty where none is."""
    lines = (sized(size - digits - 4) for digits in (1, 2, 3) if size > digits + 4)
    return next((line for line in lines if len(line) + int(line, 16) + 2 == size), b"")


@lru_cache(maxsize=4096)
def spans_of(size: int, before: int, after: int) -> tuple[slice, slice, bytes, int] | None:
    """Of a chunk of HTTP of as many bytes in all, and before and after its words: where what is before them stands, and
    they with their quotation marks; its line; and their bytes, these included. `None` for what is no such chunk."""
    line = line_of(size) if size <= LONGEST_FRAME else b""
    begin, end = len(line) + before, size - after
    return (slice(begin), slice(begin - 1, end + 1), line, end - begin + 2) if line and begin <= end else None


class Proven(Struct, eq=False):
    """Finds events that say nothing but words, as one was proven to, whatever its names are."""

    match: Callable[[bytes], re.Match[bytes] | None] | None = None
    unlike: int = 0
    """Streams in a row whose events it did not find."""

    def of(self, event: bytes) -> re.Match[bytes] | None:
        """Where the words of an event are."""
        found = self.match(event) if self.match is not None else None
        self.unlike = 0 if found is not None else self.unlike + 1
        return found

    def keep(self, before: bytes, after: bytes) -> None:
        """Others like this one are known from now on; where no two streams are alike, seldom."""
        if len(before) + len(after) <= LONGEST_PROVEN and (self.unlike <= LESSONS or not self.unlike % SELDOM):
            self.match = re.compile(_like(before, after)).fullmatch


PROVEN: dict[str, Proven] = {}
"""By the kind of stream."""


def proven(kind: str) -> Proven:
    """What is known of a kind."""
    if kind not in PROVEN:
        if len(PROVEN) >= MOST_PROVEN:
            PROVEN.clear()
        PROVEN[kind] = Proven()
    return PROVEN[kind]


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


@slotted
class Alike(Struct, eq=False):
    """What the last chunk of one stream had around its words, at the expert and at the client."""

    chunked: bool
    """Whether the client is sent chunks of HTTP."""
    kind: str = ""
    """What streams have in common that are probably alike: their expert."""
    before: bytes = b""
    after: bytes = b""
    inner: tuple[bytes, bytes] = (b"", b"")
    """What an event's data has before and after the words."""
    our_before: bytes = b""
    our_after: bytes = b""
    around: int = 0
    """Bytes around the words at the client. `room`: the fewest that may hold two chunks' words."""
    room: int = 0
    tries: int = TRIES
    tail: bytes = b""
    """What follows the words in a chunk of HTTP. `end`: where that stands."""
    our_tail: bytes = b""
    end: slice = slice(0)
    frames: dict[int, Frame] = field(default_factory=dict)
    """By the length of the chunk."""

    def frame(self, size: int) -> Frame:
        """The frame of a chunk of HTTP of as many bytes."""
        frames, found = self.frames, NO_FRAME
        if len(frames) >= MOST_FRAMES:
            frames.clear()
        spans = spans_of(size, len(self.before), len(self.tail))
        if spans is not None:
            head, words, line, length = spans
            ours = sized(self.around + length) + self.our_before if self.chunked else self.our_before
            found = Frame(head, line + self.before, words, ours)
        frames[size] = found
        return found

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

    def event(self, data: bytes, heard: Heard) -> bytes | None:
        """The client's event for an event's data that holds such a chunk, whose words are noted; else `None`."""
        before, after = self.inner
        begin, end = len(before), len(data) - len(after)
        if not begin or data[:begin] != before or data[end:] != after:
            return None
        said = data[begin - 1 : end + 1]
        try:
            text = loads(said)
        except JSONDecodeError:
            return None
        heard.chunks += 1
        heard.said.append(text)
        heard.letters += len(text)
        return b"".join((self.our_before, said, self.our_after))

    def _several(self, said: bytes, heard: Heard) -> bytes:
        """The words of several chunks, with what the client gets between them. Raises JSONDecodeError."""
        parts = said[1:-1].split(self.after + self.before)
        texts: list[str] = [loads(b'"%b"' % part) for part in parts]
        heard.chunks += len(texts)
        heard.said += texts
        heard.letters += sum(map(len, texts))
        return b'"%b"' % (b'"%b%b"' % (self.our_after, self.our_before)).join(parts)

    def learn(self, data: bytes, chunk: Chunk, out: bytes) -> None:
        """Learns from a read's last event, its chunk, and the event that the client got."""
        if self.tries <= 0 or chunk.data is None or not out or not chunk.delta.get("content"):
            return
        self.tries -= 1
        event = b"".join((HEAD, chunk.data, END_CR if data.endswith(END_CR) else END))
        ours = CONTENT.search(out)
        if ours is None or not data.endswith(event):
            return
        known = proven(self.kind)
        theirs = known.of(event) or _words(event, chunk)
        if theirs is None:
            return
        before, after = event[: theirs.start(1)], event[theirs.end(1) :]
        self.goes_on(before, after, out[: ours.start(1) - 1], out[ours.end(1) + 1 :])
        if known.unlike:
            known.keep(before, after)

    def meet(self, data: bytes, events: Events) -> None:
        """Learns from the data of an event that is not the first, if one like it was proven in another stream; all that
        the client gets changed is the model's name."""
        match = proven(self.kind).match
        if match is None or (data.find(b'"usage"') >= 0 and not events.wants_usage):
            return
        found = match(b"".join((HEAD, data, END)))
        if found is not None:
            theirs, ours, event = events.theirs, events.ours, found.string
            before, after = event[: found.start(1)], event[found.end(1) :]
            at = 1 if before.find(theirs) >= 0 else 0
            self.goes_on(before, after, before.replace(theirs, ours, at)[:-1], after.replace(theirs, ours, 1 - at)[1:])

    def goes_on(self, before: bytes, after: bytes, our_before: bytes, our_after: bytes) -> None:
        """From now on this is what stands around the words of the stream's chunks; ours without the quotation marks."""
        self.before, self.after, self.inner = before, after, (before[len(HEAD) :], after[: -len(END)])
        self.our_before, self.our_after = our_before, our_after
        self.around = len(our_before) + len(our_after)
        self.room = len(before) + len(after) + 2
        self.tail, self.our_tail = after + b"\r\n", our_after + b"\r\n" if self.chunked else our_after
        self.end = slice(-len(self.tail), None)
        if self.frames:
            self.frames.clear()


def _words(event: bytes, chunk: Chunk) -> re.Match[bytes] | None:
    """Where the words of an event are that is proven to say nothing else."""
    found = CONTENT.search(event)
    if found is None or loads(b'"%b"' % found[1]) != chunk.delta.get("content"):
        return None
    before, after = event[: found.start(1)], event[found.end(1) :]
    return found if _only_words(loads(before[len(HEAD) :] + PROBE + after)) else None


def _like(before: bytes, after: bytes) -> bytes:
    """The pattern of events that differ from one in their words and names alone. Only the names of the outermost object
    may: what stands around the words is in others."""
    outer = before.find(b"[") if before.count(b"{", 0, max(before.find(b"["), 0)) == 1 else 0
    last = after.rfind(b"]") + 1
    last = last if after.count(b"}", last) == 1 else len(after)
    return b"".join(
        (
            open_names(before[:outer]),
            re.escape(before[outer:]),
            WORDS,
            re.escape(after[:last]),
            open_names(after[last:]),
        )
    )


def open_names(text: bytes) -> bytes:
    """The pattern of a text in which names may be others."""
    parts: list[bytes] = []
    place = 0
    for found in NAMES.finditer(text):
        begin, end = found.span(1) if found[1] else found.span(2)
        parts += (re.escape(text[place:begin]), NAME if found[1] else TIME)
        place = end
    return b"".join((*parts, re.escape(text[place:])))


def _only_words(payload: dict[str, Any]) -> bool:
    """Whether an event says nothing but the probe, as the words of its only choice."""
    choices = payload.get("choices")
    if payload.get("usage") is not None or not isinstance(choices, list) or len(choices) != 1:
        return False
    choice = choices[0]
    if choice.get("index", 0) != 0 or choice.get("finish_reason"):
        return False
    return {key: value for key, value in choice["delta"].items() if value and key != "role"} == {"content": "?"}

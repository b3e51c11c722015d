"""Events of streams as a server writes them in all its streams: what stands around their names is proven once.

An event begins with names, its own in each stream, up to its choices. What follows is the same in all streams where it
says no words, a role or why the answer ended, and differs in the words alone where it does. So the one is found by its
bytes, the other by what stands around its words; neither is parsed again.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field
from orjson import loads

from experts.base import Chunk
from gateway.alike import END, HEAD, LESSONS, SELDOM, Alike, open_names
from gateway.chat import Events

BEGIN = re.compile(rb'\{[^][{}]*"choices"\s*:\s*')
"""How an event begins. Nothing is nested before this key, so it is the outermost object's own; inside a JSON string a
quotation mark is escaped, so it is a key."""
NOTHING = b"-"
"""No event goes on so."""
MOST_KINDS, MOST_TOLD, LONGEST = 1024, 32, 1024


class Familiar(Struct, eq=False):
    """What is known of streams of one kind: of one expert, and sent to clients in one way."""

    begin: re.Pattern[bytes] | None = None
    """Finds what an event begins with, whatever its names are."""
    theirs: bytes = b""
    """How that tells the model's name, and what stands there instead: `ours`."""
    ours: bytes = b""
    told: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    """By what follows in events that say no words: why the answer ended, empty if it did not, and what the client gets
    in its place."""
    before: bytes = NOTHING
    """What follows in events that say words: before these, and `after`; with their quotation marks, ours without."""
    after: bytes = b""
    head: slice = slice(0)
    """Where these stand, `head` and `tail`, and `said`: the words with their quotation marks."""
    tail: slice = slice(0)
    said: slice = slice(0)
    our_before: bytes = b""
    our_after: bytes = b""
    last: bytes = b""
    """What follows the words in a chunk of HTTP, `end`: where that stands, and `our_last`: in ours."""
    end: slice = slice(0)
    our_last: bytes = b""
    unlike: int = 0
    """Streams in a row that began in another way."""

    def names(self, event: bytes) -> bytes:
        """What an event begins with up to its choices, if it is like those of other streams; else nothing."""
        found = None if self.begin is None else self.begin.match(event)
        return b"" if found is None else found[0]

    def sent(self, names: bytes) -> bytes:
        """What the client's events begin with."""
        return HEAD + names.replace(self.theirs, self.ours, 1)

    def learn(self, chunk: Chunk, out: bytes, events: Events) -> None:
        """Learns from a chunk that was read and says no words, and the event that the client got."""
        event, delta = chunk.data, chunk.delta
        if event is None or chunk.usage is not None or len(event) > LONGEST or delta.get("content"):
            return
        found = BEGIN.match(event)
        if found is None or not _one(event, delta) or not self._keeps(found[0], events):
            return
        sent = self.sent(found[0])
        if out.startswith(sent) and out.endswith(END):
            if len(self.told) >= MOST_TOLD:
                self.told.clear()
            self.told[event[found.end() :]] = chunk.finish_reason or "", out[len(sent) :]

    def _keeps(self, names: bytes, events: Events) -> bool:
        """Whether events that begin so are familiar from now on; where no two streams are alike, seldom."""
        theirs, ours = events.theirs, events.ours
        if self.names(names) == names and (self.theirs, self.ours) == (theirs, ours):
            self.unlike = 0
            return True
        self.unlike += 1
        if not theirs or names.count(theirs) != 1 or not (self.unlike <= LESSONS or not self.unlike % SELDOM):
            return False
        self.begin, self.theirs, self.ours = re.compile(open_names(names)), theirs, ours
        self.told, self.before = {}, NOTHING
        return True

    def words(self, alike: Alike) -> None:
        """Learns from what stands around a stream's words, once that is proven."""
        found = BEGIN.match(alike.before, len(HEAD))
        if found is None or self.names(found[0]) != found[0] or len(alike.before) + len(alike.after) > LONGEST:
            return
        sent = self.sent(found[0])
        if alike.our_before.startswith(sent) and alike.after.endswith(END):
            self.before, self.after = alike.before[found.end() :], alike.after[: -len(END)]
            self.our_before, self.our_after = alike.our_before[len(sent) :], alike.our_after
            after, ours = alike.after + b"\r\n", alike.our_after + b"\r\n"
            self.last, self.our_last, self.end = after, ours, slice(-len(after), None)
            begin, end = len(self.before), -len(self.after)
            self.head, self.tail, self.said = slice(begin), slice(end, None), slice(begin - 1, end + 1)

    def meet(self, alike: Alike, names: bytes, sent: bytes) -> None:
        """What stands around the words of a stream that begins its events with these names, if that is known."""
        if self.before is NOTHING:
            return
        alike.before, alike.after = before, after = b"".join((HEAD, names, self.before)), self.last[:-2]
        alike.our_before, alike.our_after = ours, our_after = sent + self.our_before, self.our_after
        alike.around, alike.room = len(ours) + len(our_after), len(before) + len(after) + 2
        alike.tail, alike.end = self.last, self.end
        alike.our_tail = self.our_last if alike.chunked else our_after
        alike.inner = b"", b""  # events among others are taken by their names
        if alike.frames:
            alike.frames.clear()


def _one(event: bytes, delta: Any) -> bool:
    """Whether an event without words says nothing but a role, or why its only choice ended."""
    payload = loads(event)
    choices = payload["choices"]
    if payload.get("usage") is not None or not isinstance(choices, list) or len(choices) != 1:
        return False
    choice = choices[0]
    reason = choice.get("finish_reason")
    first = choice.get("index", 0) == 0 and choice.get("delta") == delta and (reason is None or isinstance(reason, str))
    return first and not any(value for key, value in delta.items() if key != "role")


KINDS: dict[tuple[str, str, bool], Familiar] = {}


def familiar(expert: str, model: str, usage: bool) -> Familiar:
    """What is known of the streams of an expert that go to clients under one name of a model, with usage or without."""
    kind = expert, model, usage
    known = KINDS.get(kind)
    if known is None:
        if len(KINDS) >= MOST_KINDS:
            KINDS.clear()
        known = KINDS[kind] = Familiar()
    return known

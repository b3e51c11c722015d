"""What the events of a streamed answer say, and what the client gets for each; most are known without being parsed."""

from __future__ import annotations

import sys
from functools import lru_cache

from msgspec import field
from orjson import JSONDecodeError, loads

from experts import sse
from experts.http1_exchange import Headers
from experts.openai_answer import Progress
from experts.openai_http import piece
from experts.slots import slotted
from gateway import chat
from gateway.alike import HEAD, Alike
from gateway.cap import MOST_LETTERS, room
from gateway.familiar import NOTHING, Familiar
from gateway.sink import Call

NOWHERE, ALL = slice(0), slice(0, None)
EVENTS, DONE = b"text/event-stream", b"[DONE]"


@slotted
class Hearing(Call, kw_only=True, eq=False):
    """A streamed answer that is heard event by event."""

    events: chat.Events
    reader: sse.Reader
    progress: Progress
    alike: Alike
    kind: Familiar
    names: bytes = NOTHING
    """What the events begin with, where they are of a familiar kind; `sent`: what the client's begin with."""
    sent: bytes = b""
    front: slice = NOWHERE
    """Where the names stand in an event, and `rest`: what follows."""
    rest: slice = ALL
    open: bool = False
    """Whether a stream comes."""
    calm: int = 0
    """Chunks up to which an answer keeps to its cap for certain; `most`: letters."""
    most: int = 0
    held: list[bytes] = field(default_factory=list)
    """Events that wait: for the head, or for the last one."""

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self.open = status == 200 and _events(dict(headers).get(b"content-type", b""))
        cap = room(self)
        self.calm = calm = sys.maxsize if cap is None else cap
        self.most = MOST_LETTERS * calm

    def hear(self, parts: list[bytes], out: list[bytes]) -> None:
        """Notes what whole events say, and adds the client's to `out`. Raises ExpertError."""
        kind, names, sent, front, behind = self.kind, self.names, self.sent, self.front, self.rest
        told, head, tail = kind.told, kind.head, kind.tail
        for part in parts:
            if part[front] != names:
                self.named(part)
                names, sent, front, behind = self.names, self.sent, self.front, self.rest
            rest = part[behind]
            if rest in told:
                reason, ours = told[rest]
                self.chunks += 1
                self.progress.heard(reason)
                if reason:
                    self.finish_reason = reason
                out.append(sent + ours)
            elif rest[head] == kind.before and rest[tail] == kind.after and (said := self.words(rest)) is not None:
                out.append(b"".join((sent, kind.our_before, said, kind.our_after)))
            else:
                out.append(self.other(part, rest))

    def named(self, part: bytes) -> None:
        """Learns from an event what this one and others begin with, if it is of a familiar kind."""
        kind, events = self.kind, self.events
        names = kind.names(part)
        if not names:
            self.names, self.front, self.rest = NOTHING, NOWHERE, ALL
            return
        size = len(names)
        self.names, self.sent, self.front, self.rest = names, kind.sent(names), slice(size), slice(size, None)
        self.alike.before = b""  # it was another name's
        if not events.theirs:
            events.first, events.theirs, events.ours = part, kind.theirs, kind.ours
        if self.first is None:
            self.first = self.life.school.clock() - self.started

    def words(self, rest: bytes) -> bytes | None:
        """The words of an event, with their quotation marks, which are noted; `None` if they are none."""
        said = rest[self.kind.said]
        try:
            text = loads(said)
        except JSONDecodeError:
            return None
        if not self.progress.begun:
            self.progress.heard(None)
        self.chunks += 1
        self.said.append(text)
        self.letters += len(text)
        return said

    def other(self, part: bytes, rest: bytes) -> bytes:
        """The client's event for one that is not familiar, or says what was used. Raises ExpertError."""
        events, alike, kind = self.events, self.alike, self.kind
        if rest[:2] == b"[]" and (told := self.progress.alone(part)) is not None:
            self.chunks += 1
            self.usage, cost = told
            self.cost = self.cost if cost is None else cost
            events.usage, events.owed = self.usage, (self.sent + rest)[len(HEAD) :] if events.wants_usage else b""
            return b""
        if not alike.before and events.theirs:
            alike.meet(part, events)
        if (known := alike.event(part, self)) is not None:
            return known
        out = self.one(part)
        kind.learn(self.last, out, events)
        return out

    def slowly(self, data: bytes, out: list[bytes]) -> bool:
        """The events of a piece that holds something else besides; whether the last one came. Raises ExpertError and
        TooLong."""
        for event in self.reader.feed(data):
            if event.data == DONE:
                return True
            out.append(self.one(event.data, event.name))
        return False

    def one(self, data: bytes, name: bytes = b"") -> bytes:
        """The client's event for one of the expert's, which is noted. Raises ExpertError."""
        progress = self.progress
        chunk = None if name else progress.quickly(data)
        if chunk is None:
            chunk = piece(sse.Event(data, name), progress)
        self.note(chunk)
        return self.events.of(chunk)

    def learn(self, data: bytes, out: bytes) -> None:
        """Learns what stands around the words of the last event of a read, which was parsed."""
        alike = self.alike
        alike.learn(data, self.last, out)
        if alike.before:
            self.kind.words(alike)


@lru_cache(maxsize=256)
def _events(kind: bytes) -> bool:
    """Whether a content type is that of a stream of events."""
    return kind.split(b";")[0].strip().lower() == EVENTS

"""Server-sent events as bytes: a reader that takes any re-chunking, and a writer.

Lines end at CR, LF or CRLF and nowhere else, so U+2028 and U+0085 inside JSON survive. As the standard has it,
an event ends at an empty line; what stands after the last one is dropped.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from experts.slots import slotted

LINE_END = re.compile(rb"\r\n|\n|\r")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DONE = b"data: [DONE]\n\n"


class Event(Struct, frozen=True, gc=False):
    """One event: its data lines joined by LF, and its name, empty if it has none."""

    data: bytes
    name: bytes = b""


class TooLong(Exception):
    """A line or an event is longer than the reader's cap."""


@slotted
class Reader(Struct, eq=False):
    """Takes a stream piece by piece, and gives its events."""

    most: int = 16 * 1024 * 1024
    """Bytes of one event and of one line."""
    _pending: list[bytes] = field(default_factory=list)
    _pending_size: int = 0
    _data: list[bytes] = field(default_factory=list)
    _data_size: int = 0
    _name: bytes = b""
    _after_cr: bool = False
    _at_start: bool = True
    _idle: bool = True
    """Whether nothing of an event waits."""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in this piece. Raises TooLong."""
        whole = self.whole(piece)
        return self._feed(piece) if whole is None else list(map(Event, whole))

    def whole(self, piece: bytes) -> list[bytes] | None:
        """What the events say that this piece is made of, if they are whole, have one line each and no names, and
        nothing else is in it; else `None`."""
        if not self._idle or piece[:6] != b"data: " or piece[-2:] != b"\n\n":
            return None
        parts = piece[6:-2].split(b"\n\ndata: ")
        said = b"".join(parts)
        if said.find(b"\n") >= 0 or said.find(b"\r") >= 0 or len(piece) > self.most:
            return None
        self._after_cr = self._at_start = False
        return parts

    def skips(self, size: int) -> bool:
        """Whether whole events of as many bytes may be left out here: nothing of another one waits."""
        return self._idle and size <= self.most and not self._after_cr

    def _feed(self, piece: bytes) -> list[Event]:
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        *lines, rest = LINE_END.split(piece)
        events: list[Event] = []
        for line in lines:
            self._keep(line)
            self._line(b"".join(self._pending), events)
            self._pending.clear()
            self._pending_size = 0
        self._keep(rest)
        self._idle = not (self._pending or self._data or self._name)
        return events

    def _keep(self, part: bytes) -> None:
        if part:
            self._pending.append(part)
            self._pending_size += len(part)
            if self._pending_size + self._data_size > self.most:
                raise TooLong(f"an event is longer than {self.most} bytes")

    def _line(self, line: bytes, events: list[Event]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_size += len(line)
        elif field == b"event":
            self._name = value

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event(b"\n".join(self._data), self._name))
        self._data.clear()
        self._data_size = 0
        self._name = b""


def write(data: bytes, name: bytes = b"") -> bytes:
    """One event as bytes; a line end inside `data` starts another data line."""
    head = b"event: " + name + b"\n" if name else b""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(LINE_END.split(data))
    return head + b"data: " + data + b"\n\n"

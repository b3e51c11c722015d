"""The head that a connection sent last, and what it meant: clients send the same again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from experts.http1_head import DIGITS, cut

if TYPE_CHECKING:
    from gateway.turn import Head

BARRED = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"connection"})
"""Headers whose requests are the parser's business."""
MOST = 4096
"""Bytes of a head that is remembered."""


class Known(Struct, frozen=True):
    """A parsed head: its bytes before and after the digits of its length, and what they meant."""

    before: bytes
    after: bytes
    head: Head
    """Its headers are without the length."""
    line: bytes
    """The whole head, `%d` for its length."""
    start: int = 0
    """Where the body begins, for lengths with as many digits as the last one's, which has no more than `most`."""
    most: int = -1

    def told(self, data: bytes) -> tuple[int, int] | None:
        """The length that a message with this head says it has, and where its body begins; `None` for another head."""
        if not data.startswith(self.before):
            return None
        begin = len(self.before)
        end = data.find(self.after, begin, begin + DIGITS + len(self.after))
        digits = data[begin:end]
        return (int(digits), end + len(self.after)) if end >= 0 and digits.isdigit() else None

    def sized(self, start: int, cap: int) -> Known:
        """The same for lengths with as many digits as one whose body begins at `start`."""
        digits = start - len(self.before) - len(self.after)
        return replace(self, start=start, most=min(10**digits - 1, cap))


def learned(piece: bytes, head: Head) -> Known | None:
    """The head at the beginning of a request that came with a body, once it is parsed; `None` if it is not to be
    remembered."""
    if head.method != "POST" or not BARRED.isdisjoint(head.headers):
        return None
    parts = cut(piece[: piece.find(b"\r\n\r\n") + 4])
    if parts is None:
        return None
    before, after = parts
    headers = {name: value for name, value in head.headers.items() if name != b"content-length"}
    line = before.replace(b"%", b"%%") + b"%d" + after.replace(b"%", b"%%")
    return Known(before, after, replace(head, headers=headers), line)


class Long:
    """A body of known length that comes in pieces."""

    def __init__(self, size: int, began: float) -> None:
        self.began = began
        self.got, self.missing = 0, size
        self.parts: list[bytes] = []

    def add(self, data: bytes) -> bytes:
        """Takes a piece; what does not belong to the body comes back."""
        surplus = data[self.missing :]
        self.parts.append(data[: self.missing] if surplus else data)
        self.got += len(self.parts[-1])
        self.missing -= len(self.parts[-1])
        return surplus

    def whole(self) -> bytes:
        """All of it."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

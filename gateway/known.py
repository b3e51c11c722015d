"""The head that a connection sent last: clients send the same again and again, and only its length differs.

A head that is byte for byte the one that was parsed, but for the digits of its content-length, means the same; so
nothing is parsed again. Whatever else comes goes to the parser.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.http import Handler

LENGTH = b"\r\ncontent-length: "
DIGITS = 8
"""The most that a length may have here."""
BARRED = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"connection"})
"""Headers whose requests are the parser's business."""


class Known(NamedTuple):
    """A parsed head: its bytes before and after the digits of its length, and what they meant."""

    before: bytes
    after: bytes
    handler: Handler
    route: str
    path: str
    query: str
    headers: dict[bytes, bytes]

    def body(self, data: bytes) -> bytes | None:
        """The body of a request that came in one piece under this head; `None` if it did not."""
        if not data.startswith(self.before):
            return None
        begin = len(self.before)
        end = data.find(self.after, begin, begin + DIGITS + len(self.after))
        digits = data[begin:end]
        start = end + len(self.after)
        if end < 0 or not digits.isdigit() or int(digits) != len(data) - start:
            return None
        return data[start:]


def cut(data: bytes, size: int) -> tuple[bytes, bytes] | None:
    """The bytes before and after the digits of the length in a request of one piece whose body has `size` bytes."""
    head = data[: len(data) - size]
    place = head.lower().find(LENGTH)
    if place < 0 or not head.endswith(b"\r\n\r\n") or head.find(b"\r\n\r\n") != len(head) - 4:
        return None
    begin = place + len(LENGTH)
    end = head.find(b"\r\n", begin)
    return (head[:begin], head[end:]) if head[begin:end].isdigit() else None

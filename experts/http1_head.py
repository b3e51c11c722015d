"""A head that came before: a client or a server sends the same again and again, and only its length differs.

A head that is byte for byte one that was parsed, but for the digits of its content-length, means the same; so nothing
is parsed again. Whatever else comes goes to the parser.
"""

from __future__ import annotations

LENGTH = b"\r\ncontent-length: "
DIGITS = 8
"""The most that a length may have here."""


Head = tuple[bytes, bytes]
"""The bytes before and after the digits of the length."""


def body_under(before: bytes, after: bytes, data: bytes) -> bytes | None:
    """The body of a message that came in one piece under a head; `None` if it did not."""
    if not data.startswith(before):
        return None
    begin = len(before)
    end = data.find(after, begin, begin + DIGITS + len(after))
    digits = data[begin:end]
    start = end + len(after)
    if end < 0 or not digits.isdigit() or int(digits) != len(data) - start:
        return None
    return data[start:]


def cut(data: bytes, size: int) -> Head | None:
    """The head of a message of one piece whose body has `size` bytes."""
    head = data[: len(data) - size]
    place = head.lower().find(LENGTH)
    if place < 0 or not head.endswith(b"\r\n\r\n") or head.find(b"\r\n\r\n") != len(head) - 4:
        return None
    begin = place + len(LENGTH)
    end = head.find(b"\r\n", begin)
    return (head[:begin], head[end:]) if head[begin:end].isdigit() else None

"""The head that a connection sent last, and what it meant: clients send the same again and again."""

from __future__ import annotations

from typing import NamedTuple

from gateway.http import Handler

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

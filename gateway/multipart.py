"""Finds a field of a multipart form by its bytes, so that a form can be passed on with one value changed."""

from __future__ import annotations

import re

BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
NAME = re.compile(rb'content-disposition:\s*form-data\s*;[^\r\n]*?\bname="?([^";\r\n]*)"?', re.IGNORECASE)
HEAD_BYTES = 4096
"""The most that the head of one part may take."""
PARTS = 1000


def boundary(kind: str) -> bytes | None:
    """The boundary of a content type, if it is a form's."""
    found = BOUNDARY.match(kind)
    return (found[1] or found[2]).encode() if found else None


def field(body: bytes, edge: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the value of the first field of that name begins and ends; `None` if there is none."""
    line = b"\r\n--" + edge
    place = 0 if body.startswith(line[2:]) else body.find(line) + 2
    for _ in range(PARTS):
        if place < 2 and not body.startswith(line[2:]):
            return None
        start = place + len(line) - 2
        end_of_head = body.find(b"\r\n\r\n", start, start + HEAD_BYTES)
        end = body.find(line, start)
        if end_of_head < 0 or end < 0:
            return None
        found = NAME.search(body, start, end_of_head)
        if found and found[1] == name:
            return end_of_head + 4, end
        place = end + 2
    return None

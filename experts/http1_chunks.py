"""Chunks of a message that came whole: servers write each event as one chunk, and a read holds one or several.

They are taken without a parser, which stands between two chunks before and after; whatever else comes goes to it.
"""

from __future__ import annotations

import re

SIZE = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,5})\r\n").match


def bodies(data: bytes) -> bytes | None:
    """What the chunks hold that a piece is made of; `None` if it is not made of whole chunks alone."""
    size = SIZE(data)
    if size is None:
        return None
    begin = size.end()
    end = begin + int(size[1], 16)
    return data[begin:end] if data[end:] == b"\r\n" else _several(data)


def _several(data: bytes) -> bytes | None:
    found, place = [], 0
    while place < len(data):
        size = SIZE(data, place)
        if size is None:
            return None
        begin = size.end()
        place = begin + int(size[1], 16)
        found.append(data[begin:place])
        if data[place : place + 2] != b"\r\n":
            return None
        place += 2
    return b"".join(found)

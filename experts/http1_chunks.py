"""Chunks of a message that came whole: servers write each event as one chunk, and a read holds one or several.

They are taken without a parser, which stands between two chunks before and after; whatever else comes goes to it.
"""

from __future__ import annotations

import re
from functools import lru_cache

SIZE = re.compile(rb"([1-9a-fA-F][0-9a-fA-F]{0,5})\r\n").match
FIRST = 5
"""Bytes of a chunk that tell where it begins and ends, if it is neither tiny nor large."""


def bodies(data: bytes) -> bytes | None:
    """What the chunks hold that a piece is made of; `None` if it is not made of whole chunks alone."""
    begin, end = _edges(data[:FIRST])
    return data[begin:end] if data[end:] == b"\r\n" else _several(data)


@lru_cache(maxsize=4096)
def _edges(first: bytes) -> tuple[int, int]:
    """Where the first chunk begins and ends; nowhere, if as many bytes do not tell."""
    size = SIZE(first)
    return (size.end(), size.end() + int(size[1], 16)) if size is not None else (0, 0)


def _several(data: bytes) -> bytes | None:
    found, place = [], 0
    while place < len(data):
        begin, end = _edges(data[place : place + FIRST])
        if not end:
            size = SIZE(data, place)
            if size is None:
                return None
            begin = size.end() - place
            end = begin + int(size[1], 16)
        found.append(data[place + begin : place + end])
        place += end + 2
        if data[place - 2 : place] != b"\r\n":
            return None
    return b"".join(found)

"""Mends data of which one bit was flipped, from its CRC-32 alone: the checksum's difference tells where."""

from __future__ import annotations

import zlib

TABLE = [zlib.crc32(bytes([value])) ^ zlib.crc32(b"\0") for value in range(256)]
"""What a wrong last byte, by its wrong bits, does to the checksum."""


def repaired(data: bytes, checksum: int) -> bytes | None:
    """The data as it was before at most one bit of it or of its checksum was flipped; `None` if more is wrong."""
    wrong = zlib.crc32(data) ^ checksum
    if wrong.bit_count() <= 1:
        return data
    marks = [TABLE[1 << bit] for bit in range(8)]
    for place in range(len(data) - 1, -1, -1):
        if wrong in marks:
            bit = 1 << marks.index(wrong)
            return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        marks = [(mark >> 8) ^ TABLE[mark & 255] for mark in marks]
    return None

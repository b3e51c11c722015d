"""Proves data, and mends it where one bit was flipped: by the sums of its pieces; or from its CRC-32 alone, whose
difference tells where: so older releases wrote it, and it takes several times as long to make.
"""

from __future__ import annotations

import zlib

from xxhash import xxh3_64_hexdigest

PIECE = 4096
"""Bytes of data that have a sum of their own, so that few places are to be tried for a flipped bit."""
WIDTH = 16
"""Letters of a sum."""

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


def sums(data: bytes | bytearray) -> bytes:
    """The XXH3 of each piece of the data, in hexadecimal digits."""
    if len(data) <= PIECE:
        return xxh3_64_hexdigest(data).encode()
    view = memoryview(data)
    return "".join([xxh3_64_hexdigest(view[at : at + PIECE]) for at in range(0, len(data), PIECE)]).encode()


def proven(data: bytes, told: bytes) -> bytes | None:
    """The data as it was before at most one bit of each of its pieces, or of its sum, was flipped; `None` if more is
    wrong. What is sound comes back as it is."""
    own = sums(data)
    if own == told:
        return data
    if len(own) != len(told):
        return None
    pieces = []
    for place, at in enumerate(range(0, len(own), WIDTH)):
        piece = _proven(data[place * PIECE : (place + 1) * PIECE], own[at : at + WIDTH], told[at : at + WIDTH])
        if piece is None:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _proven(piece: bytes, own: bytes, told: bytes) -> bytes | None:
    if (int.from_bytes(own, "big") ^ int.from_bytes(told, "big")).bit_count() <= 1:
        return piece
    tried, wanted = bytearray(piece), told.decode("latin-1")
    for place, value in enumerate(piece):
        for bit in range(8):
            tried[place] = value ^ 1 << bit
            if xxh3_64_hexdigest(tried) == wanted:
                return bytes(tried)
        tried[place] = value
    return None

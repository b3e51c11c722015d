"""Data with one wrong bit is mended from its checksum."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from policies.repair import repaired


@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_one_flipped_bit_is_mended(data, drawn):
    place = drawn.draw(st.integers(0, 8 * len(data) - 1))
    flipped = bytearray(data)
    flipped[place // 8] ^= 1 << place % 8
    assert repaired(bytes(flipped), zlib.crc32(data)) == data


@given(st.binary(max_size=300), st.integers(0, 31))
def test_a_flipped_bit_of_the_checksum_harms_nothing(data, bit):
    assert repaired(data, zlib.crc32(data) ^ (1 << bit)) == data
    assert repaired(data, zlib.crc32(data)) == data


@given(st.binary(min_size=2, max_size=300))
def test_two_wrong_bytes_are_not_mended_into_something_else(data):
    wrong = bytes([data[0] ^ 0x55, *data[1:-1], data[-1] ^ 0x2A])
    assert repaired(wrong, zlib.crc32(data)) in (None, data)

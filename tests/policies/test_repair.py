"""Data with one wrong bit is mended from its checksum, or from the sums of its pieces."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from policies.repair import PIECE, WIDTH, proven, repaired, sums


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


LONG = bytes(range(256)) * (5 * PIECE // 512)


@given(st.sampled_from([b"", b"rows", LONG]))
def test_sound_data_comes_back_as_it_is(data: bytes):
    assert proven(data, sums(data)) is data
    assert len(sums(data)) == WIDTH * max(-(-len(data) // PIECE), 1)


@given(st.binary(min_size=1, max_size=300) | st.just(LONG), st.data())
def test_any_one_flipped_bit_of_a_piece_or_of_its_sum_is_mended(data, drawn):
    told, flipped = bytearray(sums(data)), bytearray(data)
    wrong = drawn.draw(st.sampled_from([told, flipped]))
    place = drawn.draw(st.integers(0, 8 * len(wrong) - 1))
    wrong[place // 8] ^= 1 << place % 8
    assert proven(bytes(flipped), bytes(told)) == data


def test_one_bit_of_each_piece_may_be_flipped():
    flipped = bytearray(LONG)
    for place in (0, PIECE, len(LONG) - 1):
        flipped[place] ^= 64
    assert proven(bytes(flipped), sums(LONG)) == LONG


@given(st.binary(min_size=2, max_size=300))
def test_what_is_worse_is_no_data(data):
    told = sums(data)
    assert proven(bytes([data[0] ^ 0x55, *data[1:-1], data[-1] ^ 0x2A]), told) is None
    assert proven(data, told + told) is None
    assert proven(data, bytes(WIDTH)) is None

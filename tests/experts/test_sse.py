"""The reader of events equals a simple reference reader, whatever the pieces (row 9)."""

import os
import random
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experts import sse
from experts.sse import Event, Reader, TooLong

FRAGMENTS = (
    [b"data", b"data:", b"data: ", b"event:", b"event: error", b"id: 7", b"retry: 1", b":", b": comment", b" "]
    + [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\xef\xbb\xbf", b"{}", b'{"a": "b"}', b"[DONE]", b"x:y"]
    + ["\u2028\u2029\u0085".encode(), "é".encode(), b"\x00", b"\xff", b"data: {}\n\n", b"data: a\n\ndata: b\n\n"]
)
STREAMS = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join)
COUNT = int(os.environ.get("LYCEUM_STREAMS", "1000000"))
CUTTINGS = 20


def reference(stream: bytes) -> list[Event]:
    """The standard's own words, on the whole stream at once."""
    events: list[Event] = []
    data: list[bytes] = []
    name = b""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))[:-1]
    for line in lines:
        if not line:
            events += [Event(b"\n".join(data), name)] if data else []
            data, name = [], b""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return events


def read(pieces: Iterable[bytes]) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.feed(piece)]


@given(STREAMS, st.lists(st.integers(0, 200), max_size=12))
@example(b"\xef\xbb\xbfdata: a\r\n\r\n", list(range(20)))
@example(b"data: a\r\rdata: b\r\n\r\n", list(range(30)))
def test_any_rechunking_gives_what_the_reference_gives(stream, cuts):
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    assert read(pieces) == reference(stream)


def differing(seed: int, count: int) -> list[tuple[bytes, list[int]]]:
    """Streams that the reader reads otherwise than the reference when they are cut so: each is cut in many ways."""
    chance = random.Random(seed)
    found = []
    for _ in range(count // CUTTINGS):
        stream = b"".join(chance.choices(FRAGMENTS, k=chance.randrange(20)))
        expected, places = reference(stream), range(len(stream) + 1)
        for _ in range(CUTTINGS):
            cuts = sorted(chance.choices(places, k=chance.randrange(5)))
            edges = [0, *cuts, len(stream)]
            if read([stream[start:end] for start, end in pairwise(edges)]) != expected:
                found.append((stream, cuts))
    return found


@pytest.mark.timeout(600)
def test_a_million_streams_cut_at_random_give_what_the_reference_gives():
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert [*pool.map(differing, [9, 10], [COUNT // 2] * 2)] == [[], []]


@given(STREAMS)
def test_single_bytes_give_what_the_whole_gives(stream):
    assert read(stream[i : i + 1] for i in range(len(stream))) == read([stream]) == reference(stream)


@given(st.lists(st.tuples(st.binary(max_size=20), st.from_regex(rb"[a-z]{0,5}", fullmatch=True)), max_size=5))
def test_what_the_writer_writes_the_reader_reads(events):
    written = b"".join(sse.write(data, name) for data, name in events)
    assert read([written]) == [Event(re.sub(rb"\r\n|\r", b"\n", data), name) for data, name in events]


def test_separators_of_unicode_stay_inside_the_data():
    data = '{"text": "a\u2028b\u2029c\u0085d"}'.encode()
    assert read([sse.write(data)]) == [Event(data)]


def test_an_event_without_its_empty_line_is_dropped():
    assert read([b"data: a\n\ndata: [DONE]\n"]) == [Event(b"a")]


def test_a_line_of_eight_mebibytes_in_small_pieces_is_read_without_rereading():
    line = b"x" * (8 * 1024 * 1024)
    whole = b"data: " + line + b"\n\n"
    assert read(whole[i : i + 1000] for i in range(0, len(whole), 1000)) == [Event(line)]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 100, b"data: xxxxxxxxx\n" * 10, b":" + b"x" * 100, b"x" * 100])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_or_event_over_the_cap_is_an_error(stream, size):
    reader = Reader(most=64)
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    with pytest.raises(TooLong):
        [reader.feed(piece) for piece in pieces]


def test_many_small_events_in_one_large_piece_are_no_long_event():
    stream = b"data: xx\n\n" * 1000
    assert len(Reader(most=64).feed(stream)) == 1000
    assert len(Reader(most=64).feed(b": c\n" + stream)) == 1000
    with pytest.raises(TooLong):
        Reader(most=64).feed(b"data: " + b"x" * 100 + b"\n\n")

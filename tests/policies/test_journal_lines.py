"""The lines of a journal: sound ones are read, a flipped bit is mended, and worse is told (row 47)."""

import zlib

import pytest

from policies.journal import Journal, entries
from policies.repair import PIECE
from policies.rows import encode
from tests.policies.test_journal import group, outcome, rolled


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


async def test_a_line_that_is_not_whole_is_left_out_a_flipped_bit_is_mended_and_worse_is_told(path, caplog):
    writer = Journal(path)
    for number in range(3):
        writer.append(group(number))
    content = rolled(writer).path.read_bytes()
    assert len(list(entries(content[:-1]))) == 2
    assert len(list(entries(content + content[:40]))) == 3
    assert list(entries(content.replace(b'"d1"', b'"d3"'))) == list(entries(content))
    assert caplog.messages == []
    assert len(list(entries(content.replace(b'"d1"', b'"DX"')))) == 2
    assert caplog.messages == ["a line of the ledger's journal is damaged and lost"]
    assert len(list(entries(content.replace(b'"d2"', b'"DX"')))) == 2, "the rest of one that did not fit"
    assert len(caplog.messages) == 1


def test_any_bit_of_a_line_may_be_flipped(path):
    writer = Journal(path)
    writer.append(group(0))
    content = rolled(writer).path.read_bytes()
    [sound] = entries(content)
    for place, value in enumerate(content[:-1]):
        for bit in range(8):
            if value ^ 1 << bit != 10:  # which ends the line
                assert list(entries(content[:place] + bytes([value ^ 1 << bit]) + content[place + 1 :])) == [sound]


def test_a_line_of_many_pieces_is_read_and_mended(path):
    writer, many = Journal(path), group(*range(100))
    writer.append(many)
    content = rolled(writer).path.read_bytes()
    [sound] = entries(content)
    assert sound.rows[1:-1] == many.rows
    assert len(sound.rows) > 2 * PIECE
    for place in (3, 40, PIECE, len(content) - 9):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        assert list(entries(flipped)) == [sound]


def test_lines_of_an_older_release_are_read_and_mended(path, caplog):
    rest = b"1.0 2.5 7 [%b]" % encode(outcome(1))
    line = b"%08x %b" % (zlib.crc32(rest), rest)
    other = b"%08x %b" % (zlib.crc32(rest.replace(b"d1", b"d2")), rest.replace(b"d1", b"d2"))
    flipped, lost, unread = other.replace(b"d2", b"d6"), line.replace(b"d1", b"XX"), b"nohexnum" + line[8:]
    found = list(entries(b"\n".join((line, flipped, lost, unread, line, b""))))
    assert [(entry.first, entry.last, entry.cost) for entry in found] == [(1.0, 2.5, 7)] * 3
    assert [entry.rows for entry in found] == [rest[10:], rest[10:].replace(b"d1", b"d2"), rest[10:]]
    assert caplog.messages == ["a line of the ledger's journal is damaged and lost"] * 2

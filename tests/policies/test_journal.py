"""Rows that are appended to a file beside the ledger's, and brought in once, whoever dies in between (row 46)."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

import policies.ledger
import policies.writer
from experts.base import SetupError
from policies import journal
from policies.base import Ask
from policies.groups import Group
from policies.imports import take_over
from policies.journal import Journal, Part, found, held, orphans
from policies.ledger import Ledger, LedgerUnavailable
from policies.record import Record
from policies.rows import COMMA, OutcomeRow, write
from tests.policies.test_ledger import ANSWER, decided


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def outcome(number: int, time: float = 1.0) -> OutcomeRow:
    return OutcomeRow.of(f"d{number}", 0, ANSWER, time)


def group(*numbers: int) -> Group:
    made = Group(1.0)
    for number in numbers:
        write(outcome(number), made.rows, -1)
        made.rows.append(COMMA)
        made.cost += ANSWER.cost or 0
    made.close()
    return made


def rolled(writer: Journal) -> Part:
    """The file of a writer, complete."""
    part = writer.roll()
    assert part is not None
    return part


def names(record: Record) -> list[str]:
    return [row["decision"] for row in record.rows("outcomes")]


def in_file(path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM outcomes").fetchone()[0])


async def brought_in(path, number: int) -> None:
    while in_file(path) < number or found(path):
        await asyncio.sleep(0.01)


async def test_rows_are_seen_before_and_after_they_are_brought_in_and_counted_once(path):
    ledger = Ledger.open(path, "normal")
    for number in (1, 0, 2):
        await ledger.write(outcome(number, float(number)))
    assert in_file(path) == 0
    assert names(ledger) == ["d1", "d0", "d2"]
    assert [ledger.spend(0.0, 3.0), ledger.spend(1.0, 2.0), ledger.spend(5.0, 9.0)] == [4_500, 1_500, 0]
    assert ledger.explain("d1") is None, "an outcome alone is no story"
    await brought_in(path, 3)
    assert names(ledger) == ["d1", "d0", "d2"]
    assert [ledger.spend(0.0, 3.0), ledger.spend(1.0, 2.0), ledger.spend(5.0, 9.0)] == [4_500, 1_500, 0]
    await ledger.close()


async def test_rows_of_one_group_are_told_apart_while_they_are_in_the_journal(path):
    ledger = Ledger.open(path, "normal")
    groups = [ledger.write(outcome(number, float(number))) for number in (2, 0, 1, 3)]
    await groups[0]
    assert all(each is groups[0] for each in groups)
    ledger.write(decided("d7", Ask(("small",))))
    await ledger.write(decided("d8", Ask(("small",))))
    assert [len((ledger.explain(name) or {})["decisions"]) for name in ("d7", "d8")] == [1, 1]
    assert ledger.spend(1.0, 3.0) == 3_000
    await ledger.close()


async def test_what_the_dead_left_is_taken_over_and_what_the_living_write_is_not(path):
    Ledger.open(path, "normal")
    dead, alive = Journal(path), Journal(path)
    for each, number in ((dead, 1), (alive, 2)):
        each.append(group(number))
    part = rolled(dead)
    os.close(part.file)  # as the system does when a process dies
    ledger = Ledger.open(path, "full")
    assert in_file(path) == 1
    assert names(ledger) == ["d1", "d2"]
    assert [file for _, _, file in found(path)] == [rolled(alive).path]
    await ledger.close()


async def test_a_journal_that_was_brought_in_is_not_brought_in_again(path):
    """The process died after the commit and before the file was removed."""
    ledger = Ledger.open(path, "normal")
    await ledger.write(outcome(1))
    (_, _, file) = found(path)[0]
    shutil.copy(file, path.with_name("kept"))
    await ledger.close()
    shutil.copy(path.with_name("kept"), file)
    assert (names(ledger), ledger.spend(0.0, 9.0)) == (["d1"], 1_500)
    again = Ledger.open(path, "normal")
    assert (in_file(path), found(path), ledger.spend(0.0, 9.0)) == (1, [], 1_500)
    await again.close()


async def test_a_journal_that_cannot_be_written_refuses_rows_and_is_tried_again(path, monkeypatch):
    monkeypatch.setattr(policies.ledger, "RETRY_SECONDS", 0.05)
    ledger = Ledger.open(path, "normal")
    with monkeypatch.context() as patch:
        patch.setattr("policies.journal.os.pwritev", lambda file, parts, offset: sum(map(len, parts)) - 1)
        with pytest.raises(LedgerUnavailable, match="No space left"):
            await ledger.write(outcome(1))
    assert not ledger.available
    assert isinstance(ledger.write(outcome(2)).error, LedgerUnavailable)
    await asyncio.sleep(0.06)
    assert ledger.available
    await ledger.write(outcome(3))
    assert names(ledger) == ["d3"]
    await ledger.close()
    assert in_file(path) == 1


async def test_rows_wait_in_the_journal_while_the_file_cannot_be_written(path, monkeypatch):
    for module in (policies.ledger, policies.writer):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(policies.writer, "BUSY_SECONDS", 0.01)
    ledger = Ledger.open(path, "normal")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await ledger.write(outcome(1))
        while ledger.available:
            await asyncio.sleep(0.01)
        assert names(ledger) == ["d1"]
        other.execute("ROLLBACK")
    await brought_in(path, 1)
    assert ledger.available
    await ledger.close()


@pytest.mark.parametrize("ends", [False, True])
async def test_no_file_is_brought_in_before_an_earlier_one_and_they_do_not_pile_up_row_46(path, monkeypatch, ends):
    """A file counts as brought in once a later one is: what was passed over would be lost."""
    for module, name, seconds in (
        (policies.ledger, "ROLL_SECONDS", 0.01),
        (policies.ledger, "RETRY_SECONDS", 0.01),
        (policies.writer, "RETRY_SECONDS", 0.05),
        (policies.writer, "BUSY_SECONDS", 0.2),
    ):
        monkeypatch.setattr(module, name, seconds)
    ledger, rows = Ledger.open(path, "normal"), 0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        while ledger.available:  # the first file is tried; others would wait behind it
            rows += 1
            await ledger.write(outcome(rows))
            await asyncio.sleep(0.015)
        assert len(found(path)) <= 2
        other.execute("ROLLBACK")
    if ends:
        await ledger.close()
        ledger = Ledger.open(path, "normal")
    await brought_in(path, rows)
    assert names(ledger) == [f"d{number}" for number in range(1, rows + 1)]
    await ledger.close()


async def test_what_has_gathered_is_brought_in_at_once_if_it_is_much(path, monkeypatch):
    monkeypatch.setattr(policies.ledger, "ROLL_SECONDS", 3600.0)
    monkeypatch.setattr(policies.ledger, "ROLL_BYTES", 700)
    ledger = Ledger.open(path, "normal")
    for number in range(20):
        await ledger.write(outcome(number))
        assert len(found(path)) <= 2, "one is written, one is brought in"
    while in_file(path) < 10:
        await asyncio.sleep(0.01)
        await ledger.write(outcome(100 + in_file(path)))
    assert set(names(ledger)) >= {f"d{number}" for number in range(20)}
    await ledger.close()


async def test_what_cannot_be_brought_in_at_the_end_is_at_the_next_start(path, monkeypatch):
    monkeypatch.setattr(policies.writer, "BUSY_SECONDS", 0.01)
    ledger = Ledger.open(path, "normal")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await ledger.write(outcome(1))
        await ledger.close()
        assert in_file(path) == 0
        with pytest.raises(SetupError, match="another process holds it locked"):
            Ledger.open(path, "normal")
        other.execute("ROLLBACK")
    await Ledger.open(path, "normal").close()
    assert (in_file(path), found(path)) == (1, [])


@pytest.mark.parametrize(("size", "records"), [(1, 7), (300, 3), (100_000, 1)])
async def test_many_rows_are_several_records(path, monkeypatch, size, records):
    monkeypatch.setattr("policies.journal.RECORD_BYTES", size)
    ledger = Ledger.open(path, "normal")
    for number in range(7):
        await ledger.write(outcome(number))
    await ledger.close()
    assert names(ledger) == [f"d{number}" for number in range(7)]
    assert ledger.spend(0.0, 2.0) == 7 * 1_500
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM groups").fetchone()[0] == records
    assert ledger.damaged() == []


def test_a_new_file_that_another_has_just_removed_is_made_again(path, monkeypatch):
    taken: list[int] = []

    def flock(file, how):
        taken.append(file)
        if len(taken) == 1:  # the other had it first, saw that it is empty and removed it
            found(path)[0][2].unlink()
        elif len(taken) == 2:  # and has it still
            found(path)[0][2].unlink()
            raise BlockingIOError

    monkeypatch.setattr("policies.journal.fcntl.flock", flock)
    writer = Journal(path)
    writer.append(group(1))
    assert [generation for _, generation, _ in found(path)] == [3]


def test_a_copy_that_somebody_made_of_a_journal_is_not_one(path):
    path.with_name(f"{path.name}-rows-1.ab-1.gz").write_bytes(b"")
    assert (found(path), held(path)) == ([], [])


async def test_what_is_taken_over_between_two_looks_is_counted_once(path, monkeypatch):
    await Ledger.open(path, "normal").close()
    one, two = Journal(path), Journal(path)
    one.append(group(1))
    two.append(group(2))
    looks = []

    def look(where):
        looks.append(held(where))
        for writer in (one, two) if len(looks) == 1 else ():  # they die; who brings in the second forgets the first
            os.close(rolled(writer).file)
            take_over(path)
        return looks[-1]

    monkeypatch.setattr(journal, "held", look)
    assert Record(path).spend(0.0, 2.0) == 3_000
    assert [len(parts) for parts in looks] == [2, 0]


def test_files_that_go_while_they_are_looked_for_are_left_out(path, monkeypatch):
    gone = path.with_name(f"{path.name}-rows-1.ab-1")
    monkeypatch.setattr(journal, "found", lambda path: [("1.ab", 1, gone)])
    assert (held(path), orphans(path)) == ([], [])


async def test_a_file_that_cannot_take_over_a_journal_is_an_error_of_setup_and_loses_nothing(path):
    Ledger.open(path, "normal")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE groups RENAME TO others")
    left = Journal(path)
    left.append(group(1))
    part = rolled(left)
    os.close(part.file)
    with pytest.raises(SetupError, match="journal cannot be brought in"):
        Ledger.open(path, "normal")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE others RENAME TO groups")
    await Ledger.open(path, "normal").close()
    assert (in_file(path), found(path)) == (1, [])


async def test_journals_of_which_nothing_is_left_are_forgotten(path):
    for number in range(2):
        ledger = Ledger.open(path, "normal")
        await ledger.write(outcome(number))
        await ledger.close()
    left = Journal(path)
    left.append(group(9))
    part = rolled(left)
    os.close(part.file)
    await Ledger.open(path, "normal").close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT owner FROM journals").fetchall() == [(part.owner,)]

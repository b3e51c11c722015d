"""Answers that wait in memory that several processes see. Row 41."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest

from gateway.shelf import HEAD, SIZE, Shelf, unnamed

A, B = b"a" * 32, b"b" * 32
OTHER = """
import sys
from gateway.shelf import Shelf
other = Shelf(int(sys.argv[1]))
"""


@pytest.fixture
def file() -> Iterator[int]:
    made = unnamed(SIZE)
    yield made
    os.close(made)


def other(file: int, does: str, **about) -> subprocess.Popen[str]:
    """Another process with the same memory."""
    command = [sys.executable, "-c", OTHER + does, str(file)]
    return subprocess.Popen(command, pass_fds=[file], text=True, stdout=subprocess.PIPE, **about)


def test_what_one_process_puts_in_another_takes_out_and_nobody_after_it_row_41(file):
    mine = Shelf(file)
    with other(file, 'other.put(b"a" * 32, 10.0, 0.0, b"answer")') as process:
        assert process.wait() == 0
    assert mine.waiting[0] == 1
    with other(file, 'sys.stdout.write(str(other.take(b"a" * 32, 1.0)))') as process:
        assert process.communicate()[0] == "b'answer'"
    assert mine.waiting[0] == 0
    assert mine.take(A, 1.0) is None


def test_who_bought_twice_gets_both_the_older_first_and_nothing_of_others():
    mine = Shelf()
    for digest, data in ((A, b"one"), (B, b"other"), (A, b"two")):
        mine.put(digest, 10.0, 0.0, data)
    assert [mine.take(A, 1.0) for _ in range(3)] == [b"one", b"two", None]
    assert mine.take(B, 1.0) == b"other"


def test_what_is_too_old_is_gone():
    mine = Shelf()
    mine.put(A, 10.0, 0.0, b"one")
    assert mine.take(A, 10.0) is None
    assert mine.waiting[0] == 0


def test_the_oldest_makes_room_and_what_is_too_large_is_not_kept():
    mine, random, put = Shelf(places=8, room=100), Random(4), []
    for number in range(1000):
        data = bytes([number % 256]) * random.randrange(60)
        digest = number.to_bytes(32, "big")
        mine.put(digest, 10.0, 0.0, data)
        put.append((digest, data))
        assert mine.waiting[0] <= 8
        if number % 7 == 0:
            digest, data = random.choice(put[-4:])
            assert mine.take(digest, 1.0) in (data, None)
    mine.put(A, 10.0, 0.0, b"last")
    before = mine.waiting[0]
    mine.put(B, 10.0, 0.0, bytes(101))
    assert mine.waiting[0] == before
    assert mine.take(A, 1.0) == b"last"


def test_an_answer_that_was_only_half_written_is_nobodys():
    mine = Shelf()
    mine.put(A, 10.0, 0.0, b"one")
    mine.memory[mine.begin] = 0
    assert mine.take(A, 1.0) is None


def test_one_that_is_killed_while_it_holds_the_lock_lets_go_of_it(file):
    mine = Shelf(file)
    holds = "with other._alone():\n    sys.stdout.write('held')\n    sys.stdout.flush()\n    sys.stdin.read()"
    with other(file, holds, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == "held"
        mine.put(A, 10.0, 0.0, b"one")
        assert (mine.waiting[0], mine.take(A, 1.0)) == (0, None), "nobody waits for one that is stopped"
        process.send_signal(signal.SIGKILL)
        process.wait()
    mine.put(A, 10.0, 0.0, b"one")
    assert mine.take(A, 1.0) == b"one"


def test_where_there_is_no_memory_without_a_name_it_is_a_file_without_one(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    file = unnamed(SIZE)
    try:
        assert os.fstat(file).st_size == SIZE
        mine = Shelf(file)
        assert HEAD.unpack_from(mine.memory) == (0, 0)
        fcntl.lockf(file, fcntl.LOCK_EX)
        mine.put(A, 10.0, 0.0, b"one")
        assert mine.take(A, 1.0) == b"one"
    finally:
        os.close(file)

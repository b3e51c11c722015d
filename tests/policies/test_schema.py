"""Opening a file of ours: by several processes at once, and while another holds it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from experts.base import SetupError
from policies import schema
from policies.stored import MIGRATIONS

OPEN = """
import sys
from pathlib import Path
from policies.stored import MIGRATIONS
from policies.schema import connect
sys.stdin.readline()
for place in range(20):
    connect(Path(sys.argv[1]) / f"{place}.sqlite", MIGRATIONS).close()
"""


def test_several_processes_may_make_the_same_file_at_once(tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()

    assert [process.communicate()[1] for process in processes] == [""] * 3


@pytest.mark.parametrize(("patience", "opens"), [(20.0, True), (0.05, False)])
def test_a_file_that_another_process_holds_is_waited_for_but_not_for_ever(tmp_path, monkeypatch, patience, opens):
    monkeypatch.setattr(schema, "BUSY_SECONDS", patience)
    monkeypatch.setattr(schema, "TURN_SECONDS", 0.001)
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        ends.start()
        if opens:
            schema.connect(path, MIGRATIONS).close()
        else:
            with pytest.raises(SetupError, match="locked"):
                schema.connect(path, MIGRATIONS)
        ends.join()


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_RECOVERY, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_PROTOCOL, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_FSYNC, False),
    ],
)
def test_another_process_that_opens_or_closes_the_file_is_waited_for(code, passes):
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    assert schema.momentary(error) is passes

"""Group commit: many items in one durable transaction."""

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from policies.batches import StoreUnavailable
from policies.writer import Writer


def table(connection):
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")


def run(connection, jobs):
    return [job(connection) for job in jobs]


def insert(number: int) -> Any:
    return lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,)).lastrowid


@pytest.fixture
async def writer(tmp_path):
    made = Writer(tmp_path / "numbers.sqlite", (table,), run)
    yield made
    await made.close()


async def test_jobs_run_in_order_and_give_their_results(writer):
    assert await asyncio.gather(*(writer.submit(insert(number)) for number in (3, 1, 2))) == [3, 1, 2]


async def test_what_waits_shares_one_transaction(writer):
    statements: list[str] = []
    await writer.submit(lambda connection: connection.set_trace_callback(statements.append))
    writer.submit(lambda connection: time.sleep(0.05))
    await asyncio.sleep(0.02)
    await asyncio.gather(*(writer.submit(insert(number)) for number in range(100)))
    assert sum(statement.startswith("INSERT") for statement in statements) == 100
    assert statements.count("COMMIT") <= 3


@pytest.mark.parametrize("faulty", [insert(1), lambda connection: [][0], lambda connection: 1 / 0])
async def test_a_faulty_job_fails_alone(writer, faulty):
    await writer.submit(insert(1))
    first, fault, last = writer.submit(insert(2)), writer.submit(faulty), writer.submit(insert(3))
    assert (await first, await last) == (2, 3)
    with pytest.raises((sqlite3.IntegrityError, IndexError, ZeroDivisionError)):
        await fault
    assert writer.open


async def test_a_job_that_cannot_reach_the_file_is_refused_and_the_next_tries_again(writer, monkeypatch):
    monkeypatch.setattr("policies.writer.RETRY_SECONDS", 0)

    def unreachable(connection):
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreUnavailable, match="numbers.sqlite cannot be written"):
        await writer.submit(unreachable)
    assert await writer.submit(insert(5)) == 5


async def test_after_damage_what_is_queued_is_refused_too(writer, monkeypatch):
    monkeypatch.setattr("policies.batches.LARGEST_BATCH", 1)

    def damaged(connection):
        time.sleep(0.02)
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        raise error

    damage, queued = writer.submit(damaged), writer.submit(insert(1))
    for job in (damage, queued):
        with pytest.raises(StoreUnavailable, match="SQLITE_CORRUPT"):
            await job


def test_a_job_whose_event_loop_has_ended_is_done_all_the_same(tmp_path):
    async def submit() -> Any:
        writer = Writer(tmp_path / "numbers.sqlite", (table,), run)
        writer.submit(insert(1))
        return writer

    async def count(writer: Any) -> int:
        rows = await writer.submit(lambda connection: connection.execute("SELECT * FROM numbers").fetchall())
        await writer.close()
        return len(rows)

    writer = asyncio.run(submit())
    assert asyncio.run(count(writer)) == 1


async def test_a_waiter_that_leaves_does_not_take_its_job_along(writer):
    leaves = writer.submit(insert(1))
    leaves.cancel()
    assert await writer.submit(lambda connection: connection.execute("SELECT number FROM numbers").fetchall()) == [(1,)]


async def test_a_writer_takes_its_turn_after_another_process(writer, tmp_path):
    with closing(sqlite3.connect(tmp_path / "numbers.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits = writer.submit(insert(1))
        await asyncio.sleep(0.02)
        other.execute("COMMIT")
    assert await waits == 1

"""The append-only record: what it keeps, refuses, and survives."""

import asyncio
import os
import resource
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

import policies.writer
from bench.ledger import Zygote
from experts.base import Answer, Failure, Request, SetupError, Timing
from experts.card import Usage
from policies.base import Accept, Ask, Decision, Refuse, State
from policies.ledger import Ledger, LedgerUnavailable
from policies.rows import DecisionRow, OutcomeRow
from routers.base import Estimate

SIZE = int(os.environ.get("LYCEUM_SIZE", "1"))
"""How many times the usual number of cases are run."""

ESTIMATES = {"small": Estimate("small", 0.5, 0.1, 1_000, 2_000, 0.7)}
USAGE = Usage(9, 2, cached_tokens=1, image_tokens=4)
ANSWER = Answer("small", {"content": "42"}, "stop", USAGE, 1_500, Timing(0.2, 0.5))
FAILURE = Failure("large", "unavailable", timing=Timing(None, 3.0))


def decided(name: str, decision: Decision, step: int = 0, **about: Any) -> DecisionRow:
    state = State(Request(({"role": "user", "content": "a secret"},), id=name), ESTIMATES, allowance=77, draw=0.25)
    return DecisionRow.of(state, decision, step, **{"time": 100.0, "policy": "auto", **about})


async def waits(group):
    await group


@asynccontextmanager
async def opened(path):
    ledger = Ledger.open(path, path.parent.name)
    try:
        yield ledger
    finally:
        await ledger.close()


@pytest.fixture(params=["full", "normal"])
def path(tmp_path, request):
    """The folder's name says how durable the ledger is."""
    return tmp_path / request.param / "ledger.sqlite"


async def test_a_request_is_explained_whole_after_a_restart(path):
    async with opened(path) as ledger:
        await ledger.write(decided("d1", Ask(("large", "small"), probability=0.4, why="both"), key="k1"))
        await ledger.write(OutcomeRow.of("d1", 0, FAILURE, 101.0))
        await ledger.write(OutcomeRow.of("d1", 0, ANSWER, 102.0, status=200))
        await ledger.write(decided("d1", Accept(ANSWER, "good"), step=1, time=103.0))
    async with opened(path) as ledger:
        story = ledger.explain("d1")
        assert ledger.explain("d2") is None
    ask, accept = story["decisions"]
    assert (ask["kind"], ask["experts"], ask["probability"], ask["why"]) == ("ask", ["large", "small"], 0.4, "both")
    assert (ask["key"], ask["model"], ask["allowance"], ask["draw"]) == ("k1", "auto", 77, 0.25)
    assert ask["estimates"] == {
        "small": {"quality": 0.5, "std": 0.1, "cost": 1_000, "cost_high": 2_000, "latency": 0.7, "usual": None}
    }
    assert (accept["kind"], accept["experts"], accept["step"]) == ("accept", ["small"], 1)
    failure, answer = story["outcomes"]
    assert (failure["kind"], failure["reason"], failure["cost"]) == ("failure", "unavailable", None)
    assert (answer["prompt_tokens"], answer["cached_tokens"], answer["reasoning_tokens"]) == (9, 1, None)
    assert (answer["image_tokens"], answer["spoken_tokens"]) == (4, None)
    assert (answer["cost"], answer["first"], answer["total"], answer["status"]) == (1_500, 0.2, 0.5, 200)
    assert story["cost"] is None, "the cost of the failure is unknown, which is not 0"


async def test_the_prompt_is_never_stored(path):
    async with opened(path) as ledger:
        await ledger.write(decided("d1", Ask(("small",), last=True)))
        assert ledger.explain("d1")["decisions"][0]["prompt_hash"]
    assert b"a secret" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_a_refusal_has_its_reason_and_costs_nothing(path):
    async with opened(path) as ledger:
        await ledger.write(decided("d1", Refuse("budget", "too dear")))
        story = ledger.explain("d1")
    assert story["decisions"][0]["reason"] == "budget"
    assert story["cost"] == 0


async def test_spend_is_the_sum_of_known_costs_in_a_period(path):
    async with opened(path) as ledger:
        for number, time in enumerate([99.9, 100.0, 150.0, 200.0]):
            await ledger.write(OutcomeRow.of(f"d{number}", 0, ANSWER, time))
        await ledger.write(OutcomeRow.of("d9", 0, FAILURE, 150.0))
        assert ledger.spend(100.0, 200.0) == 3_000
        assert ledger.spend(500.0, 600.0) == 0
        assert len(list(ledger.rows("outcomes"))) == 5
        assert [row["decision"] for row in ledger.rows("outcomes", since=150.0)] == ["d2", "d3", "d9"]


async def test_a_row_written_twice_is_there_once(path):
    async with opened(path) as ledger:
        await asyncio.gather(*(ledger.write(OutcomeRow.of("d1", 0, ANSWER, 1.0)) for _ in range(5)))
        assert len(list(ledger.rows("outcomes"))) == 1


async def test_two_ledgers_write_the_same_file(path):
    async with opened(path) as one, opened(path) as two:
        rows = [OutcomeRow.of(f"d{number}", 0, ANSWER, 1.0) for number in range(200)]
        await asyncio.gather(*(ledger.write(row) for row in rows for ledger in (one, two)))
        assert len(list(one.rows("outcomes"))) == 200


async def test_closing_writes_what_is_queued_and_then_refuses(path):
    ledger = Ledger.open(path, path.parent.name)
    written = [ledger.write(OutcomeRow.of(f"d{number}", 0, ANSWER, 1.0)) for number in range(50)]
    await ledger.close()
    await asyncio.gather(*written)
    await ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.write(OutcomeRow.of("d99", 0, ANSWER, 1.0))
    assert not ledger.available
    assert len(list(ledger.rows("outcomes"))) == 50


async def test_a_waiter_that_leaves_takes_neither_its_row_nor_those_of_others_with_it(path):
    async with opened(path) as ledger:
        leaves = ledger.write(OutcomeRow.of("d1", 0, ANSWER, 1.0))
        stays = ledger.write(OutcomeRow.of("d2", 0, ANSWER, 1.0))
        waiter = asyncio.ensure_future(waits(leaves))
        await asyncio.sleep(0)
        waiter.cancel()
        await stays
        assert len(list(ledger.rows("outcomes"))) == 2


@pytest.mark.parametrize("path", ["full"], indirect=True)
async def test_a_flipped_bit_is_mended_and_what_is_worse_is_found_row_47(path):
    async with opened(path) as ledger:
        for number in range(3):
            await ledger.write(OutcomeRow.of(f"d{number}", 0, ANSWER, 1.0))
        await ledger.write(decided("needle", Ask(("small",))))
        assert ledger.damaged() == []
    content = path.read_bytes()
    place = content.index(b"needle")
    path.write_bytes(content[:place] + b"N" + content[place + 1 :])
    async with opened(path) as ledger:
        assert ledger.damaged() == [(4, True)]
        assert [row["id"] for row in ledger.rows("decisions")] == ["needle"]
    path.write_bytes(content[:place] + b"straw!" + content[place + 6 :])
    async with opened(path) as ledger:
        assert ledger.damaged() == [(4, False)]
        assert (len(list(ledger.rows("outcomes"))), list(ledger.rows("decisions"))) == (3, [])


@pytest.mark.parametrize("path", ["full"], indirect=True)
async def test_a_wrong_sum_beside_a_group_is_found_row_47(path):
    async with opened(path) as ledger:
        await ledger.write(OutcomeRow.of("d1", 0, ANSWER, 1.0))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE groups SET cost = cost + 1")
            connection.commit()
        assert ledger.damaged() == [(1, True)]


def lines(error) -> list[str]:
    return str(error.value).splitlines()


async def test_a_ledger_that_cannot_be_opened_says_so_in_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 64)
    with sqlite3.connect(tmp_path / "foreign") as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    for name, message in {
        "file/ledger": "cannot be written",
        "noise": "damaged or not a SQLite file",
        "foreign": "belongs to another program",
    }.items():
        with pytest.raises(SetupError, match=message) as error:
            Ledger.open(tmp_path / name)
        assert len(lines(error)) == 1


async def test_a_locked_or_full_or_newer_file_is_an_error_of_setup(tmp_path, path, monkeypatch):
    monkeypatch.setattr("policies.schema.BUSY_SECONDS", 0.001)
    async with opened(path):
        pass
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SetupError, match="another process holds it locked"):
        Ledger.open(path)
    other.execute("INSERT INTO migrations VALUES ('from_the_future', 0)")
    other.execute("COMMIT")
    other.close()
    with pytest.raises(SetupError, match=r"newer release \(step 'from_the_future'\)"):
        Ledger.open(path)

    def too_large(connection):
        connection.execute("PRAGMA max_page_count = 3")
        connection.execute("CREATE TABLE large (a)")
        connection.execute("INSERT INTO large VALUES (zeroblob(100000))")

    monkeypatch.setattr("policies.ledger.MIGRATIONS", (too_large,))
    with pytest.raises(SetupError, match="the disk is full"):
        Ledger.open(tmp_path / "other")


class FullDisk:
    """No file of this process may grow while it lasts."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


async def write_until_full(ledger) -> int:
    for number in range(10_000):
        try:
            await ledger.write(OutcomeRow.of(f"full-{number}", 0, ANSWER, 1.0))
        except LedgerUnavailable:
            return number
    pytest.fail("the disk was never full")


async def test_a_full_disk_refuses_rows_at_once_and_recovers_when_there_is_room_row_47(path, monkeypatch):
    async with opened(path) as ledger:
        await ledger.write(OutcomeRow.of("before", 0, ANSWER, 1.0))
        with FullDisk(300_000):
            acknowledged = await write_until_full(ledger)
            assert not ledger.available
            refused = ledger.write(OutcomeRow.of("refused", 0, ANSWER, 1.0))
            assert refused.done
            assert isinstance(refused.error, LedgerUnavailable)
        monkeypatch.setattr(policies.writer, "RETRY_SECONDS", 0)
        await asyncio.sleep(1.1)
        await ledger.write(OutcomeRow.of("after", 0, ANSWER, 1.0))
        assert ledger.available
        names = [row["decision"] for row in ledger.rows("outcomes")]
    assert set(names) >= {"before", "after"} | {f"full-{number}" for number in range(acknowledged)}
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", ["full"], indirect=True)
async def test_a_ledger_that_turned_to_noise_stays_unavailable_row_47(path, monkeypatch):
    monkeypatch.setattr(policies.writer, "RETRY_SECONDS", 0)
    async with opened(path) as ledger:
        with FullDisk(300_000):
            await write_until_full(ledger)
        for file in path.parent.iterdir():
            file.write_bytes(b"noise" * 10_000)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="SQLITE_NOTADB"):
                await ledger.write(OutcomeRow.of("after", 0, ANSWER, 1.0))


async def test_no_acknowledged_row_is_lost_by_kill_9_and_none_is_there_twice_row_46(path):
    acknowledged: list[str] = []
    with Zygote(path, path.parent.name) as zygote:
        for kill in range(50 * SIZE):
            acknowledged += zygote.life(kill * 7 % 160)
    async with opened(path) as ledger:
        rows = [row["decision"] for row in ledger.rows("outcomes")]
        assert ledger.damaged() == []
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(rows)
    assert len(set(rows)) == len(rows)

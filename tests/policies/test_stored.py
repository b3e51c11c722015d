"""How the ledger's file is laid out: groups of rows, views over them, and what it takes over from older files."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from policies.base import Ask
from policies.ledger import Ledger
from policies.rows import OutcomeRow, hash_of
from policies.schema import connect
from policies.stored import MIGRATIONS
from tests.policies.test_ledger import ANSWER, decided, opened


@pytest.fixture
def path(tmp_path):
    return tmp_path / "full" / "ledger.sqlite"


async def test_the_rows_of_one_group_are_told_apart_by_their_time(path):
    async with opened(path) as ledger:
        groups = [ledger.write(OutcomeRow.of(f"d{time}", 0, ANSWER, float(time))) for time in (2, 1, 3)]
        groups.append(ledger.write(decided("d4", Ask(("small",)), time=2.5)))
        await groups[0]
        assert all(group is groups[0] for group in groups)
        assert ledger.spend(2.0, 3.0) == 1_500
        assert [row["decision"] for row in ledger.rows("outcomes", 2.0, 3.0)] == ["d2"]
        assert [row["id"] for row in ledger.rows("decisions")] == ["d4"]


async def test_the_views_show_groups_row_by_row(path):
    async with opened(path) as ledger:
        ledger.write(decided("d1", Ask(("small",), last=True), key="k1"))
        await ledger.write(OutcomeRow.of("d1", 0, ANSWER, 101.0))
    with closing(sqlite3.connect(path)) as connection:
        decision = connection.execute("SELECT id, key, experts, last, time FROM decisions").fetchall()
        outcome = connection.execute("SELECT decision, cost, total, image_tokens FROM outcomes").fetchall()
    assert decision == [("d1", "k1", '["small"]', 1, 100.0)]
    assert outcome == [("d1", 1_500, 0.5, 4)]


async def test_rows_of_the_first_layout_are_taken_over(path):
    path.parent.mkdir()
    with closing(connect(path, MIGRATIONS[:1])) as connection:
        connection.execute(
            "INSERT INTO decisions VALUES (1, 'd1', 0, 100.0, 'k1', 'auto', 'auto', 'ask', '[\"small\"]', 1, NULL,"
            " 1.0, 0.5, NULL, 'why', 'hash', '{\"small\":[0.5,0.1,1000,2000,0.7]}', 7)"
        )
        connection.execute(
            "INSERT INTO outcomes VALUES (1, 'd1', 0, 'small', 101.0, 'answer', NULL, 'stop', 9, 2, NULL, NULL, 0,"
            " 1500, 0.2, 0.5, 200, 7)"
        )
    async with opened(path) as ledger:
        story = ledger.explain("d1")
        assert ledger.spend(0.0, 200.0) == story["cost"] == 1_500
        assert ledger.damaged() == []
    assert story["decisions"][0]["estimates"]["small"]["cost_high"] == 2_000
    assert story["outcomes"][0]["image_tokens"] is None
    assert (story["decisions"][0]["last"], story["outcomes"][0]["completion_tokens"]) == (True, 2)


async def test_the_name_of_a_request_tells_when_to_look_for_its_story(path):
    name, impostor = f"{1_700_000_000:08x}{'ab' * 8}", f"{1_600_000_000:08x}{'ab' * 8}"
    async with opened(path) as ledger:
        await ledger.write(decided(name, Ask(("small",)), time=1_700_000_001.0))
        await ledger.write(decided(impostor, Ask(("small",)), time=1_700_000_001.0))
        assert ledger.explain(name) is not None
        assert ledger.explain(impostor) is None
        assert ledger.explain("z" * 24) is None


async def test_a_row_written_again_much_later_is_shown_twice(path, monkeypatch):
    monkeypatch.setattr("policies.record.AGAIN", 2)
    async with opened(path) as ledger:
        for number in (1, 1, 2, 3, 1):
            await ledger.write(OutcomeRow.of(f"d{number}", 0, ANSWER, 1.0))
        assert [row["decision"] for row in ledger.rows("outcomes")] == ["d1", "d2", "d3", "d1"]


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
async def test_how_durable_a_commit_is_can_be_chosen(path, durability, synchronous):
    ledger: Any = Ledger.open(path, durability)
    assert ledger._writer._connection.execute("PRAGMA synchronous").fetchone()[0] == synchronous
    await ledger.write(OutcomeRow.of("d1", 0, ANSWER, 1.0))
    await ledger.close()
    assert len(list(ledger.rows("outcomes"))) == 1


async def test_of_a_long_prompt_only_length_and_ends_make_the_fingerprint():
    long = "a" * 100_000
    assert hash_of(long) == hash_of(long)
    assert len({hash_of(each) for each in (long, long + "a", "b" + long[1:], long[:-1] + "b")}) == 4

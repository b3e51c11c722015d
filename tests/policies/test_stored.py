"""How the ledger's file is laid out: groups of rows, views over them, and what it takes over from older files."""

import asyncio
import sqlite3
import zlib
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from policies.base import Ask
from policies.groups import Group
from policies.ledger import GATHER_SECONDS, Ledger, LedgerUnavailable
from policies.rows import LARGEST, SETTLED, Line, OutcomeRow, SettlementRow, brought, hash_of, readable
from policies.schema import connect, reader
from policies.stored import MIGRATIONS, PAGE_BYTES
from tests.policies.test_ledger import ANSWER, FAILURE, USAGE, decided, opened


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


async def test_an_outcome_and_its_settlement_are_one_line_and_read_as_two(path):
    budgets = [("all", 0, 500, 7, 1_507)]
    async with opened(path) as ledger:
        ledger.write(decided("d1", Ask(("small",), last=True)))
        row = brought("d1", 0, ANSWER, 101.0, "price")
        await ledger.put((SETTLED, row, "settled", 2_000, 1_500, budgets), 101.0, ANSWER.cost)
        ledger.write(OutcomeRow.of("d1", 1, ANSWER, 102.0))
        await ledger.write(SettlementRow("d1", 1, "small", 102.0, "late", 9, 0, "other"))
        story = ledger.explain("d1")
        assert ledger.spend(0.0, 200.0) == story["cost"] == 3_000
        assert ledger.damaged() == []
        kinds = [len(list(ledger.rows(table))) for table in ("decisions", "outcomes", "settlements")]
    assert kinds == [1, 2, 2]
    assert story["outcomes"][0] == readable(("outcome", *row[1:])) | {"price": "price"}
    first, second = story["settlements"]
    assert first == {
        "decision": "d1",
        "step": 0,
        "expert": "small",
        "time": 101.0,
        "state": "settled",
        "hold": 2_000,
        "booked": 1_500,
        "price": "price",
        "budgets": [{"account": "all", "since": 0, "limit": 500, "before": 7, "after": 1_507}],
    }
    assert (second["state"], second["price"]) == ("late", "other")
    with closing(sqlite3.connect(path)) as connection:
        outcomes = connection.execute("SELECT decision, step, cost, price FROM outcomes ORDER BY step").fetchall()
        settlements = connection.execute("SELECT * FROM settlements ORDER BY step").fetchall()
    assert outcomes == [("d1", 0, 1_500, "price"), ("d1", 1, 1_500, "")]
    assert [row[1:9] for row in settlements] == [
        ("d1", 0, "small", 101.0, "settled", 2_000, 1_500, "price"),
        ("d1", 1, "small", 102.0, "late", 9, 0, "other"),
    ]
    assert settlements[0][9] == '[["all",0,500,7,1507]]'


async def test_what_is_no_row_leaves_nothing_of_itself_among_the_others(path):
    async with opened(path) as ledger:
        with pytest.raises(UnicodeEncodeError):
            ledger.put(("outcome", "\ud800"), 1.0, None)
        await asyncio.sleep(2 * GATHER_SECONDS)
        first = ledger.write(OutcomeRow.of("d1", 0, ANSWER, 1.0))
        with pytest.raises(UnicodeEncodeError):
            ledger.put(("outcome", "d2", "\ud800"), 1.0, None)
        assert ledger.write(OutcomeRow.of("d3", 0, ANSWER, 1.0)) is first
        await first
        assert [row["decision"] for row in ledger.rows("outcomes")] == ["d1", "d3"]


def keep(ledger: Ledger, line: Line, time: float, cost: int | None) -> Group:
    """Adds a line as books do."""
    group = ledger.group or ledger.begin(time)
    group.lines.append(line)
    group.covers(time, cost)
    return group


async def test_lines_that_were_kept_are_written_with_the_rows_of_their_group(path):
    async with opened(path) as ledger:
        groups = [
            keep(ledger, brought("d2", 0, ANSWER, 102.0, "price"), 102.0, ANSWER.cost),
            ledger.put(brought("d3", 0, ANSWER, 103.0, "price"), 103.0, ANSWER.cost),
            keep(ledger, brought("d1", 0, FAILURE, 101.0, ""), 101.0, None),
            keep(ledger, brought("d4", 0, ANSWER, 102.5, "price"), 102.5, ANSWER.cost),
            keep(ledger, brought("d5", 0, ANSWER, 103.5, "price"), 103.5, ANSWER.cost),
        ]
        await groups[0]
        assert all(group is groups[0] for group in groups)
        assert (groups[0].first, groups[0].last, groups[0].lines) == (101.0, 103.5, [])
        assert {row["decision"] for row in ledger.rows("outcomes", 101.0, 104.0)} == {"d1", "d2", "d3", "d4", "d5"}
        assert ledger.spend(0.0, 200.0) == 6_000
        assert ledger.damaged() == []


async def test_a_line_that_cannot_be_written_as_it_is_takes_no_other_with_it(path):
    odd = replace(ANSWER, finish_reason="\ud800", usage=replace(USAGE, prompt_tokens=1 << 70))
    odder = replace(ANSWER, finish_reason=b"stop", usage=replace(USAGE, estimated=True))
    async with opened(path) as ledger:
        for name, answer in (("d1", odd), ("d2", ANSWER), ("d3", odder)):
            group = keep(ledger, brought(name, 0, answer, 1.0, "price"), 1.0, 1_500)
        await group
        rows = list(ledger.rows("outcomes"))
    told = [(row["decision"], row["finish_reason"], row["prompt_tokens"], row["estimated"]) for row in rows]
    assert told == [("d1", "?", LARGEST, False), ("d2", "stop", 9, False), ("d3", "b'stop'", 9, True)]


async def test_nothing_is_kept_of_a_line_where_nothing_can_be_written(path):
    async with opened(path) as ledger:
        pass
    group = ledger.begin(1.0)
    assert ledger.group is None
    with pytest.raises(LedgerUnavailable, match="closed"):
        await group


async def test_groups_of_an_older_release_are_read_and_mended_by_their_checksum(path):
    async with opened(path) as ledger:
        for name in ("d1", "d2", "d3"):
            await ledger.write(OutcomeRow.of(name, 0, ANSWER, 1.0))
    with closing(sqlite3.connect(path)) as connection:
        for (lines,) in connection.execute("SELECT lines FROM groups").fetchall():
            told = zlib.crc32(lines), lines
            connection.execute("UPDATE groups SET sums = NULL, checksum = ? WHERE lines = ?", told)
        connection.execute("UPDATE groups SET lines = CAST(replace(lines, 'd2', 'd6') AS BLOB) WHERE row = 2")
        connection.execute("UPDATE groups SET lines = CAST(replace(lines, 'd3', 'XX') AS BLOB) WHERE row = 3")
        connection.commit()
    async with opened(path) as ledger:
        assert [row["decision"] for row in ledger.rows("outcomes")] == ["d1", "d2"]
        assert ledger.damaged() == [(2, True), (3, False)]


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
    with closing(connect(path, MIGRATIONS, "full", PAGE_BYTES)) as connection:
        pages = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "wal_autocheckpoint")
        }
    assert pages == {"page_size": 4096, "wal_autocheckpoint": 1024}
    assert story["outcomes"][0]["image_tokens"] is None
    assert (story["decisions"][0]["last"], story["outcomes"][0]["completion_tokens"]) == (True, 2)


async def test_a_new_file_has_large_pages(path):
    async with opened(path):
        with closing(reader(path)) as connection:
            assert connection.execute("PRAGMA page_size").fetchone()[0] == PAGE_BYTES


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


async def test_a_prompt_has_the_same_fingerprint_in_every_process_and_under_every_python():
    assert hash_of("Who was first?") == "1398a411fb128bd9"
    assert hash_of("é" * 5000) == "b9266a68ff45537b"
    assert hash_of("\ud800")


async def test_of_a_long_prompt_only_length_and_ends_make_the_fingerprint():
    long = "a" * 100_000
    assert hash_of(long) == hash_of(long)
    assert len({hash_of(each) for each in (long, long + "a", "b" + long[1:], long[:-1] + "b")}) == 4

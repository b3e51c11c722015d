"""What a version of prices means is known for as long as the ledger is."""

import sqlite3
from contextlib import closing

import pytest

from experts.base import SetupError
from experts.card import PRICED, Price
from policies import prices
from policies.base import Ask
from policies.ledger import Ledger
from policies.rows import OutcomeRow
from tests.policies.test_ledger import ANSWER, decided, opened

CHEAP, DEAR = Price(0.1, 0.4), Price(1.0, 4.0, cached=0.0, cpu_hour=0.05)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "full" / "ledger.sqlite"


async def begun(path, *known, now=1.0):
    await Ledger.open(path).close()
    prices.keep(path, known, now)


def altered(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def test_a_version_names_all_that_has_a_price_and_nothing_else():
    versions = {Price(**{kind: 0.5}).version for kind in PRICED}
    assert len(versions | {Price().version}) == len(PRICED) + 1
    assert Price(0.1, 0.4).version == CHEAP.version
    assert Price(cached=None).version == Price().version != Price(cached=0.0).version, "free is not unpriced"


async def test_each_version_is_kept_once_with_the_moment_when_it_was_seen_first(path):
    await begun(path, CHEAP, CHEAP)
    prices.keep(path, [DEAR, CHEAP], 2.0)
    first, second = prices.kept(path)
    assert first == {"version": CHEAP.version, "seen": 1.0, "usd": {"prompt": 0.1, "completion": 0.4, "cpu_hour": 0.0}}
    assert (second["version"], second["seen"], second["usd"]["cached"]) == (DEAR.version, 2.0, 0.0)


async def test_a_story_tells_the_prices_of_its_calls_and_no_others(path):
    await begun(path, CHEAP, DEAR)
    async with opened(path) as ledger:
        ledger.write(decided("d1", Ask(("small",), last=True)))
        ledger.write(decided("d2", Ask(("small",), last=True)))
        ledger.write(OutcomeRow.of("d1", 0, ANSWER, 101.0, price=DEAR.version))
        await ledger.write(OutcomeRow.of("d2", 0, ANSWER, 101.0))
        story, older = ledger.explain("d1"), ledger.explain("d2")
    assert [one["usd"]["completion"] for one in story["prices"]] == [4.0]
    assert story["outcomes"][0]["price"] == DEAR.version
    assert older["prices"] == [], "a row of an older release names no version"


async def test_one_flipped_bit_of_a_price_is_mended_row_47(path):
    await begun(path, CHEAP)
    wrong = bytes([CHEAP.told[3] ^ 8])
    altered(path, "UPDATE prices SET told = ?", CHEAP.told[:3] + wrong + CHEAP.told[4:])
    assert [one["usd"]["prompt"] for one in prices.kept(path)] == [0.1]


@pytest.mark.parametrize("change", ["told = x'7b7d'", "version = 'no number'"])
async def test_prices_that_are_damaged_are_said_to_be_lost_and_never_told_wrong_row_47(path, change, caplog):
    await begun(path, CHEAP)
    altered(path, f"UPDATE prices SET {change}")
    assert [one["usd"] for one in prices.kept(path)] == [None]
    assert "damaged and lost" in caplog.text


async def test_the_file_of_an_older_release_tells_no_prices(path):
    await begun(path, CHEAP)
    altered(path, "DROP TABLE prices")
    assert list(prices.kept(path)) == []


async def test_new_prices_that_cannot_be_written_stop_the_start_and_known_ones_need_no_writing(path, monkeypatch):
    await begun(path, CHEAP)
    monkeypatch.setattr("policies.schema.BUSY_SECONDS", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        prices.keep(path, [CHEAP], 2.0)
        with pytest.raises(SetupError, match="another process holds it locked"):
            prices.keep(path, [DEAR], 2.0)


def test_a_file_that_is_damaged_is_named(path):
    path.parent.mkdir()
    path.write_bytes(b"noise" * 1000)
    with pytest.raises(SetupError, match="ledger.sqlite: prices cannot be kept"):
        prices.keep(path, [CHEAP], 1.0)

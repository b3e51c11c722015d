"""What the ledger tells afterwards: why, what if, against the bill, and as Parquet."""

import json
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest

from experts.base import Unavailable
from gateway import export, reconcile, whatif
from gateway.__main__ import main
from policies.pick import Utility
from policies.record import Record
from tests.gateway.conftest import make_door, scripted, serving

DEAR = '[policy]\nuse = "policies.pick:Utility"\nusd_per_quality = 1.0\n'
CHEAP = '[policy]\nuse = "policies.pick:Only"\nexpert = "second"\n'


@pytest.fixture
async def written(tmp_path, monkeypatch):
    """A folder with the ledger of three requests; of the third the first expert failed."""
    experts = [scripted("first", cost=2_000_000), scripted("second", cost=1_000_000)]
    async with serving(make_door(tmp_path, experts, Utility(usd_per_quality=1.0))) as served:
        names = [(await served.ask()).headers["x-lyceum-decision"] for _ in range(2)]
        experts[0].fail = Unavailable("down")
        names.append((await served.ask()).headers["x-lyceum-decision"])
    (tmp_path / "lyceum.toml").write_text(
        f'[state]\nfolder = "{tmp_path}"\n[experts.a]\nuse="x"\n[router]\nuse="x"\n{DEAR}'
    )
    (tmp_path / "same.toml").write_text(DEAR)
    (tmp_path / "cheap.toml").write_text(CHEAP)
    monkeypatch.chdir(tmp_path)
    return names


def said(capsys, *words):
    code = main(words)
    out = capsys.readouterr()
    return code, out.out, out.err


async def test_why_tells_the_story(written, capsys):
    code, out, _ = said(capsys, "why", written[2], "--json")
    story = json.loads(out)
    assert code == 0
    assert [outcome["kind"] for outcome in story["outcomes"]] == ["failure", "answer"]
    code, out, _ = said(capsys, "why", written[2])
    assert "unavailable" in out
    assert "second" in out


async def test_why_of_an_unknown_request_names_it(written, capsys):
    code, _, err = said(capsys, "why", "nothing")
    assert (code, "nothing: the ledger has no such request" in err) == (2, True)


async def test_commands_without_a_ledger_say_where_it_should_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = said(capsys, "why", "x")
    assert (code, "there is no ledger at state" in err) == (2, True)


async def test_the_same_policy_decides_the_same_again(written, capsys):
    for name in written:
        code, out, _ = said(capsys, "whatif", name, "--policy", "same.toml", "--json")
        assert code == 0
        assert all(step["same"] for step in json.loads(out))
    assert len(json.loads(out)) == 2


async def test_another_policy_parts_where_it_asks_somebody_else(written, capsys):
    code, out, _ = said(capsys, "whatif", written[2], "--policy", "cheap.toml", "--json")
    assert code == 0
    (step,) = json.loads(out)
    assert (step["was"], step["would"], step["same"]) == (["first"], ["second"], False)
    assert "here they part" in said(capsys, "whatif", written[0], "--policy", "cheap.toml")[1]


async def test_the_last_requests_are_summed_up(written, capsys):
    code, out, _ = said(capsys, "whatif", "--policy", "cheap.toml", "--json", "--last", "2")
    total = json.loads(out)
    assert (code, total["requests"], total["changed"]) == (0, 2, 2)
    assert total["moves"] == {"first -> second": 2}
    assert total["expected_quality"]["would"] < total["expected_quality"]["was"]
    assert "3 of 3 first choices change" in said(capsys, "whatif", "--policy", "cheap.toml")[1]


@pytest.mark.parametrize(
    ("content", "why"),
    [("nonsense", "cannot read the policy"), ("[router]\nuse='x'", "[policy] is missing"), (None, "cannot read")],
)
async def test_a_policy_that_cannot_be_read_is_named(written, capsys, tmp_path, content, why):
    if content is not None:
        (tmp_path / "bad.toml").write_text(content)
    code, _, err = said(capsys, "whatif", "--policy", "bad.toml")
    assert (code, why in err, "bad.toml" in err) == (2, True, True)


def bill(tmp_path, *lines):
    (tmp_path / "bill.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "bill.csv")


async def test_a_bill_that_agrees_leaves_nothing_unexplained(written, capsys, tmp_path):
    lines = bill(tmp_path, "expert,usd", "first,0.004", "second,0.001")
    code, out, _ = said(capsys, "reconcile", lines, "--json", "--tolerance", "0")
    assert (code, json.loads(out)["unexplained"]) == (0, 0)


async def test_what_the_bill_has_beyond_the_ledger_is_unexplained(written, capsys, tmp_path):
    day = "2020-02-29"
    lines = bill(tmp_path, "model,amount,day", f'first,"$1,000.03",{day}')
    words = ["reconcile", lines, "--columns", "expert=model", "usd=amount", "date=day"]
    code, out, _ = said(capsys, *words, "--json", "--tolerance", "1")
    (line,) = json.loads(out)["lines"]
    assert code == 1
    assert (line["expert"], line["date"], line["billed"], line["booked"]) == ("first", day, 1_000_030_000_000, 0)
    assert "unexplained: 100003.0000 cents" in said(capsys, *words)[1]


async def test_calls_of_unknown_cost_are_counted_not_taken_for_free():
    rows = [
        {"time": 0.0, "expert": "a", "cost": None, "estimated": False},
        {"time": 0.0, "expert": "a", "cost": 5, "estimated": True},
    ]
    sums = reconcile.compared({("a", ""): 7}, rows)
    line = sums["a", ""]
    assert (line.answers, line.unknown, line.booked, line.estimated, line.unexplained) == (2, 1, 5, 5, 2)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["expert,usd", "a,much"], "line 2: 'much' is no amount"),
        (["expert,usd,date", "a,1,yesterday"], "line 2: 'yesterday' is no day"),
        (["name,usd", "a,1"], "there is no column 'expert'"),
    ],
)
async def test_a_bill_that_cannot_be_read_is_named(written, capsys, tmp_path, lines, why):
    code, _, err = said(capsys, "reconcile", bill(tmp_path, *lines))
    assert (code, why in err) == (2, True)


async def test_the_ledger_goes_to_parquet_and_back(written, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "GROUP", 2)
    assert said(capsys, "export", "--out", "out")[0] == 0
    ledger = Record(tmp_path / "ledger.sqlite")
    for table in ("decisions", "outcomes"):
        read = pq.read_table(tmp_path / "out" / f"{table}.parquet").to_pylist()
        assert read == [export.flat(row) for row in ledger.rows(table)]
    assert said(capsys, "export", "--out", "later", "--since", "2100-01-01")[0] == 0
    assert not list((tmp_path / "later").iterdir())


async def test_a_replay_knows_what_had_happened_before(written, tmp_path):
    story = Record(tmp_path / "ledger.sqlite").explain(written[2])
    assert story is not None
    steps = whatif.replayed(story, whatif.policy_of(tmp_path / "same.toml"))
    assert [step.would for step in steps] == [("first",), ("second",)]


async def test_check_finds_damage_in_the_ledger_and_says_what_it_costs_row_47(written, tmp_path, capsys):
    code, out, _ = said(capsys, "check", "--ledger", "--config", "lyceum.toml")
    assert (code, "no damaged groups" in out) == (0, True)
    path = next(tmp_path.rglob("ledger.sqlite"))
    whole = path.read_bytes()
    place = whole.index(written[0].encode())
    for wrong, words in {bytes([whole[place] ^ 4]): "can be read all the same", b"straw": "are lost"}.items():
        path.write_bytes(whole[:place] + wrong + whole[place + len(wrong) :])
        code, out, _ = said(capsys, "check", "--ledger", "--config", "lyceum.toml")
        assert (code, words in out, "1 damaged group" in out) == (1, True, True)
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("INSERT INTO prices VALUES ('00c0ffee', 0.0, x'7b7d')")
    code, out, _ = said(capsys, "check", "--ledger", "--config", "lyceum.toml")
    assert (code, "prices of version 00c0ffee are lost" in out, "no damaged groups" in out) == (1, True, True)
    path.write_bytes(b"noise" * 1000)
    code, _, err = said(capsys, "check", "--ledger", "--config", "lyceum.toml")
    assert (code, "damaged; move it away or restore a copy" in err) == (2, True)

"""The report is one page that needs nothing else, true to the ledger and the table, sensible without either."""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from bench import report, traffic
from bench.answers import write
from experts.base import Answer, Failure, Request, SetupError, Timing
from policies.base import Accept, Ask, Decision, Refuse, State
from policies.ledger import Ledger
from policies.rows import DecisionRow, OutcomeRow
from routers.base import Estimate

START = 1_790_000_000.0
COSTS = {"small": 1_000, "large": 9_000}


def state(name: str) -> State:
    estimates = {expert: Estimate(expert, 0.5, 0.1, cost, 2 * cost, 1.0) for expert, cost in COSTS.items()}
    return State(Request(({"role": "user", "content": name},), id=name), estimates)


def decided(name: str, decision: Decision, step: int = 0, time: float = START) -> DecisionRow:
    return DecisionRow.of(state(name), decision, step, time=time, policy="")


def answered(name: str, expert: str, cost: int, seconds: float = 1.0, step: int = 0, time: float = START) -> OutcomeRow:
    answer = Answer(expert, {"content": "yes"}, "stop", None, cost, Timing(seconds / 4, seconds))
    return OutcomeRow.of(name, step, answer, time)


def a_day() -> Iterator[DecisionRow | OutcomeRow]:
    """Ten plain requests, one after a failure, one accepted from an ensemble, one refused."""
    for i in range(10):
        yield decided(f"r{i}", Ask(("small",), last=True), time=START + 3600 * i)
        yield answered(f"r{i}", "small", 1_000, 0.5 + i / 10, time=START + 3600 * i)
    yield decided("f", Ask(("small",), last=True))
    yield OutcomeRow.of("f", 0, Failure("small", "unavailable"), START)
    yield decided("f", Ask(("large",), last=True), step=1)
    yield answered("f", "large", 9_000, step=1)
    yield decided("e", Ask(("small", "large")))
    yield answered("e", "small", 1_000)
    yield answered("e", "large", 8_000)
    yield decided("e", Accept(Answer("large", {"content": "yes"})), step=1)
    yield decided("n", Refuse("budget"))


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.sqlite"

    async def fill() -> None:
        book = Ledger.open(path)
        await asyncio.gather(*[book.write(row) for row in a_day()])
        await book.close()

    asyncio.run(fill())
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "outcomes.parquet"
    rows = []
    for split in ("train", "test"):
        for i in range(24):
            for expert, right in (("small", i % 3 == 0), ("large", True)):
                about = {"prompt_id": f"{split}{i}", "group": f"{split}{i // 2}", "split": split, "domain": f"d{i % 2}"}
                answer = {"score": float(right), "cost": COSTS[expert], "seconds": 1.0, "answer": "x", "reason": ""}
                rows.append({"prompt": f"{split} prompt {i}", "expert": expert, **about, **answer})
    write(path, rows)
    return path


def run(*given: object) -> int:
    parser = argparse.ArgumentParser()
    report.arguments(parser)
    return report.run(parser.parse_args([str(each) for each in given]))


class Reader(HTMLParser):
    """Notes what a browser would fetch, and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.fetched += [url for name in ("src", "href", "xlink:href") if (url := values.get(name))]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "link", "br"):
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_traffic_is_counted_as_it_was(ledger):
    found = traffic.read(ledger)
    assert (found.requests, found.refused, found.spend) == (13, 1, 10 * 1_000 + 9_000 + 9_000)
    assert found.answered_by == {"small": 10, "large": 2}
    assert found.experts["small"].failures == {"unavailable": 1}
    assert found.experts["small"].unpriced == 1
    assert found.alone == {"small": 13 * 1_000, "large": 13 * 9_000}


async def test_what_was_answered_a_moment_ago_counts_before_it_is_in_the_file(tmp_path):
    written = Ledger.open(tmp_path / "ledger.sqlite", "normal")
    written.write(decided("now", Ask(("small",), last=True)))
    await written.write(answered("now", "small", 7))
    found = traffic.read(tmp_path / "ledger.sqlite")
    await written.close()
    assert (found.requests, found.spend, found.answered_by) == (1, 7, {"small": 1})


def test_only_the_last_days_count_if_asked(ledger):
    assert traffic.read(ledger, START + 3600).requests == 9


def test_spend_over_time_adds_up_to_the_spend(ledger):
    starts, series = traffic.spend_over_time(traffic.read(ledger))
    assert sum(map(sum, series.values())) == 28_000
    assert len(starts) == len(series["small"]) <= traffic.MOST_BINS


@pytest.mark.parametrize("span", [0.0, 1.0, 90.0, 5_000.0, 86_400.0, 400 * 86_400.0, 4_000 * 86_400.0])
def test_any_span_is_cut_into_few_bins(span):
    assert span / traffic.bin_width(span) <= traffic.MOST_BINS


def test_a_ledger_that_is_not_there_is_no_traffic(tmp_path):
    assert traffic.read(tmp_path / "none.sqlite").requests == 0
    assert not (tmp_path / "none.sqlite").exists()


def test_the_page_fetches_nothing_and_closes_every_tag(ledger, table, tmp_path, capsys):
    out = tmp_path / "deep" / "report.html"
    assert run("--ledger", ledger, "--table", table, "--router", tmp_path / "none", "--out", out) == 0
    page, reader = out.read_text(), Reader()
    reader.feed(page)
    assert reader.open == []
    assert [url for url in reader.fetched if not url.startswith(("#", "data:"))] == []
    assert "script" not in reader.tags
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert reader.tags.count("svg") == 3


def test_the_page_says_what_is_missing_and_how_to_get_it(ledger, table, tmp_path, capsys):
    run("--ledger", ledger, "--table", table, "--router", tmp_path / "none", "--out", tmp_path / "r.html")
    assert "lyceum fit" in (tmp_path / "r.html").read_text()
    assert "best single" in capsys.readouterr().out


def test_without_ledger_and_table_the_page_is_sensible(tmp_path, capsys):
    out = tmp_path / "report.html"
    assert run("--ledger", tmp_path / "l", "--table", tmp_path / "t.parquet", "--out", out) == 0
    page = out.read_text()
    assert "no outcome table yet" in page
    assert "no request yet" in page


def test_names_in_the_ledger_cannot_break_the_page(tmp_path, capsys):
    path = tmp_path / "ledger.sqlite"

    async def fill() -> None:
        book = Ledger.open(path)
        await book.write(decided("x", Ask(("<b>",), last=True)))
        await book.write(answered("x", "<script>alert(1)</script>", 5))
        await book.close()

    asyncio.run(fill())
    run("--ledger", path, "--table", tmp_path / "t", "--out", tmp_path / "r.html")
    assert "<script" not in (tmp_path / "r.html").read_text()


def test_figures_come_as_json(ledger, table, tmp_path, capfd):
    run("--ledger", ledger, "--table", table, "--router", tmp_path / "none", "--out", tmp_path / "r.html", "--json")
    figures = json.loads(capfd.readouterr().out)
    assert figures["spend_usd"] == 28_000 / 1e9
    assert figures["n"] == 24
    assert figures["ways"][0]["name"] == "large"
    assert figures["wins"]["d0"]["large"]["n"] == 12


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="--out .*cannot be written"):
        run("--ledger", tmp_path / "l", "--table", tmp_path / "t", "--out", tmp_path / "file" / "report.html")

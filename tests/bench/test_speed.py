"""The commands that measure speed, instructions and memory, each at a tiny size against a gateway that serves."""

import argparse
import json
import sys
from functools import partial

import pytest

from bench.speed import command, install, instructions, memory, peers, table
from bench.speed.deciding import decisions
from bench.speed.measure import Plan
from experts.base import SetupError

TINY = Plan(levels=(1, 4), seconds=0.1, warm=0.02, rounds=1, streams=4)
OURS = peers.Peer(run=[sys.executable, "-m", "bench.speed.upstream", "--port", "@port@"], pip=["ours==1"])
BROKEN = peers.Peer(run=[sys.executable, "-c", "raise SystemExit('no such file')"], pip=["broken==1"])


def parsed(module, *given):
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    return parser.parse_args(given)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, and little to measure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(command.SIZES, "small", TINY)
    monkeypatch.setattr(command, "decisions", partial(decisions, stored=200))
    return tmp_path


@pytest.fixture
def neighbours(folder, monkeypatch):
    """One peer that runs, one that ends at once, one that is not there."""
    for name, peer in {"ours": OURS, "broken": BROKEN}.items():
        monkeypatch.setitem(peers.PEERS, name, peer)
        (folder / ".peers" / name).mkdir(parents=True)
        (folder / ".peers" / name / peers.DONE).write_text(peer.pins())


def test_speed_measures_the_gateway_beside_a_direct_run_and_names_every_peer(folder, neighbours, capsys):
    words = (
        "--json",
        "speed.json",
        "--only",
        "ours,broken,nginx",
        "--embedding",
        "--interpreter",
        sys.executable,
        "none",
    )
    assert command.run(parsed(command, *words)) == 0
    report = json.loads((folder / "speed.json").read_text())
    gateway = report["targets"]["lyceum"]
    itself = f"lyceum, CPython {report['machine']['python']} {report['machine']['python_build']}"
    assert set(report["targets"]) == {"lyceum", itself, "ours"}
    assert report["missing"]["lyceum, none"] == "none is no Python that runs: FileNotFoundError"
    assert report["missing"]["nginx"] == "not installed: `lyceum bench peers nginx`"
    assert report["missing"]["broken"].endswith("no such file")
    assert (gateway["errors"], report["targets"][itself]["errors"]) == ({}, {})
    assert [each["direct_p50"] > 0 for each in gateway["first_added_us"].values()] == [True] * 3
    assert [gateway["levels"][level]["requests_per_second"] > 0 for level in ("1", "4")] == [True, True]
    assert gateway["start_seconds"] > 0
    assert report["direct"]["levels"]["1"]["requests_per_second"] > 0
    middle, most = (report["decisions"][f"one decision, 10 experts, embedding excluded{end}"] for end in ("", ", p99"))
    assert 0 < middle <= most
    assert report["decisions"]["of the 40 nearest of them found"] == "100.0%"
    assert "missing" in report["embedding"]["embedding"]
    shown = capsys.readouterr().out
    assert "nginx is missing: not installed" in shown
    assert report["machine"]["python_build"] in " ".join(shown.split())


def test_decisions_that_cannot_be_measured_say_why():
    with pytest.raises(SetupError, match="decisions could not be measured: ValueError: negative dimensions"):
        decisions(stored=-1)


def test_kept_figures_are_shown_as_markdown_and_put_into_a_document(folder, neighbours, capsys):
    command.run(parsed(command, "--json", "speed.json", "--only", "ours"))
    document = folder / "page.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    capsys.readouterr()
    command.run(parsed(command, "--from", "speed.json", "--markdown", "--write", str(document)))
    shown = capsys.readouterr().out
    assert "| lyceum |" in shown
    assert shown.strip() in document.read_text()
    assert "old" not in document.read_text()
    assert document.read_text().startswith("before\n")
    document.write_text("no place")
    with pytest.raises(SetupError, match=r"page.md: no place for the table"):
        command.run(parsed(command, "--from", "speed.json", "--write", str(document)))
    (folder / "old.json").write_text('{"machine": {}}')
    for name in ("old.json", "none.json"):
        with pytest.raises(SetupError, match=f"--from {name}: no figures that this version can show"):
            command.run(parsed(command, "--from", name))


def test_an_unknown_peer_is_one_clear_line(folder):
    with pytest.raises(SetupError, match="--only ngnix: unknown peer; known: nginx"):
        command.chosen(parsed(command, "--only", "ngnix"))


def test_a_peer_of_another_version_is_not_measured(neighbours, folder):
    (folder / ".peers" / "ours" / peers.DONE).write_text("ours==0")
    with pytest.raises(peers.Absent, match="installed is ours==0, wanted ours==1"):
        peers.home("ours")


def test_every_peer_is_pinned_and_installed_in_one_way():
    for peer in peers.PEERS.values():
        assert sum(map(bool, (peer.debian, peer.pip, peer.npm))) == 1
        assert peer.pins()
        assert all("=" in pin for pin in peer.pins().split(", "))


def test_a_peer_that_cannot_be_installed_says_why_and_does_not_stop_the_others(neighbours, folder, capsys):
    assert install.run(parsed(install, "ours", "elsewhere")) == 1
    said = capsys.readouterr().out
    assert "ours: ready" in said
    assert "elsewhere: unknown peer" in said
    assert install.done(["no-such-installer"], folder).startswith("no-such-installer: ")
    assert install.done([sys.executable, "-c", "raise SystemExit('no network')"], folder).endswith("no network")


def test_memory_is_measured_with_clients_of_many_names_and_open_streams(folder, capsys):
    args = parsed(memory, "--requests", "2000", "--names", "200", "--streams", "40", "--json")
    memory.run(args)
    report = json.loads(capsys.readouterr().out)
    assert report["requests"] >= 2000
    assert set(report["refused"]) == {"status 401", "status 404"}
    assert (report["streams_open"], report["stream_errors"]) == (40, {})
    assert report["kib_a_stream"] <= memory.STREAM_KIB
    memory.show(report)
    assert "growth over 2,0" in capsys.readouterr().out


def test_a_count_above_the_record_fails_the_gate():
    record = {"instructions_per_request": 1000, "instructions_per_chunk": 100}
    assert instructions.over({"instructions_per_request": 1050, "instructions_per_chunk": 114}, record) == []
    assert instructions.over({"instructions_per_request": 1051}, record) == ["instructions_per_request"]
    assert instructions.over({"instructions_per_request": 5}, {}) == []
    counts = [{"instructions_per_request": 1200, "instructions_per_chunk": each} for each in (100, 200, 300)]
    assert instructions.least(iter(counts).__next__, {"instructions_per_request": 1}) == counts[0]
    counts[1]["instructions_per_request"] = 1040
    assert instructions.least(iter(counts).__next__, record) == {**counts[1], "instructions_per_chunk": 100}
    assert instructions.compared("instructions_per_request", 900, record) == " (-10.0% to the record of 1,000)"
    assert instructions.compared("instructions_per_request", 2000, record).endswith(": too much)")


def test_a_profile_is_read_by_its_totals(tmp_path):
    (tmp_path / "out.1.1").write_text("summary: 0\n\nfn=(1)\n1 2\ntotals: 4711\n")
    assert instructions.total(tmp_path / "out.1.1") == 4711


def test_where_valgrind_is_missing_the_error_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SetupError, match="valgrind is not installed: `apt-get install valgrind`"):
        instructions.counted(10)

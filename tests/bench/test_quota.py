"""Workers held to a share of a core: by real control groups where they can be written; where not, the table says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.speed import held, quota, table
from bench.speed.load import Generator
from bench.speed.measure import Plan, Session
from bench.speed.processes import cores, cpu_seconds, end, start
from bench.speed.targets import upstream

TINY = Plan(levels=(1,), seconds=0.6, warm=0.05, rounds=1, streams=1)
BURN = "import time\nbegan = time.monotonic()\nwhile time.monotonic() - began < 0.5: pass\nprint(time.process_time())"
FIGURES = {"requests_per_second": 100.0, "cpu_us": 90.0, "p50_us": 1.0, "p99_us": 1.0, "errors": {}}


def writable() -> bool:
    """Whether a group can be had here."""
    try:
        with quota.group([], 0.5) as folder:
            assert folder.is_dir()
    except quota.NoQuota:
        return False
    return not folder.exists()


def left() -> list[Path]:
    """What groups of ours there are anywhere."""
    return [folder for place in quota.places() for folder in place.folder.glob(f"{quota.NAME}{os.getpid()}-*")]


def burnt(burner: subprocess.Popen[bytes], share: float) -> float:
    """The processor seconds of half a second of a held process. Fails then."""
    assert burner.stdin is not None
    assert burner.stdout is not None
    with quota.held([[burner.pid]], share):
        before = cpu_seconds(burner.pid)
        burner.stdin.write(b"\n")
        burner.stdin.flush()
        raise Burnt(float(burner.stdout.readline()) - before)


class Burnt(Exception):
    """So much was."""


def test_a_held_process_has_its_share_and_no_more_and_the_group_is_gone_after_a_failure():
    burner = start([sys.executable, "-c", "input()\n" + BURN], (), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with pytest.raises((Burnt, quota.NoQuota)) as found:
            burnt(burner, 0.25)
    finally:
        end(burner)
    assert isinstance(found.value, Burnt) == writable(), "where no group can be had, that is said"
    if writable():
        assert found.value.args[0] < 0.4, "of half a second"
    assert left() == []


def test_the_table_has_the_rows_of_held_workers_or_says_why_not():
    with upstream(cores()[1]) as direct, Generator(cores()[1]) as generator:
        found = held.held_workers(Session(generator, direct, TINY, lambda _: None))
    rows, notes = table.held_rows(found, ["64"]), table.held_notes(found)
    if "missing" in found:
        assert rows == []
        assert notes == [f"workers held to a share of a core: {found['missing']}"]
        assert not writable() or "other work" in found["missing"] or "one core" in found["missing"]
    else:
        assert writable()
        assert [row[0] for row in rows] == [
            "lyceum, 1 worker held to 40% of a core",
            "lyceum, 2 workers held to 40% of a core each",
        ]
        assert (found["one"]["errors"], found["two"]["errors"]) == ({}, {})
        assert found["used"][0] < 1.2
        assert notes[0].startswith("two workers, each held to 40% of a core, beside one held so, 64 at once: ")
    assert left() == []


def test_where_no_group_can_be_written_no_figure_is_made_up(monkeypatch):
    monkeypatch.setattr(quota, "places", lambda: [quota.Place(Path("/proc"), Path("/proc"), new=True)])
    with upstream(cores()[1]) as direct, Generator(cores()[1]) as generator:
        found = held.held_workers(Session(generator, direct, TINY, lambda _: None))
    assert set(found) == {"missing"}
    if cores()[0]:
        assert found["missing"].startswith("no process can be held to a share of a core here: /proc/lyceum-bench-")
    monkeypatch.setattr(quota, "places", list)
    with pytest.raises(quota.NoQuota, match="this system has no control groups"), quota.held([[1]], 0.5):
        raise AssertionError("never held")


def test_where_groups_are_is_read_from_the_mounts_in_both_versions(tmp_path):
    (tmp_path / "old" / "mine").mkdir(parents=True)
    (tmp_path / "new" / "user" / "shell").mkdir(parents=True)
    mounts, own = tmp_path / "mounts", tmp_path / "own"
    mounts.write_text(
        f"tmpfs /tmp tmpfs rw 0 0\ncgroup {tmp_path}/old cgroup rw,cpu,cpuacct 0 0\n"
        f"cgroup {tmp_path}/memory cgroup rw,memory 0 0\ncgroup2 {tmp_path}/new cgroup2 rw 0 0\n"
    )
    own.write_text("4:cpu,cpuacct:/mine\n3:memory:/\n0::/user/shell\n")
    old, new = tmp_path / "old" / "mine", tmp_path / "new"
    assert quota.places(mounts, own) == [
        quota.Place(old, old, new=False),
        *(quota.Place(each, new / "user" / "shell", new=True) for each in (new / "user" / "shell", new / "user", new)),
    ]
    own.write_text("4:cpu,cpuacct:/hidden\n0::/../elsewhere\n")
    assert [place.folder for place in quota.places(mounts, own)][0] == tmp_path / "old"
    assert quota.places(tmp_path / "none", own) == []
    assert quota.Place(old, old, new=False).limits(0.4) == {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "4000"}
    assert quota.Place(new, new, new=True).limits(0.4) == {"cpu.max": "4000 10000"}


def test_a_group_without_the_file_of_limits_is_removed_and_those_of_a_killed_benchmark_too(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"{quota.NAME}{ended.pid}-0").mkdir()
    (tmp_path / f"{quota.NAME}{os.getppid()}-0").mkdir()
    monkeypatch.setattr(quota, "places", lambda: [quota.Place(tmp_path, tmp_path, new=True)])
    with pytest.raises(quota.NoQuota, match=r"cpu.max: No such file"), quota.group([], 0.5):
        raise AssertionError("never held")
    assert [each.name for each in tmp_path.iterdir()] == [f"{quota.NAME}{os.getppid()}-0"]


def test_a_turn_counts_only_if_the_one_worker_had_its_share(monkeypatch):
    full, half = FIGURES | {"cpu_us": 4000.0}, FIGURES | {"cpu_us": 2000.0}
    assert (held.used(full, 1), held.used(full, 2), held.used(half | {"cpu_us": None}, 1)) == (1.0, 0.5, 0.0)
    twice = full | {"requests_per_second": 300.0}
    found = held.counted([{"alone": [full, twice], "two": twice}, {"alone": [full, half], "two": full}])
    assert (found["times"], found["counted"], found["turns"]) == (1.5, 1, 2)
    assert found["one"]["requests_per_second"] == 200.0
    assert "the machine has other work" in held.counted([{"alone": [full, half], "two": full}])["missing"]

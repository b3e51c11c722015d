"""Processes of a measurement: started on cores of their own, watched as a whole tree, ended by their own signal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

END_SECONDS = 20.0


def cores() -> tuple[set[int], set[int]]:
    """The core of the gateway under test, and those of all others; empty sets where there is but one, or no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    known = sorted(os.sched_getaffinity(0))
    return (set(known[:1]), set(known[1:])) if len(known) > 1 else (set(), set())


@contextlib.contextmanager
def pinned(to: Iterable[int]) -> Iterator[None]:
    """Processes started inside run on these cores; no cores: wherever they like."""
    chosen = set(to)
    if not chosen:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(command: Sequence[str], on: Iterable[int], **options: Any) -> subprocess.Popen[bytes]:
    """A process at the head of a group of its own."""
    with pinned(on):
        return subprocess.Popen(command, start_new_session=True, **options)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends it and its children: by its own signal first, then by force."""
    tree = members(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    for each in tree:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait(END_SECONDS)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def members(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a whole tree so far."""
    total = 0.0
    for each in members(pid):
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def memory_bytes(pid: int) -> int:
    """What a whole tree holds in memory; what several share is counted once where the system tells (PSS)."""
    total = 0
    tree = members(pid)
    for each in tree:
        with contextlib.suppress(psutil.Error):
            total += each.memory_info().rss if len(tree) == 1 else _share(each)
    return total


def _share(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", 0) or full.rss)


def python(module: str, *words: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, "-m", module, *words]


def last_words(path: Path, lines: int = 1) -> str:
    """The end of a log: why a process failed."""
    text = path.read_text(errors="replace") if path.exists() else ""
    kept = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("==")]
    return " / ".join(kept[-lines:])[:300]


def line_of(stream: IO[bytes] | None) -> str:
    """The next line that a process says; empty when it has ended."""
    return b"".decode() if stream is None else stream.readline().decode().strip()

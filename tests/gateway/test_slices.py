"""Wishes for shorter and longer turns on a core: of one thread alone, and none where they would change more."""

from __future__ import annotations

import os
import subprocess
import sys

from gateway import slices

CHILD = """
import contextlib, os, platform, sys, threading
from gateway.slices import CALLS, LONG, SHORT, ask

def told():
    with contextlib.suppress(OSError), open("/proc/thread-self/sched") as file:
        return [int(line.split()[-1]) for line in file if line.startswith("se.slice")]

known = sys.platform == "linux" and platform.machine() in CALLS
nice, usual = os.nice(1), told()
others = []
def another():
    thread = threading.Thread(target=lambda: others.append(told()))
    thread.start()
    thread.join()
taken, long = ask(LONG, alone=False), told()
another()
taken, mine = (taken, ask(SHORT)), told()
another()
print(taken == (known, known), long in ([100_000_000], usual), mine in ([500_000], usual), os.nice(0) == nice)
print(others == [long, usual])
if sys.platform == "linux":
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    print(ask(SHORT), os.sched_getscheduler(0) & 3 == os.SCHED_BATCH)
"""


def test_a_thread_asks_for_itself_or_for_what_it_starts_too_stays_as_nice_as_it_was_and_keeps_another_policy():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said[:2] == ["True True True True", "True"]
    assert said[2:] == ["False True"] * (sys.platform == "linux")


def test_where_the_system_knows_no_wish_nothing_changes(monkeypatch):
    monkeypatch.setattr(slices, "CALLS", {})
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert not slices.ask(slices.SHORT)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before

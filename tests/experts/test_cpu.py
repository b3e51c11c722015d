"""The meter: every CPU second is somebody's, and nobody's twice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.cpu import CpuMeter, Crowd, Share, process_seconds, ticked_seconds


class Process:
    """CPU seconds that a test moves; `None` once it is gone."""

    def __init__(self) -> None:
        self.seconds: float | None = 0.0

    def __call__(self) -> float:
        if self.seconds is None:
            raise ProcessLookupError
        return self.seconds

    def burn(self, seconds: float) -> None:
        if self.seconds is not None:
            self.seconds += seconds


def meter_of(process: Process) -> CpuMeter:
    meter = CpuMeter()
    meter.follow(process)
    return meter


def test_what_is_burnt_while_two_are_active_is_shared_equally() -> None:
    process = Process()
    meter = meter_of(process)
    first = meter.begin()
    process.burn(2.0)
    second = meter.begin()
    process.burn(4.0)
    assert meter.end(first) == 4.0
    process.burn(1.0)
    assert meter.end(second) == 3.0


def test_what_is_burnt_while_nobody_asks_is_idle() -> None:
    process = Process()
    process.burn(3.0)
    meter = meter_of(process)
    process.burn(0.5)
    share = meter.begin()
    assert meter.end(share) == 0.0
    assert meter.idle == 3.5


def test_requests_of_another_process_take_their_share() -> None:
    process, row = Process(), memoryview(bytearray(16)).cast("i")
    ours, theirs = meter_of(process), meter_of(process)
    ours.crowd, theirs.crowd = Crowd(row, 0), Crowd(row, 3)

    one, other = ours.begin(), theirs.begin()
    process.burn(2.0)
    assert (ours.end(one), theirs.end(other)) == (1.0, 2.0), "who ends later had it alone since the last look"
    alone = ours.begin()
    process.burn(2.0)

    assert ours.end(alone) == 2.0
    assert row.tolist() == [0, 0, 0, 0]


def test_ending_twice_counts_once() -> None:
    process = Process()
    meter = meter_of(process)
    share = meter.begin()
    process.burn(1.0)
    assert meter.end(share) == 1.0
    process.burn(1.0)
    assert meter.end(share) == 1.0


def test_a_process_that_is_gone_burns_no_more_and_the_next_one_is_metered_from_its_start() -> None:
    old, new = Process(), Process()
    meter = meter_of(old)
    share = meter.begin()
    old.burn(1.0)
    meter.tick()
    old.seconds = None
    meter.tick()
    assert share.seconds == 1.0
    new.burn(2.0)
    meter.follow(new)
    assert meter.end(share) == 3.0


def test_a_process_that_was_left_is_not_read_again() -> None:
    process = Process()
    meter = meter_of(process)
    share = meter.begin()
    process.burn(1.0)
    meter.leave()
    process.burn(1000.0)
    assert meter.end(share) == 1.0


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1 << 30)), max_size=50)


@given(EVENTS)
def test_shares_and_idle_sum_to_what_the_process_used(events: list[tuple[int, int]]) -> None:
    process, burnt = Process(), 0.0
    meter = meter_of(process)
    shares: list[Share] = []
    active: list[Share] = []
    for kind, amount in events:
        process.burn(amount)
        burnt += amount
        if kind < 2:
            active.append(meter.begin())
            shares.append(active[-1])
        elif active:
            meter.end(active.pop(amount % len(active)))
    meter.tick()
    assert sum(share.seconds for share in shares) + meter.idle == pytest.approx(burnt, rel=1e-9)
    assert all(share.seconds >= 0 for share in shares)


def test_the_clock_of_a_process_counts_what_it_burns() -> None:
    before = process_seconds(os.getpid())
    sum(range(1_000_000))
    assert process_seconds(os.getpid()) > before
    assert process_seconds(os.getpid()) == pytest.approx(ticked_seconds(os.getpid()), abs=0.1)


def test_a_process_that_is_gone_has_no_clock() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for read in (process_seconds, ticked_seconds):
        with pytest.raises(ProcessLookupError):
            read(process.pid)

"""The clock of budgets."""

import time

from policies.clock import SteadyClock, running


class Wall:
    def __init__(self) -> None:
        self.steady, self.offset = 100.0, 1_000_000.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.steady + self.offset, lambda: self.steady)


def test_a_step_of_the_clock_gives_no_new_period_and_brings_none_back_row_50():
    for step in (3600.0, -3600.0, 86_400.0):
        wall = Wall()
        clock = wall.clock()
        wall.steady += 10
        wall.offset += step
        assert clock() == 1_000_110.0


def test_a_clock_that_is_corrected_smoothly_is_followed():
    wall = Wall()
    clock = wall.clock()
    for _ in range(100):
        wall.steady += 1
        wall.offset += 0.1
        clock()
    assert abs(clock() - (wall.steady + wall.offset)) < 0.1


def test_the_real_clock_goes_forward_from_now():
    assert abs(SteadyClock()() - time.time()) < 5
    assert running() <= running()

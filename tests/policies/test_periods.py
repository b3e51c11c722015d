"""When the periods of budgets begin and end."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.periods import Period

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Africa/Cairo", "Asia/Tehran"]
moments = st.integers(1_000_000_000, 2_000_000_000)


@pytest.mark.parametrize("kind", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ZONES)
@settings(deadline=None)
@given(now=moments)
def test_every_moment_is_in_one_period_and_periods_follow_each_other_row_45(kind, zone, now):
    period = Period(kind, zone)
    start, end = period.start(now), period.end(now) or 0
    assert start <= now < end
    assert period.start(start) == period.start(end - 1) == start
    assert period.start(end) == end


def at(zone: str, *when: int) -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp())  # type: ignore[misc,arg-type] # a date's parts


def test_a_day_has_23_or_25_hours_when_the_clocks_change():
    day = Period("day", "Europe/Berlin")
    spring, autumn = at("Europe/Berlin", 2026, 3, 29, 12), at("Europe/Berlin", 2026, 10, 25, 12)
    assert day.end(spring) == day.start(spring) + 23 * 3600
    assert day.end(autumn) == day.start(autumn) + 25 * 3600


def test_a_day_without_midnight_begins_when_the_clocks_jump():
    jump = at("Africa/Cairo", 2026, 4, 24, 1)  # 00:00 does not exist on that day
    assert Period("day", "Africa/Cairo").start(jump + 3600) == jump


def test_a_week_begins_on_monday_and_a_month_on_its_first():
    sunday = at("Europe/Berlin", 2026, 3, 1, 23, 59)
    assert Period("week", "Europe/Berlin").start(sunday) == at("Europe/Berlin", 2026, 2, 23)
    assert Period("month", "Europe/Berlin").start(sunday) == at("Europe/Berlin", 2026, 3, 1)
    assert Period("month", "Europe/Berlin").end(sunday - 86_400 * 3) == at("Europe/Berlin", 2026, 3, 1)


def test_an_hour_is_the_hour_on_the_wall():
    half_past = at("Asia/Kolkata", 2026, 3, 1, 10, 30)
    assert Period("hour", "Asia/Kolkata").start(half_past) == half_past - 1800


def test_total_has_no_end():
    assert (Period("total").start(5e8), Period("total").end(5e8)) == (0, None)


@pytest.mark.parametrize("kind, zone", [("year", "UTC"), ("day", "Mars/Olympus"), ("day", "../etc")])
def test_unknown_periods_and_zones_are_errors(kind, zone):
    with pytest.raises(ValueError, match=kind if kind == "year" else zone):
        Period(kind, zone)

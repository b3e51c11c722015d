"""The calendar of budgets: when the hour, day, week or month of a moment began and ends, in a named time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Period:
    """A recurring period, or `total`: all time. Days, weeks (from Monday) and months begin at local midnight; where
    the clocks skip midnight, at the moment they skip it."""

    kind: Literal["hour", "day", "week", "month", "total"] = "day"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.kind not in ("hour", "day", "week", "month", "total"):
            raise ValueError(f"period {self.kind!r}: one of hour, day, week, month, total")
        _zone(self.zone)

    def start(self, now: float) -> int:
        """The Unix second at which the period that contains `now` began; 0 for `total`."""
        if self.kind == "total":
            return 0
        local = datetime.fromtimestamp(now, _zone(self.zone))
        if self.kind == "hour":
            offset = int((local.utcoffset() or timedelta()).total_seconds())
            return int((now + offset) // HOUR * HOUR) - offset
        return self._midnight(self._first(local.date()))

    def end(self, now: float) -> int | None:
        """The Unix second at which it ends; `None` if it never does."""
        if self.kind == "total":
            return None
        if self.kind == "hour":
            return self.start(now) + HOUR
        first = self._first(datetime.fromtimestamp(now, _zone(self.zone)).date())
        days = {"day": 1, "week": 7, "month": 32}[self.kind]
        return self._midnight(self._first(first + timedelta(days=days)))

    def _first(self, day: date) -> date:
        if self.kind == "month":
            return day.replace(day=1)
        return day - timedelta(days=day.weekday()) if self.kind == "week" else day

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=_zone(self.zone)).timestamp())


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    import zoneinfo  # it imports much, and few budgets have days that end elsewhere

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time zone {name!r} is not known; use a name such as Europe/Berlin") from error

"""Leaves out an expert that fails again and again, lets one request at a time try it, and takes it back.

So retries stay few: what fails all the time is not asked, and where all fail a request asks one expert."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from experts.base import Failure, Outcome

FAILURES = 5
"""In a row, of any kind that is the expert's own fault; 0 leaves nobody out."""
PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Seconds until it is tried again; each failed try doubles them."""
LONGEST_WAIT = 60.0
"""Seconds of a Retry-After that are believed."""
FAULTS = frozenset({"unavailable", "broken_off"})


class Record(Struct):
    """How an expert has been doing."""

    failures: int = 0
    pause: float = PAUSE
    until: float = 0.0
    """It is left out before then, in the clock's seconds."""
    tried: bool = False
    """Whether one request may be trying it."""


class Health:
    """The records of all experts that failed lately, in this process."""

    def __init__(self, clock: Callable[[], float], failures: int = FAILURES) -> None:
        self.clock, self.failures = clock, failures
        self.records: dict[str, Record] = {}

    def note(self, outcome: Outcome) -> None:
        """Remembers how asking an expert ended. A rejection says nothing of its health."""
        if not isinstance(outcome, Failure):
            if outcome.finish_reason is not None:  # else the client left, and nobody knows
                self.records.pop(outcome.expert, None)
        elif outcome.reason in FAULTS and self.failures:
            record = self.records.setdefault(outcome.expert, Record())
            record.failures += 1
            if record.failures >= self.failures:
                self.leave_out(record, outcome)

    def leave_out(self, record: Record, failure: Failure) -> None:
        """Until its own Retry-After, or a pause that grows; failures that were under way then add nothing."""
        now = self.clock()
        if now < record.until and not record.tried:
            return
        record.tried = False
        about = failure.error.about if failure.error is not None else {}
        wait = min(about.get("retry_after") or 0.0, LONGEST_WAIT)
        record.until = now + max(record.pause, wait)
        record.pause = min(2 * record.pause, LONGEST_PAUSE)

    def soonest(self, names: Iterable[str]) -> list[str]:
        """Of experts that are all left out the one that is to be tried first."""
        return sorted(names, key=lambda name: (self.records[name].until, name))[:1]

    def left_out(self) -> list[str]:
        """The experts that the next request is not to meet; one whose pause is over may be met by this request alone
        until it is known how that ended, or for another pause."""
        now, out = self.clock(), []
        for name, record in self.records.items():
            if record.failures < self.failures:
                continue
            if now < record.until:
                out.append(name)
            else:
                record.until, record.tried = now + record.pause, True
        return out

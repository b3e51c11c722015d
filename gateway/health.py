"""Leaves out an expert that fails again and again, lets one request at a time try it, and takes it back.

So retries stay few: what fails all the time is not asked, and where all fail a request asks one expert. What is grey,
neither dead nor well, `outliers` finds; who is well and has no room, `crowds` knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Set
from typing import TYPE_CHECKING

from msgspec import Struct

from experts.base import Answer, Failure, Outcome
from gateway.crowds import Crowds
from gateway.outliers import FAULTS, FLOOR_SECONDS, RECENT, SHARE, SLOW, Outliers, Watched, work_of
from gateway.tiers import PRIORITY

if TYPE_CHECKING:
    from gateway.tally import Tally

FAILURES = 5
"""In a row, of any kind that is the expert's own fault; 0 leaves nobody out."""
PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Seconds until it is tried again; each failed try doubles them."""
LONGEST_WAIT = 60.0
"""Seconds of a Retry-After that are believed."""


class Tolerance(Struct, frozen=True):
    """How much is borne before an expert is left out."""

    failures: int = FAILURES
    share: float = SHARE
    """Of its last answers that may be bad; 0: any."""
    slow: float = SLOW
    """So many times slower than usual is bad; 0: slowness is not looked at."""


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

    def __init__(self, clock: Callable[[], float], tolerance: Tolerance | None = None) -> None:
        """Without failures in a row that are too many nobody is left out or turned away for anything."""
        tolerance = tolerance or Tolerance()
        self.clock, self.failures = clock, tolerance.failures
        self.records: dict[str, Record] = {}
        share = tolerance.share if tolerance.failures else 0.0
        self.outliers = Outliers(clock, share, tolerance.slow)
        self.grey, self.watched = self.outliers.grey, self.outliers.watched
        self.crowds = Crowds(clock)
        self.crowded = self.crowds.known
        self.calm = True
        """Whether nobody failed lately, is grey or crowded; while it is so there is little to look at."""

    def watch(self, name: str) -> Watched:
        """How an expert has been doing."""
        known = self.watched.get(name)
        if known is None:
            known = self.watched[name] = Watched()
        return known

    def asked(self, tally: Tally) -> None:
        """An expert is being asked."""
        self.watch(tally.expert.name).waiting[tally] = False
        if not self.calm or tally.started >= self.outliers.looks:
            self.looked(tally)

    def looked(self, tally: Tally) -> None:
        """One whose pause is over is tried by this request alone, until it is known how that ended, or for another
        pause; that it might have been asked is no try."""
        if self.records and self.fails_always(tally.expert.name):
            record = self.records[tally.expert.name]
            if tally.started >= record.until:
                record.until, record.tried = tally.started + record.pause, True
        if self.grey or tally.started >= self.outliers.looks:
            self.outliers.asked(tally)
        self.calm = self.well()

    def well(self) -> bool:
        """Whether nobody failed lately, is grey or crowded."""
        return not (self.records or self.grey or self.crowded)

    def ended(self, tally: Tally, outcome: Outcome) -> None:
        """Remembers how that went. Of quick plain answers while all are well as many are learned from as say enough."""
        if not self.calm or type(outcome) is not Answer:
            self.judged(tally, outcome)
            self.calm = self.well()
            return
        seconds = outcome.timing.total
        if seconds > FLOOR_SECONDS or tally.life.stream or outcome.finish_reason is None:
            self.outliers.answered(tally, outcome)
            self.calm = self.well()
            return
        watched = self.watched[outcome.expert]
        del watched.waiting[tally]
        told = watched.plain.told
        if len(told) < RECENT:
            told.append(seconds / work_of(tally, outcome.usage))

    def judged(self, tally: Tally, outcome: Outcome) -> None:
        """The same while an expert is not well, and of failures."""
        tells = self.crowded or (isinstance(outcome, Failure) and self.failures)
        if tells and self.crowds.note(outcome, self.under_way(tally) - 1):
            self.outliers.unknown(tally)
            return
        self.note(outcome)
        if self.records and self.fails_always(outcome.expert):
            self.outliers.dead(tally)
        elif isinstance(outcome, Failure):
            self.outliers.ended(tally, outcome)
        else:
            self.outliers.answered(tally, outcome)

    def under_way(self, tally: Tally) -> int:
        """The requests that its expert has now, this one included."""
        return self.outliers.under_way(tally.expert.name)

    def under_way_in_all(self) -> int:
        """The requests that all experts have now."""
        return sum(len(watched.waiting) for watched in self.watched.values())

    def full(self, name: str, rank: int = PRIORITY) -> bool:
        """Whether an expert is well, and has no room for one more of a rank."""
        return bool(self.crowded) and self.crowds.full(name, self.outliers.under_way(name), rank)

    def fails_always(self, name: str) -> bool:
        """Whether an expert has failed too often in a row."""
        record = self.records.get(name)
        return record is not None and record.failures >= self.failures

    def note(self, outcome: Outcome) -> None:
        """Counts failures in a row. A rejection says nothing of an expert's health."""
        if not isinstance(outcome, Failure):
            if outcome.finish_reason is not None and self.records:  # else the client left, and nobody knows
                self.records.pop(outcome.expert, None)
        elif outcome.reason in FAULTS and self.failures:
            record = self.records.setdefault(outcome.expert, Record())
            record.failures += 1
            self.calm = False
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

    def left_out(self, names: Collection[str]) -> Set[str]:
        """The experts that the next request is not to meet."""
        now = self.clock()
        failing = {
            name
            for name, record in self.records.items()
            if record.failures >= self.failures and now < record.until and name in names
        }
        return failing | self.outliers.left_out(names, failing) if self.grey else failing

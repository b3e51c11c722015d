"""Finds the expert that is grey: alive, but far slower than usual, or failing now and then; and rests it for a while.

Each expert is held against itself, never against another: a large model is slow by nature. What is looked at is how
long a stream takes to its first chunk and a plain answer to its end, for the work that there is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Set
from typing import TYPE_CHECKING

from msgspec import Struct, field

from experts.base import Answer, Failure
from experts.card import Usage

if TYPE_CHECKING:
    from gateway.tally import Tally

RECENT = 20
"""The answers of an expert among which bad ones are counted."""
SHARE, SLOW = 0.25, 8.0
"""Bad answers among those that are too many; times its usual pace that are slow."""
REST, LONGEST_REST = 5.0, 60.0
"""Seconds that a grey expert rests; each one that follows is twice as long, until it has been well for the longest."""
FLOOR_SECONDS = 0.5
"""Nobody is called slow for less."""
LOOK_SECONDS = 0.25
"""How often requests that still wait for their first chunk are looked at."""
OVERHEAD, PROMPT_TOKENS = 32.0, 20.0
"""The work of an answer counts as so many tokens before the first, and one for so many tokens of the prompt."""
STEP, SLOW_STEP, SETTLED = 0.05, 0.01, 20
"""How far an answer moves what is usual, and how far one that is slow; answers after which that is known."""
TRIALS = 10
"""Good answers in a row, one at a time, that take a grey expert back."""


class Pace(Struct):
    """The usual seconds for a token's work: their median, followed in small steps: a few odd ones say little."""

    usual: float = 0.0
    seen: int = 0
    told: list[float] = field(default_factory=list)
    """Of good answers, what is still to be learned: at the next look at the latest, or before anything is judged; the
    first ones are enough."""

    def slow(self, seconds: float, work: float, times: float) -> bool:
        """Whether so many seconds are too many for that work."""
        if seconds <= FLOOR_SECONDS or not times:
            return False
        return self.seen >= SETTLED and seconds > times * self.usual * work

    def learn(self, paces: Iterable[float], slow: bool = False) -> None:
        """More answers; the first ones move it further, `slow` ones hardly."""
        usual, seen = self.usual, self.seen
        settled = 1 + (SLOW_STEP if slow else STEP)
        for pace in paces:
            seen += 1
            step = settled if seen > SETTLED or slow else 1 + 1 / seen
            if pace > usual:
                usual = usual * step if usual else pace
            else:
                usual /= step
        self.usual, self.seen = usual, seen


class Watched(Struct):
    """How one expert has been doing."""

    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Whether an answer was bad, of the last ones."""
    streams: Pace = field(default_factory=Pace)
    plain: Pace = field(default_factory=Pace)
    waiting: dict[Tally, bool] = field(default_factory=dict)
    """What it is asked now, and whether that was counted as bad already."""
    rest: float = 0.0
    """Seconds of its last rest; 0: none."""
    until: float = 0.0
    trial: Tally | None = None
    """The request that tries whether it is well again."""
    trials: int = TRIALS
    """Good ones that it still has to pass."""

    def fold(self) -> None:
        """Learns from the good answers that were only remembered."""
        for pace in (self.plain, self.streams):
            if told := pace.told:
                pace.told = []
                pace.learn(told)
                self.recent.extend([False] * len(told))


class Outliers:
    """The experts of this process, and which of them are grey."""

    def __init__(self, clock: Callable[[], float], share: float = SHARE, slow: float = SLOW) -> None:
        """`share` of the last answers that may be bad, 0: any; `slow` times what is usual is bad, 0: never."""
        self.clock, self.share, self.slow = clock, share, slow
        self.watched: dict[str, Watched] = {}
        self.grey: dict[str, Watched] = {}
        self.looks = 0.0

    def asked(self, tally: Tally) -> None:
        """An expert is being asked; one whose rest is over is tried by this request, by others after another rest."""
        now, grey = tally.started, self.grey.get(tally.expert.name)
        if grey is not None and now >= grey.until:
            grey.trial, grey.until = tally, now + grey.rest
        if now >= self.looks:
            self.looks = now + LOOK_SECONDS
            self.look(now)

    def look(self, now: float) -> None:
        """Streams that have waited for their first chunk far too long are bad whatever still comes."""
        for name, watched in self.watched.items():
            watched.fold()
            for tally, counted in list(watched.waiting.items()):
                late = not counted and tally.first is None and tally.life.stream
                if late and watched.streams.slow(now - tally.started, work_of(tally), self.slow):
                    watched.waiting[tally] = True
                    self.count(name, watched, tally, bad=True)

    def ended(self, tally: Tally, failure: Failure) -> None:
        """Remembers how asking an expert failed. Who refuses is not ill."""
        watched = self.watched[failure.expert]
        counted = watched.waiting.pop(tally, True)
        if not counted and failure.reason in FAULTS and _status(failure) != 429:
            self.count(failure.expert, watched, tally, bad=True)
        if watched.trial is tally:
            watched.trial = None

    def answered(self, tally: Tally, answer: Answer) -> None:
        """Learns how long an answer took, without what a client that reads slowly adds: that may have been too long.
        What cannot be is only remembered, and a client that left says nothing."""
        watched, timing, stream = self.watched[answer.expert], answer.timing, tally.life.stream
        counted = watched.waiting.pop(tally, True)
        if answer.finish_reason is not None:
            seconds = timing.first or timing.total if stream else timing.total
            pace, work = (watched.streams if stream else watched.plain), work_of(tally, answer.usage)
            if seconds > FLOOR_SECONDS or counted or self.grey:
                watched.fold()
                slow = pace.slow(seconds, work, self.slow)
                pace.learn((seconds / work,), slow)
                if not counted:
                    self.count(answer.expert, watched, tally, slow)
            elif len(pace.told) < RECENT:
                pace.told.append(seconds / work)
        if watched.trial is tally:
            watched.trial = None

    def dead(self, tally: Tally) -> None:
        """The expert fails all the time, and is left out for that: it is not grey, and begins anew when it is back."""
        name = tally.expert.name
        self.unknown(tally)
        watched = self.watched[name]
        watched.fold()
        watched.recent.clear()
        watched.trial = None
        self.grey.pop(name, None)

    def unknown(self, tally: Tally) -> None:
        """It ended, and says nothing of its expert."""
        watched = self.watched[tally.expert.name]
        watched.waiting.pop(tally, None)
        if tally is watched.trial:
            watched.trial = None

    def under_way(self, name: str) -> int:
        """The requests that an expert has now."""
        watched = self.watched.get(name)
        return 0 if watched is None else len(watched.waiting)

    def count(self, name: str, watched: Watched, tally: Tally, bad: bool) -> None:
        """One more answer, good or bad; of an expert that rests only its trial counts."""
        if name in self.grey:
            if tally is watched.trial:
                self.leave_out(name, watched) if bad else self.passed(name, watched)
            return
        watched.fold()
        watched.recent.append(bad)
        if bad and self.share and sum(watched.recent) >= self.share * RECENT:
            self.leave_out(name, watched)

    def leave_out(self, name: str, watched: Watched) -> None:
        """It rests, longer than the last time if that was not long ago."""
        now = self.clock()
        lately = watched.rest and now - watched.until < LONGEST_REST
        watched.rest = min(2 * watched.rest, LONGEST_REST) if lately else REST
        watched.until = now + watched.rest
        watched.trials = TRIALS
        self.grey[name] = watched

    def passed(self, name: str, watched: Watched) -> None:
        """A trial went well: the next may begin, and after the last the expert is taken back."""
        watched.trials -= 1
        watched.until = self.clock()
        if not watched.trials:
            watched.recent.clear()
            del self.grey[name]

    def left_out(self, names: Collection[str], failing: Set[str]) -> Set[str]:
        """Of `names` the experts that the next request is not to meet, beside those that fail all the time. If that
        would be more than half, it is not they that are ill: nobody is left out."""
        now = self.clock()
        grey = {name for name in names if name in self.grey and now < self.grey[name].until}
        return grey if 2 * len(grey | failing) <= len(names) else frozenset()


FAULTS = frozenset({"unavailable", "broken_off"})
"""Failures that are the expert's own."""


def _status(failure: Failure) -> int | None:
    return failure.error.about.get("status") if failure.error is not None else None


def work_of(tally: Tally, usage: Usage | None = None) -> float:
    """How much there is to do until the first word, or for a plain answer with its usage until the last, in tokens."""
    work, life = OVERHEAD, tally.life
    if usage is not None and not life.stream:
        work += usage.completion_tokens or 0
    return work + life.demand.tokens / PROMPT_TOKENS

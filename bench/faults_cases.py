"""Which faults are tried, what a caller is owed in each, and the verdict on what it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.faults_caller import View
from bench.wall_talk import ANSWER
from bench.wall_times import SEATS


@dataclass(frozen=True, slots=True)
class Case:
    """`model` is the fault; `owed` is `answer`, or the code of the error that must be passed on. `attempts` is the most
    that may reach the faulty expert, `seconds` the longest a caller may wait, at scale 1."""

    id: str
    about: str
    model: str = ""
    owed: str = "answer"
    attempts: int = 2
    seconds: float = 5.0
    fallback: str = "ok"
    stream: bool = True
    health: int = 0
    """Failures in a row after which the gateway leaves an expert out; 0: never, so that every seed meets the fault."""
    policy: str = ""
    """The policy's table, if it is another than usual."""
    tiers: str = ""
    """The table that says who comes first."""
    others: int = 1
    """Sound experts beside the faulty one."""
    explore: float = 0.0
    """The share of requests that go to any expert, all equally likely."""
    timed: bool = False
    """Whether the fault is that it takes too long. Else no deadline ends it, nor ever a sound expert: a machine that
    stands still for a second is no fault of theirs."""
    experts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further keys of an expert in the configuration."""

    @property
    def fault(self) -> str:
        return self.model or self.id


EIGHT: dict[str, Any] = {"fallback": "steady", "health": 5, "others": 7, "explore": 1.0}
"""A request goes to any of eight experts."""
HEDGE = """
use = "policies.hedge:Hedge"
times = 0.0
seconds = 0.5
inner = { use = "policies.pick:Utility", usd_per_quality = 0.01 }
"""
FIRST = """
[tiers]
priority = ["key:local"]
"""
ALONE: dict[str, Any] = {"health": 5, "others": 0}
SEATED = {"faulty": {"limits": {"connections": SEATS, "waiting": SEATS // 2}}}
"""What the operator of an expert that never refuses has to say: how many it takes at once, and how many may wait."""
LARGER = {"faulty": {"context": 4096}, "sound": {"context": 128_000}}

CASES = (
    Case("S01", "429 with Retry-After, once"),
    Case("S02", "429 without Retry-After, always"),
    Case("S03", "500 once"),
    Case("S04", "503 always"),
    Case("S05", "reset before the head, once"),
    Case("S06", "silence", attempts=1, timed=True),
    Case("S07", "first token late", attempts=1, seconds=2.0, timed=True),
    Case("S08", "cut at 40 of 60 words"),
    Case("S09", "stall after 20 words", timed=True),
    Case("S10", "an event that is no JSON"),
    Case("S11", "no [DONE]", attempts=1),
    Case("S12", "context too long", attempts=1, experts=LARGER),
    Case("S13", "content filter", owed="content_policy_violation", attempts=1),
    Case("S14", "cut, and the fallback takes no beginning", fallback="no-prefill"),
    Case("S15", "down for a while, twenty requests", health=5),
    Case("S16", "who answered and what it cost"),
    Case("R02", "429 with an absurd Retry-After"),
    Case("R06", "a byte now and then", seconds=8.0, timed=True),
    Case("R09-cr", "lines that end with CR"),
    Case("R09-bytes", "one byte at a time"),
    Case("R09-comments", "comments and unknown fields"),
    Case("R09-done-twice", "[DONE] twice and words after it"),
    Case("R09-error", "an event named error in the middle"),
    Case("R09-long", "an event over the cap", experts={"faulty": {"limits": {"answer_bytes": 1_000_000}}}),
    Case("R10-none", "no usage"),
    Case("R10-negative", "a negative usage"),
    Case("R10-huge", "a usage of 1e30"),
    Case("R10-twice", "the usage twice"),
    Case("R11-error", "200 with an error body"),
    Case("R11-html", "200 with HTML"),
    Case("R11-empty", "200 with nothing"),
    Case("R12-bomb", "a compressed answer nobody asked for"),
    Case("R12-headers", "ten thousand headers"),
    Case("R12-early", "ends before its length", stream=False),
    Case("R12-redirect", "a redirect to another host"),
    Case("R12-nonsense", "another protocol"),
    Case("R15-slow", "one of eight grows twenty times slower", **EIGHT),
    Case("R15-errors", "one of eight fails three times in ten", **EIGHT),
    Case("R16", "500 always, all at once", attempts=1),
    Case("R30-refuses", "five times what the expert takes", stream=False, **ALONE),
    Case("R30-queues", "the same, and it would let them wait", stream=False, experts=SEATED, **ALONE),
    Case("R30-first", "the same, and some come before others", stream=False, tiers=FIRST, **ALONE),
    Case("R17", "silence for one in twenty, and a hedge", policy=HEDGE),
    Case("R19", "closes kept connections", attempts=2),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Nano-dollars that the expert charges beyond our ledger; `estimated` if the ledger says that it
    guessed, or that it does not know."""

    amount: int
    estimated: bool

    @property
    def told(self) -> bool:
        return self.amount == 0 or self.estimated


def truncated(view: View) -> bool:
    """Whether the caller takes something for a whole answer that is none."""
    return view.success and view.text != ANSWER


def verdict(case: Case, view: View, attempts: int, gap: Gap, scale: float = 1.0) -> tuple[str, str]:
    """pass, safe (not rescued, but a clean error in time) or fail; and why it is no pass."""
    failures = {
        "a truncated answer shown as whole": truncated(view),
        f"the wire is wrong: {view.broken}": bool(view.broken),
        "it took too long": view.seconds > case.seconds * max(1.0, scale),
        f"{attempts} attempts": attempts > case.attempts,
        "money that the ledger does not know of": not gap.told,
        "neither an answer nor an error": not view.success and view.error is None,
        "the fault was never met": attempts == 0,
        "[DONE] after an error": view.error is not None and view.done,
        "no usage": view.success and not view.usage,
    }
    why = next((reason for reason, failed in failures.items() if failed), "")
    if why:
        return "fail", why
    if view.error is not None:
        rescued = view.error.get("code") == case.owed
        return ("pass", "") if rescued else ("safe", f"an error instead: {view.error.get('code')}")
    return ("pass", "") if case.owed == "answer" else ("safe", "an answer where an error was owed")

"""The command `lyceum whatif`: what another policy would have decided, on the estimates and chances that were logged.

Each step is decided again on what was known at it. Where the other policy asks whom nobody asked, the replay ends:
what that expert would have said is not known, only what the router expected of it.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from experts.base import Answer, Failure, Outcome, Request, SetupError, Timing
from experts.build import build
from experts.card import Usage, dollars
from gateway import config
from gateway.fit import config_argument
from gateway.why import record, told
from policies.base import Accept, Ask, Decision, Policy, State
from policies.record import Record
from policies.rows import ESTIMATE
from routers.base import Estimate

HELP = "decide logged requests again with another policy: what would change, at what expected cost and quality"
EXAMPLE = "lyceum whatif 6921a0c5d2871a6cbd8df3c1 --policy cheaper.toml"


class Step(Struct, frozen=True):
    """One decision as it was made, and as the other policy would make it."""

    was: tuple[str, ...]
    would: tuple[str, ...]
    kind: str
    why: str
    quality: float | None
    """The best estimate of those it would ask."""
    cost: int | None
    """Nano-dollars expected of those it would ask."""

    @property
    def same(self) -> bool:
        """Whether both turn to the same experts."""
        return set(self.was) == set(self.would)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("id", nargs="?", help="the request's number; without it the last requests are summed up")
    parser.add_argument("--policy", type=Path, required=True, help="a TOML file with a [policy] table")
    parser.add_argument("--last", type=int, default=1000, help="how many of the last requests; default: 1000")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints what would change. Raises SetupError."""
    ledger, policy = record(config.read(config.path(args.config))), policy_of(args.policy)
    console = Console()
    if args.id is not None:
        steps = replayed(told(ledger, args.id), policy)
        console.print_json(data=[shown(step) for step in steps]) if args.json else tell(console, steps)
        return 0
    total = summed(first_decisions(ledger, args.last), policy)
    console.print_json(data=total) if args.json else tell_sum(console, total)
    return 0


def policy_of(path: Path) -> Policy:
    """The policy of a file. Raises SetupError."""
    try:
        table = tomllib.loads(path.read_text()).get("policy")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"{path}: cannot read the policy: {error}") from error
    if not isinstance(table, dict):
        raise SetupError(f"{path}: the table [policy] is missing")
    made: Policy = build(table, "policy")
    return made


def replayed(story: Mapping[str, Any], policy: Policy) -> list[Step]:
    """The steps up to the first on which the policies part."""
    steps: list[Step] = []
    for row in story["decisions"]:
        before = [outcome for outcome in story["outcomes"] if outcome["step"] < row["step"]]
        steps.append(step(row, before, policy))
        if not steps[-1].same:
            break
    return steps


def step(row: Mapping[str, Any], before: Iterable[Mapping[str, Any]], policy: Policy) -> Step:
    """One decision again, on what was known then."""
    request = Request(messages=(), model=row["model"], id=row["id"])
    estimates = {name: Estimate(name, *(each[field] for field in ESTIMATE)) for name, each in row["estimates"].items()}
    state = State(request, estimates, tuple(map(outcome_of, before)), row["allowance"], row["draw"])
    decision = policy.decide(state)
    asked = [estimates[name] for name in named(decision) if name in estimates]
    best = max((each.quality for each in asked), default=None)
    cost = sum(each.cost for each in asked) if asked else None
    return Step(tuple(row["experts"]), named(decision), type(decision).__name__.lower(), decision.why, best, cost)


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """An outcome without the words, which are not kept."""
    timing = Timing(row["first"], row["total"])
    if row["kind"] == "failure":
        return Failure(row["expert"], row["reason"], True, row["cost"], timing)
    usage = Usage(**{name: row[name] for name in Usage.__struct_fields__ if name in row})
    return Answer(row["expert"], {}, row["finish_reason"], usage, row["cost"], timing)


def named(decision: Decision) -> tuple[str, ...]:
    """Whom a decision turns to."""
    match decision:
        case Ask(experts):
            return experts
        case Accept(answer):
            return (answer.expert,)
    return ()


def first_decisions(ledger: Record, last: int) -> Iterable[Mapping[str, Any]]:
    """The first decisions of the last requests, the newest first."""
    rows = [row for row in ledger.rows("decisions") if row["step"] == 0]
    return islice(reversed(rows), last)


def summed(rows: Iterable[Mapping[str, Any]], policy: Policy) -> dict[str, Any]:
    """How first choices would shift, with what is expected of both."""
    count, moves = 0, Counter[str]()
    cost = [0, 0]
    quality = [0.0, 0.0]
    for row in rows:
        made = step(row, (), policy)
        count += 1
        moves[f"{', '.join(made.was) or 'nobody'} -> {', '.join(made.would) or 'nobody'}"] += not made.same
        was = [row["estimates"][name] for name in made.was if name in row["estimates"]]
        cost[0] += sum(each["cost"] for each in was)
        quality[0] += max((each["quality"] for each in was), default=0.0)
        cost[1] += made.cost or 0
        quality[1] += made.quality or 0.0
    return {
        "requests": count,
        "changed": sum(moves.values()),
        "expected_usd": {"was": dollars(cost[0]), "would": dollars(cost[1])},
        "expected_quality": {"was": _mean(quality[0], count), "would": _mean(quality[1], count)},
        "moves": {move: times for move, times in moves.most_common() if times},
    }


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


def shown(made: Step) -> dict[str, Any]:
    """A step for JSON."""
    usd = None if made.cost is None else dollars(made.cost)
    about = {"kind": made.kind, "why": made.why, "expected_quality": made.quality, "expected_usd": usd}
    return {"was": made.was, "would": made.would, "same": made.same, **about}


def tell(console: Console, steps: list[Step]) -> None:
    """The steps as a table."""
    table = Table("step", "was", "would be", "why", "quality", "cost $")
    for number, made in enumerate(steps):
        quality = "" if made.quality is None else f"{made.quality:.2f}"
        cost = "" if made.cost is None else f"{dollars(made.cost):.7f}"
        table.add_row(str(number), ", ".join(made.was), ", ".join(made.would), made.why, quality, cost)
    console.print(table)
    console.print("nothing changes" if steps[-1].same else "here they part; what would have been said is not known")


def tell_sum(console: Console, total: Mapping[str, Any]) -> None:
    """The sum as a table."""
    table = Table("", "was", "would be")
    for name in ("expected_usd", "expected_quality"):
        values = (total[name][when] for when in ("was", "would"))
        table.add_row(name.replace("_", " "), *("" if value is None else f"{value:.6f}" for value in values))
    console.print(table)
    console.print(f"{total['changed']} of {total['requests']} first choices change")
    for move, times in total["moves"].items():
        console.print(f"  {times} x {move}", markup=False, highlight=False)

"""The benchmark `lyceum bench faults`: an expert that fails in every known way, behind the real gateway."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.faults_caller import Caller, View
from bench.faults_cases import CASES, Case, Gap, truncated, verdict
from bench.faults_flap import Flap, back
from bench.faults_gateway import gateway, wall
from bench.faults_grey import GREY, fate, traffic
from bench.faults_hedge import judged as judged_hedges
from bench.faults_hedge import talks
from bench.faults_overload import MANY, OVERLOAD, judged, judged_ranks, storm, tier
from bench.speed.machine import commit
from bench.wall_times import OUTAGE
from experts.base import SetupError
from experts.http1 import Client

HELP = "the gateway before an expert that fails in every known way: what callers see, what it costs, who is asked"
EXAMPLE = "lyceum bench faults --seeds 20 --cuts 60 --json"
CUTS = Case("R08", "cut after so many bytes", seconds=8.0)
ORDER = ("fail", "safe", "pass")
"""Worst first."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the benchmark takes."""
    parser.add_argument("--seeds", type=int, default=3, help="how often each fault is tried (default 3)")
    parser.add_argument("--cuts", type=int, default=20, help="places at which answers are cut (default 20)")
    parser.add_argument("--scale", type=float, default=1.0, help="10: the seconds of the published benchmark")
    parser.add_argument("--only", nargs="+", metavar="ID", help="some faults instead of all")
    parser.add_argument("--json", action="store_true", help="the scorecard as JSON")


@dataclass(slots=True)
class Trial:
    """One request (or a row of them) and what came of it."""

    seed: int
    verdict: str
    why: str
    view: View
    attempts: int
    gap: Gap


@dataclass(slots=True)
class Card:
    """A fault's line of the scorecard: its worst trial."""

    case: Case
    trials: list[Trial] = field(default_factory=list)

    @property
    def worst(self) -> Trial:
        return min(self.trials, key=lambda trial: ORDER.index(trial.verdict))

    def line(self) -> dict[str, Any]:
        """For people and for JSON."""
        worst = self.worst
        view = "answer" if worst.view.success else str((worst.view.error or {}).get("code", worst.view.broken))
        counts = Counter(trial.verdict for trial in self.trials)
        return {
            "id": self.case.id,
            "fault": self.case.about,
            "view": f"{worst.view.status} {view}",
            "attempts": worst.attempts,
            "gap": worst.gap.amount,
            "estimated": worst.gap.estimated,
            "verdict": worst.verdict,
            "why": worst.why,
            "seed": worst.seed,
            "seconds": round(max(trial.view.seconds for trial in self.trials), 2),
            "passed": counts["pass"],
            "trials": len(self.trials),
        }


@dataclass(slots=True)
class Bench:
    """The fault expert, and the faults to try."""

    port: int
    scale: float
    folder: Path

    async def card(self, case: Case, seeds: int) -> Card:
        """One fault, all seeds at once."""
        async with gateway(case, self.port, self.scale, self.folder / case.id) as caller:
            await self.told("POST", "/reset")
            if case.id == "S15":
                return Card(case, await self.flap(caller, case, seeds))
            if case.id == "R17":
                return Card(case, [await self.hedge(caller, case)])
            if case.id in GREY:
                return Card(case, [await self.grey(caller, case)])
            if case.id in OVERLOAD:
                return Card(case, [await self.overload(caller, case)])
            if case.tiers:
                return Card(case, [await self.ranked(caller, case)])
            trials = (self.trial(caller, case, seed, f"seed {seed}") for seed in range(seeds))
            return Card(case, list(await asyncio.gather(*trials)))

    async def cuts(self, count: int) -> Card:
        """Streams and plain answers, each cut at as many places."""
        async with gateway(CUTS, self.port, self.scale, self.folder / CUTS.id) as caller:
            await self.told("POST", "/reset")
            places = [1 + place * 137 for place in range(count)]
            trials = await asyncio.gather(
                *(self.trial(caller, CUTS, place, f"cut whole {place}", False) for place in places),
                *(self.trial(caller, CUTS, place, f"cut stream {place}") for place in places),
            )
            return Card(CUTS, list(trials))

    async def trial(self, caller: Caller, case: Case, seed: int, prompt: str, stream: bool | None = None) -> Trial:
        """One request, judged by what the caller, the expert and the ledger say."""
        view = await caller.ask(prompt, stream=case.stream if stream is None else stream)
        calls = [call for call in await self.told("GET", "/bill") if call["prompt"] == prompt]
        attempts = sum(call["model"] == case.fault for call in calls)
        gap = await self.gap(caller, view, calls)
        met = max(attempts, int(bool(case.health)))  # left out for its failures, it is not to be met
        return Trial(seed, *verdict(case, view, met, gap, self.scale), view, attempts, gap)

    async def flap(self, caller: Caller, case: Case, seeds: int) -> list[Trial]:
        """Requests through an outage: each is served, and the expert is asked again once it is well."""
        flap, trials = Flap(OUTAGE * self.scale), [Card(case) for _ in range(seeds)]

        async def ask(number: int) -> list[View]:
            asked = (self.trial(caller, case, seed, f"seed {seed} request {number}") for seed in range(seeds))
            for card, trial in zip(trials, await asyncio.gather(*asked), strict=True):
                card.trials.append(trial)
            return [card.trials[-1].view for card in trials]

        came_back = back((await flap.rounds(ask))[-1])
        seconds = [call["second"] for call in await self.told("GET", "/bill") if call["model"] == case.fault]
        during = sum(second < flap.outage for second in seconds)
        worst = [card.worst for card in trials]
        for trial, card in zip(worst, trials, strict=True):
            trial.attempts = sum(each.attempts for each in card.trials)
            if trial.verdict == "pass" and not came_back:
                trial.verdict, trial.why = "fail", "it never came back"
            elif trial.verdict == "pass" and during > flap.most(seeds):
                trial.verdict, trial.why = "fail", f"{during} attempts while it was down"
        return worst

    async def grey(self, caller: Caller, case: Case) -> Trial:
        """Steady requests to eight experts, of which one turns grey."""

        async def calls() -> int:
            return sum(call["model"] == case.fault for call in await self.told("GET", "/bill"))

        views = await traffic(lambda number: caller.ask(f"request {number}"), calls)
        fared = fate(views, await self.told("GET", "/bill"), case.fault)
        return Trial(0, *fared.verdict, max(views, key=lambda view: view.seconds), await calls(), Gap(0, False))

    async def hedge(self, caller: Caller, case: Case) -> Trial:
        """Requests of which one in twenty meets silence, some of them in a storm."""
        views = await talks(lambda number: caller.ask(f"request {number}"))
        bill = await self.told("GET", "/bill")
        gaps = [await self.gap(caller, view, [call for call in bill if _asks(call, n)]) for n, view in enumerate(views)]
        unknown = sum(abs(gap.amount) for gap in gaps if not gap.told)
        worst = max(views, key=lambda view: view.seconds)
        return Trial(0, *judged_hedges(views, bill, case.fault, unknown), worst, len(bill), Gap(0, False))

    async def overload(self, caller: Caller, case: Case) -> Trial:
        """Far more requests than can be answered."""
        views = await storm(lambda number: caller.ask(f"request {number}", stream=case.stream))
        bill = await self.told("GET", "/bill")
        worst = max(views, key=lambda view: view.seconds)
        return Trial(0, *judged(views, bill), worst, len(bill), Gap(0, False))

    async def ranked(self, caller: Caller, case: Case) -> Trial:
        """The same, of which some come before others."""
        views = await storm(
            lambda number: caller.ask(f"request {number}", stream=case.stream, service_tier=tier(number)), MANY
        )
        bill = await self.told("GET", "/bill")
        worst = max(views, key=lambda view: view.seconds)
        return Trial(0, *judged_ranks(views, bill), worst, len(bill), Gap(0, False))

    async def gap(self, caller: Caller, view: View, calls: Sequence[dict[str, Any]]) -> Gap:
        """What the expert charges beyond the ledger."""
        story = await caller.get(f"/v1/decisions/{view.decision}")
        outcomes = story.get("outcomes", [])
        known = sum(outcome["cost"] or 0 for outcome in outcomes)
        estimated = any(outcome["estimated"] or outcome["cost"] is None for outcome in outcomes)
        return Gap(sum(call["cost"] for call in calls) - known, estimated)

    async def told(self, method: str, path: str) -> Any:
        """What the fault expert says."""
        client = Client(f"http://127.0.0.1:{self.port}")
        try:
            async with client.request(method, path, {}) as response:
                return orjson.loads(await response.read())
        finally:
            await client.aclose()


async def measure(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The scorecard."""
    cases = [case for case in CASES if not args.only or case.id in args.only]
    if unknown := set(args.only or ()) - {case.id for case in (*CASES, CUTS)}:
        raise SetupError(f"--only: there is no fault {', '.join(sorted(unknown))}")
    cards, began = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        async with wall(args.scale, Path.cwd()) as port:
            bench = Bench(port, args.scale, Path(place))
            task = progress.add_task("")
            for case in cases:
                progress.update(task, description=f"{case.id} {case.about}")
                cards.append(await bench.card(case, args.seeds))
            if args.cuts and (not args.only or CUTS.id in args.only):
                progress.update(task, description="cuts")
                cards.append(await bench.cuts(args.cuts))
    views = [trial.view for card in cards for trial in card.trials]
    return {
        "faults": [card.line() for card in cards],
        "truncated_as_success": sum(map(truncated, views)),
        "seeds": args.seeds,
        "cuts": args.cuts,
        "commit": commit(),
        "seconds": round(time.perf_counter() - began, 1),
    }


def run(args: argparse.Namespace) -> int:
    """Prints the scorecard; 1 if anything failed or a truncated answer looked whole."""
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        result = asyncio.run(measure(args, progress))
    if args.json:
        sys.stdout.write(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        show(result)
    bad = result["truncated_as_success"] or any(line["verdict"] == "fail" for line in result["faults"])
    return int(bool(bad))


def show(result: dict[str, Any]) -> None:
    """The scorecard for people."""
    names = ("id", "fault", "view", "attempts", "gap", "verdict", "passed", "seconds", "seed", "why")
    table = Table(*names, title=f"Faults, {result['seeds']} seeds, {result['cuts']} cuts")
    for line in result["faults"]:
        line = {**line, "passed": f"{line['passed']}/{line['trials']}", "gap": _gap(line)}
        table.add_row(*(str(line[name]) for name in names))
    console = Console()
    console.print(table)
    console.print(f"truncated answers shown as whole: {result['truncated_as_success']}")


def _asks(call: dict[str, Any], number: int) -> bool:
    return bool(call["prompt"] == f"request {number}")


def _gap(line: dict[str, Any]) -> str:
    return f"{line['gap']} estimated" if line["gap"] and line["estimated"] else str(line["gap"])

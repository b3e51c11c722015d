"""The command `lyceum probe`: asks every expert the tasks, scores the answers by program, writes the outcome table."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.answers import Journal, Row, rescored, row, summary, write
from bench.asking import SECONDS, Asker, OverHTTP
from bench.tasks import FAMILIES, tasks
from bench.tasks.base import Task
from experts.base import SetupError

HELP = "ask every expert prompts with checkable answers: the outcome table"
EXAMPLE = "lyceum probe --url http://127.0.0.1:8000 --experts small,coder --limit 40"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--url", help="a running gateway; default: one is started for the probe")
    parser.add_argument("--config", help="configuration of the gateway that is started")
    parser.add_argument("--key", help="bearer key; default: $LYCEUM_KEY, then the key file")
    parser.add_argument("--key-file", type=Path, default=Path("state/key"), help="default: state/key")
    parser.add_argument("--experts", type=_names, help="names separated by commas; default: all")
    parser.add_argument("--families", type=_names, default=list(FAMILIES), help="default: " + ",".join(FAMILIES))
    parser.add_argument("--limit", type=int, help="ask only so many prompts, an even sample")
    parser.add_argument("--out", type=Path, default=Path("state/outcomes.parquet"), help="the table to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the prompts")
    parser.add_argument("--resume", action="store_true", help="go on with what the journal beside --out holds")
    parser.add_argument("--rescore", action="store_true", help="ask nothing: score the journal's answers again")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def run(args: argparse.Namespace) -> int:
    """Asks or rescores, writes the table, prints the summary."""
    unknown = sorted(set(args.families) - set(FAMILIES))
    if unknown:
        raise SetupError(f"--families: {unknown[0]!r} is not one of {', '.join(FAMILIES)}")
    chosen = sample(tasks(args.seed, args.families), args.limit)
    journal = Journal(args.out.with_suffix(".jsonl"))
    if args.rescore:
        journal.replace(rescored(journal.rows(), tasks(args.seed)))
    else:
        asyncio.run(ask(args, chosen, journal))
    rows = journal.rows()
    if not rows:
        raise SetupError(f"{journal.path.name}: there are no answers: run the probe without --rescore")
    write(args.out, rows)
    show(rows, args.json)
    return 0


def sample(found: Sequence[Task], limit: int | None) -> list[Task]:
    """The tasks in a fixed order without pattern, so that any first part is an even sample."""
    return sorted(found, key=lambda task: sha256(task.id.encode()).hexdigest())[:limit]


async def ask(args: argparse.Namespace, chosen: Sequence[Task], journal: Journal) -> None:
    """Runs the probe over HTTP."""
    import httpx2

    async with gateway(args) as url:
        headers = {"authorization": f"Bearer {key(args)}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=SECONDS) as client:
            asker = OverHTTP(client)
            known = await asker.experts()
            missing = [name for name in args.experts or [] if name not in known]
            if missing:
                raise SetupError(f"--experts: {missing[0]!r} is not one of {', '.join(known)}")
            await Probe(asker, journal).run(args.experts or known, chosen, args.resume)


def key(args: argparse.Namespace) -> str:
    """The bearer key. Raises SetupError if there is none."""
    if args.key or os.environ.get("LYCEUM_KEY"):
        return str(args.key or os.environ["LYCEUM_KEY"])
    try:
        return str(args.key_file.read_text().strip())
    except OSError as error:
        raise SetupError(f"--key-file: cannot read {args.key_file.name}: give --key or set LYCEUM_KEY") from error


@contextlib.asynccontextmanager
async def gateway(args: argparse.Namespace) -> AsyncIterator[str]:
    """The address of the gateway to ask: the one given, or one that lives as long as the probe."""
    if args.url:
        yield args.url
        return
    from bench.served import served

    async with served(args.config) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks experts side by side, each one request at a time."""

    asker: Asker
    journal: Journal

    async def run(self, experts: Sequence[str], chosen: Sequence[Task], resume: bool = False) -> None:
        """Every expert gets every task; what the journal holds is not asked again."""
        held = self.journal.begin(resume)
        done = {(one["expert"], one["prompt"]) for one in held}
        columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            async with asyncio.TaskGroup() as group:
                for expert in experts:
                    left = [task for task in chosen if (expert, task.prompt) not in done]
                    group.create_task(self._one(expert, left, progress))

    async def _one(self, expert: str, left: Sequence[Task], progress: Progress) -> None:
        bar = progress.add_task(expert, total=len(left))
        for task in left:
            reply = await self.asker.ask(expert, task)
            # In a thread, since checking code waits for the sandbox.
            score = await asyncio.to_thread(task.score, reply.answer) if reply.answer else 0.0
            self.journal.add(row(task, expert, reply, score))
            progress.advance(bar)


def show(rows: Sequence[Row], as_json: bool) -> None:
    """Score and mean cost by domain and expert."""
    cells = summary(rows)
    console = Console()
    if as_json:
        data = [
            {"domain": domain, "expert": expert, "score": score, "cost": cost, "n": n}
            for (domain, expert), (score, cost, n) in cells.items()
        ]
        console.print_json(data=data)
        return
    experts = sorted({expert for _, expert in cells})
    table = Table("domain", *experts, title="mean score, mean cost in micro-dollars, answers")
    for domain in sorted({domain for domain, _ in cells}):
        found = [cells.get((domain, expert)) for expert in experts]
        table.add_row(domain, *(f"{one[0]:.3f}  {one[1] / 1000:.2f}  {one[2]}" if one else "" for one in found))
    console.print(table)

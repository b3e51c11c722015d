"""`lyceum report`: what the traffic cost and what it was worth, as one self-contained page and in the terminal."""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import chapters, page, standing, traffic
from bench.data import OWN, own
from bench.live import Live, configuration, live
from bench.statistics import Interval
from bench.traffic import DAY, Traffic
from experts.base import SetupError
from experts.card import NANO

HELP = "What the traffic cost and what it was worth: one HTML page, and a table in the terminal."
EXAMPLE = "lyceum report --out state/report.html"


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says; `standing` is `None` if there is no outcome table, and then `lacks` says why."""

    traffic: Traffic
    standing: standing.Standing | None
    lacks: str
    made: float
    commit: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where things lie, all in `state/` by default."""
    parser.add_argument("--ledger", type=Path, default=Path("state/ledger.sqlite"), help="default: state/ledger.sqlite")
    parser.add_argument("--table", type=Path, default=OWN, help="outcome table; default: the one that comes with us")
    parser.add_argument(
        "--router", type=Path, default=Path("state/router"), help="fitted router; default: state/router"
    )
    parser.add_argument("--config", type=Path, help="configuration; default: ./lyceum.toml, else the embedded school")
    parser.add_argument("--out", type=Path, default=Path("state/report.html"), help="default: state/report.html")
    parser.add_argument("--days", type=float, help="only the traffic of the last days")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Makes the page and says where it is."""
    report = gather(args)
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(html(report), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"--out {args.out}: cannot be written: {error.strerror}") from error
    if args.json:
        import orjson

        os.write(1, orjson.dumps(figures(report), option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    show(report, Console())
    Console().print(f"The whole report: {args.out}", highlight=False)
    return 0


def gather(args: argparse.Namespace) -> Report:
    """Reads the ledger, the table and what is in use."""
    now = time.time()
    found = traffic.read(args.ledger, now - args.days * DAY if args.days else 0.0)
    known, lacks = _standing(args)
    return Report(found, known, lacks, now, _commit())


def _standing(args: argparse.Namespace) -> tuple[standing.Standing | None, str]:
    if not args.table.exists():
        return None, "There is no outcome table yet: make one with `lyceum probe`."
    sets = own(args.table)
    if not len(sets.test) or not len(sets.train):
        return None, "The outcome table has no prompts that every expert was asked, on both train and test."
    used = _live(args, sets.test)
    return standing.stand(sets.train, sets.test, used.router, used.policy), used.lacks


def _live(args: argparse.Namespace, test: Any) -> Live:
    tables: Mapping[str, Any] = configuration(args.config)
    return live(tables, args.router, args.table, test)


def _commit() -> str:
    """The commit of the program, if it runs from a repository."""
    here = Path(__file__).parent.parent
    if not (here / ".git").exists():
        return ""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()


def html(report: Report) -> str:
    """The page."""
    made = datetime.datetime.fromtimestamp(report.made, datetime.UTC).strftime("%d %B %Y %H:%M UTC")
    where = f", commit {report.commit}" if report.commit else ""
    body = [
        page.cards(chapters.headline(report.traffic)),
        chapters.worth(report.standing, report.lacks),
        chapters.experts(report.standing),
        chapters.traffic(report.traffic),
        page.section("Words", "", page.definitions(chapters.WORDS)),
    ]
    return page.page("Lyceum report", f"Made {made}{where}.", body, f"lyceum report, {made}{where}")


def show(report: Report, console: Console) -> None:
    """The terminal's version."""
    console.print(
        "  ".join(f"[bold]{value}[/] {name}" for value, name in chapters.headline(report.traffic)) or "No traffic."
    )
    if report.standing is not None:
        console.print(_ways(report.standing))
        console.print(_domains(report.standing))
    if report.lacks:
        console.print(report.lacks, style="yellow", highlight=False)
    if report.traffic.requests:
        console.print(_calls(report.traffic))


def _ways(known: standing.Standing) -> Table:
    table = Table("", title=f"Cost and quality on {known.n} test prompts", title_justify="left")
    for head in ("score", "$ per 1,000", "over the best single"):
        table.add_column(head, justify="right")
    for way in known.ways:
        style = {"policy": "bold", "trivial": "dim", "bound": "dim"}.get(way.kind, "")
        cost = f"{way.cost.value:.4g}"
        table.add_row(way.name, _three(way.score), cost, _three(way.score_over, "+"), style=style)
    return table


def _three(interval: Interval, sign: str = "") -> str:
    return f"{interval.value:{sign}.3f} ±{(interval.high - interval.low) / 2:.3f}"


def _domains(known: standing.Standing) -> Table:
    names = list(next(iter(known.wins.values())))
    table = Table("domain", "groups", *names, title="Win rate, and share of the prompts in use", title_justify="left")
    for domain, row in known.wins.items():
        shares = known.shares.get(domain, {})
        cells = [
            f"{100 * row[n].value:.0f} %" + (f" ({100 * shares[n].value:.0f} %)" if n in shares else "") for n in names
        ]
        table.add_row(domain, str(next(iter(row.values())).n), *cells)
    return table


def _calls(found: Traffic) -> Table:
    table = Table("expert", "calls", "answers", "failed", "spend", title="Traffic", title_justify="left")
    for name, calls in sorted(found.experts.items(), key=lambda item: -item[1].spend):
        table.add_row(name, *map(str, (calls.asked, calls.answers, calls.failures.total())), chapters.usd(calls.spend))
    return table


def figures(report: Report) -> dict[str, Any]:
    """The same for programs; money in dollars."""
    known = report.standing
    return {
        "made": report.made,
        "commit": report.commit,
        "requests": report.traffic.requests,
        "refused": report.traffic.refused,
        "spend_usd": report.traffic.spend / NANO,
        "experts": {
            name: {"calls": calls.asked, "failures": dict(calls.failures), "spend_usd": calls.spend / NANO}
            for name, calls in report.traffic.experts.items()
        },
        "lacks": report.lacks,
        "n": known.n if known else 0,
        "ways": list(known.ways) if known else [],
        "router": dict(known.router.figures) if known and known.router else {},
        "scores": known.scores if known else {},
        "wins": known.wins if known else {},
        "shares": known.shares if known else {},
    }

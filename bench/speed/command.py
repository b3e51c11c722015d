"""`lyceum bench speed`: requests a second, CPU a request, added latency, streams and memory, beside a direct run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.speed import machine, table
from bench.speed.arithmetic import middle
from bench.speed.deciding import decisions
from bench.speed.held import TIMES, WINDOWS, held_workers
from bench.speed.interpreter import interpreter
from bench.speed.load import Generator
from bench.speed.measure import FULL, SMALL, Session, flat
from bench.speed.peers import PEERS, Absent, peer
from bench.speed.processes import cores, memory_bytes
from bench.speed.progress import progress
from bench.speed.targets import Target, gateway, upstream
from experts.base import SetupError

HELP = "requests a second, CPU a request, added latency, streams and memory of the gateway, beside a direct run"
EXAMPLE = "lyceum bench speed --size small"
SIZES = {"small": SMALL, "full": FULL}
WORKERS = 2
WORKER_LEVELS = (64, 256)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is measured, and where it is written."""
    parser.add_argument("--size", choices=SIZES, default="small", help="small: some 15 seconds; full: for the record")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in a file; - is standard output")
    parser.add_argument("--peers", action="store_true", help="other gateways too, as `lyceum bench peers` put them")
    parser.add_argument("--only", help="only these peers, with commas")
    others = "our gateway by these interpreters too: a python of an environment that has all it needs"
    parser.add_argument("--interpreter", type=Path, nargs="+", default=[], metavar="PYTHON", help=others)
    parser.add_argument("--embedding", action="store_true", help="streams too while other requests are embedded")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="show kept figures, measure nothing")
    parser.add_argument("--markdown", action="store_true", help="the tables as Markdown")
    parser.add_argument("--write", type=Path, nargs="+", default=[], metavar="DOC", help="put them into documents")


def run(args: argparse.Namespace) -> int:
    """Measures or reads, then shows and keeps."""
    report = kept(args.source) if args.source else measured(args)
    if args.json:
        text = json.dumps(report, indent=1) + "\n"
        sys.stdout.write(text) if str(args.json) == "-" else args.json.write_text(text)
    for path in args.write:
        table.write(report, path)
    if args.markdown:
        sys.stdout.write(table.markdown(report) + "\n")
    elif str(args.json) != "-":
        table.show(report, Console())
    return 0


def kept(path: Path) -> dict[str, Any]:
    """The figures of another run. Raises SetupError."""
    try:
        report: dict[str, Any] = json.loads(path.read_text())
        table.markdown(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise SetupError(f"--from {path}: no figures that this version can show ({why}): measure again") from error
    return report


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """A whole report. Raises SetupError if the upstream, the generator or our own gateway does not start."""
    plan = SIZES[args.size]
    names = chosen(args)
    report: dict[str, Any] = {**machine.origin(), "size": args.size, "plan": asdict(plan), "targets": {}, "missing": {}}
    ours, theirs = cores()
    steps = plan.steps * (1 + len(args.interpreter) + len(names))
    steps += plan.rounds * (2 * len(plan.levels) + TIMES * WINDOWS)
    with progress(steps) as bar:
        with upstream(theirs) as direct, Generator(theirs) as generator:
            session = Session(generator, direct, plan, bar)
            report["direct"] = session.ceiling()
            with gateway(direct, ours) as target:
                report["targets"]["lyceum"] = session.target(target)
            for path in args.interpreter:
                otherwise(session, path, report)
            report["workers"] = workers(session)
            report["held"] = held_workers(session)
            for name in names:
                beside(session, name, report)
            if args.embedding:
                from bench.speed.embedding import embedding

                report["embedding"] = embedding(session)
        bar("decisions")
        report["decisions"] = decisions()
    return report


def chosen(args: argparse.Namespace) -> list[str]:
    """The peers that were asked for. Raises SetupError for an unknown one."""
    names = args.only.split(",") if args.only else list(PEERS) if args.peers else []
    for name in names:
        if name not in PEERS:
            raise SetupError(f"--only {name}: unknown peer; known: {', '.join(PEERS)}")
    return names


def beside(session: Session, name: str, report: dict[str, Any]) -> None:
    """A peer's figures, or why it has none."""
    try:
        with peer(name, session.direct, cores()[0]) as target:
            report["targets"][name] = session.target(target)
    except (Absent, SetupError) as error:
        report["missing"][name] = str(error)


def otherwise(session: Session, python: Path, report: dict[str, Any]) -> None:
    """The same code as another interpreter runs it, in its own environment; or why there is no figure."""
    name, checkout = f"lyceum, {python.name}", machine.REPOSITORY
    code = {"PYTHONPATH": str(checkout)} if (checkout / "pyproject.toml").exists() else {}
    runner = str(python.absolute())  # not resolved: the link is what makes it a python of its environment
    try:
        about = interpreter(runner)
        name = f"lyceum, {about['name']} {about['version']} {about['build']}"
        with gateway(session.direct, cores()[0], runner=(runner,), environment=os.environ | code) as target:
            report["targets"][name] = session.target(target)
    except SetupError as error:
        report["missing"][name] = str(error)


def workers(session: Session) -> dict[str, Any]:
    """Two workers on all cores, which they share with upstream and generator."""
    ours, theirs = cores()
    if not ours:
        return {"missing": "there is one core only"}
    levels = [level for level in session.plan.levels if level in WORKER_LEVELS]
    with gateway(session.direct, ours | theirs, WORKERS) as target:
        idle = memory_bytes(target.pid or 0)
        rounds = [_levels(session, target, levels) for _ in range(session.plan.rounds)]
        return {
            "count": WORKERS,
            "levels": middle(rounds),
            "rss_idle_mb": idle / 1e6,
            "rss_after_mb": memory_bytes(target.pid or 0) / 1e6,
        }


def _levels(session: Session, target: Target, levels: list[int]) -> dict[str, Any]:
    return {str(level): flat(session.run(target, "closed", level)) for level in levels}

"""The command `lyceum why`: the story of one request, from the ledger alone; the gateway need not run."""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path
from typing import Any

from rich.console import Console

from experts.base import SetupError
from gateway import ask, config
from gateway.config import Config
from gateway.fit import config_argument
from policies.record import Record

HELP = "tell the story of one request: candidates, estimates, who was asked, what came of it, what it cost"
EXAMPLE = "lyceum why 6921a0c5d2871a6cbd8df3c1"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("id", help="the request's number, as x-lyceum-decision said it")
    parser.add_argument("--json", action="store_true", help="everything that the ledger has of it")


def run(args: argparse.Namespace) -> int:
    """Prints the story. Raises SetupError if there is none."""
    story = told(record(config.read(config.path(args.config))), args.id)
    console = Console()
    if args.json:
        console.print_json(data=story)
    else:
        ask.show(console, story)
    return 0


def record(settings: Config) -> Record:
    """The ledger's file, to be read. Raises SetupError if there is none."""
    path = Path(settings.state.folder) / "ledger.sqlite"
    if not path.exists():
        raise SetupError(f"state.folder: there is no ledger at {path}: start the gateway once, or name its folder")
    return Record(path)


def told(ledger: Record, name: str) -> dict[str, Any]:
    """The story of a request. Raises SetupError if the ledger has none, or is damaged."""
    try:
        story = ledger.explain(name)
    except sqlite3.Error as error:
        raise SetupError(f"{ledger.path}: cannot be read: {error}") from error
    if story is None:
        raise SetupError(f"{name}: the ledger has no such request; x-lyceum-decision of its answer says its number")
    return story

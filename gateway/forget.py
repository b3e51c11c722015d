"""The command `lyceum forget`: erases what clients wrote and were answered; the ledger of costs stays."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from experts.base import SetupError
from gateway import config
from gateway.fit import config_argument
from gateway.prompts import FILE, erase

HELP = "erase kept prompts, responses and replays: of a key, of one request, or older than a day"
EXAMPLE = "lyceum forget --key alice --before 2026-11-01"

KEPT = (
    (FILE, "prompts", {"decision": "decision", "key": "key", "before": "time"}),
    ("responses.sqlite", "responses", {"key": "key", "before": "created"}),
    ("replays.sqlite", "replays", {"key": "key", "before": "time"}),
)
"""Every file that holds a client's words, its table, and the columns to choose by."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("--decision", help="the request's number")
    parser.add_argument("--key", help="the key's name, or the id of a virtual key")
    parser.add_argument("--before", help="a moment, ISO 8601: what is older is erased")
    parser.add_argument("--all", action="store_true", help="everything")


def run(args: argparse.Namespace) -> int:
    """Erases, and says how much. Raises SetupError."""
    chosen = {name: value for name in ("decision", "key", "before") if (value := getattr(args, name)) is not None}
    if bool(chosen) == args.all:
        raise SetupError("say what to forget: --decision, --key, --before, or --all alone")
    if "before" in chosen:
        chosen["before"] = _second(chosen["before"])
    folder = Path(config.read(config.path(args.config)).state.folder)
    for file, table, columns in KEPT:
        if (folder / file).exists() and set(chosen) <= set(columns):
            count = erase(folder / file, table, *_where(columns, chosen))
            Console().print(f"{file}: {count} erased", highlight=False)
    return 0


def _second(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise SetupError(f"--before: {text!r} is no moment; write it as 2026-11-22") from error


def _where(columns: dict[str, str], chosen: dict[str, Any]) -> tuple[str, list[Any]]:
    parts = [f"{columns[name]} {'<' if name == 'before' else '='} ?" for name in chosen]
    return " AND ".join(parts) or "1", list(chosen.values())

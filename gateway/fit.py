"""The command `lyceum fit`: trains the configured router from an outcome table."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console

from gateway import compose, config
from gateway.config import Builder

HELP = "train the router from an outcome table"
EXAMPLE = "lyceum fit --outcomes state/outcomes.parquet"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("--outcomes", type=Path, help="Parquet or JSONL; default: the configuration's, else ours")


def config_argument(parser: argparse.ArgumentParser) -> None:
    """The option that every command with a configuration has."""
    parser.add_argument("--config", type=Path, help="TOML file; default: ./lyceum.toml, else the embedded school")


def run(args: argparse.Namespace) -> int:
    """Fits, saves, says how long it took."""
    settings = config.read(config.path(args.config))
    started = time.monotonic()
    compose.fit_router(settings, Builder(settings).encoder(), args.outcomes)
    seconds, folder = time.monotonic() - started, compose.router_folder(settings)
    Console().print(f"fitted {settings.router['use']} in {seconds:.1f} s into {folder}", highlight=False)
    return 0

"""The command `lyceum check`: builds everything that a configuration names, starts nothing, says what it found."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from experts.base import Expert, SetupError
from gateway import config
from gateway.compose import keys, options
from gateway.config import Builder, Config
from gateway.fit import config_argument
from gateway.why import record
from policies.base import Policy
from policies.prices import kept
from policies.record import Record

HELP = "check a configuration without starting anything, or the ledger for damage"
EXAMPLE = "lyceum check --config lyceum.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("--ledger", action="store_true", help="look for damage in the ledger instead")


def check(settings: Config) -> tuple[Mapping[str, Expert], Mapping[str, Policy]]:
    """The experts and the named policies, everything built, nothing started. Raises SetupError."""
    builder = Builder(settings)
    experts = builder.experts()
    _, policies = builder.policies()
    builder.encoder()
    options(settings)
    keys(settings)
    return experts, policies


def run(args: argparse.Namespace) -> int:
    """Prints the experts; SetupError names the first key that is wrong."""
    path = config.path(args.config)
    settings = config.read(path)
    if args.ledger:
        return examine(record(settings), Console())
    experts, policies = check(settings)
    table = Table(title=f"{path.name}: {len(experts)} experts, router {settings.router['use']}")
    for column in ("expert", "domain", "context", "$/M in", "$/M out", "$/CPU h", "description"):
        table.add_column(column)
    for name, expert in experts.items():
        card, price = expert.card, expert.card.price
        numbers = (f"{value:g}" for value in (card.context, price.prompt, price.completion, price.cpu_hour))
        table.add_row(name, card.domain, *numbers, card.description)
    console = Console()
    console.print(table)
    more = f"also {', '.join(policies) or 'none'}, hash {settings.policy_hash}"
    console.print(f"policy {settings.policy['use']}, {more}: all is well", highlight=False)
    return 0


def examine(ledger: Record, console: Console) -> int:
    """Says which groups of rows and which prices are damaged; 1 if any is. Raises SetupError if the file cannot be
    read at all."""
    try:
        damaged = ledger.damaged()
        lost = [price["version"] for price in kept(ledger.path) if price["usd"] is None]
    except (sqlite3.Error, ValueError) as error:
        raise SetupError(f"{ledger.path}: damaged; move it away or restore a copy: {error}") from error
    for damage in damaged:
        said = "its rows can be read all the same" if damage.mended else "its rows are lost: restore a copy"
        console.print(f"group {damage.group} is damaged: {said}")
    for version in lost:
        console.print(f"the prices of version {version} are lost: restore a copy")
    console.print(f"{ledger.path.name}: {len(damaged) or 'no'} damaged group{'' if len(damaged) == 1 else 's'}")
    return int(bool(damaged or lost))

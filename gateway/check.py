"""The command `lyceum check`: builds everything that a configuration names, starts nothing, says what it found."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from experts.base import Expert
from gateway import config
from gateway.compose import keys, options
from gateway.config import Builder, Config
from gateway.fit import config_argument
from policies.base import Policy

HELP = "check a configuration without starting anything"
EXAMPLE = "lyceum check --config lyceum.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)


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
    console.print(f"policy {settings.policy['use']}, also {', '.join(policies) or 'none'}: all is well")
    return 0

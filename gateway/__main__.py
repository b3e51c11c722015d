"""The command line: `lyceum COMMAND`; each command is a module of its own, imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from experts.base import SetupError

COMMANDS = {
    "serve": ("gateway.serve", "start the experts and the gateway"),
    "check": ("gateway.check", "check a configuration without starting anything, or the ledger for damage"),
    "ask": ("gateway.ask", "ask in the terminal: the answer, who gave it, why, at what cost"),
    "keys": ("gateway.keys", "virtual keys of clients: create, list, rotate, revoke"),
    "probe": ("bench.probe", "ask every expert prompts with checkable answers: the outcome table"),
    "experts": ("bench.newcomer", "a new expert joins the fitted router from a few hundred probes"),
    "fit": ("gateway.fit", "train the router from an outcome table"),
    "report": ("bench.report", "what it cost, what it was worth: one HTML page and a table"),
    "bench": ("bench.__main__", "measure routing, speed and faults"),
    "why": ("gateway.why", "the story of one request, from the ledger"),
    "whatif": ("gateway.whatif", "decide logged requests again with another policy"),
    "reconcile": ("gateway.reconcile", "a provider's bill against the ledger"),
    "forget": ("gateway.forget", "erase kept prompts, responses and replays"),
    "export": ("gateway.export", "the ledger as Parquet files"),
    "weights": ("experts.weights", "list and fetch model weights"),
}
"""Commands live in the room that does their work; the name is all that the gateway knows of them."""


def parser() -> argparse.ArgumentParser:
    """The first level: which command."""
    top = argparse.ArgumentParser(
        prog="lyceum", description="One OpenAI-compatible door in front of a school of experts."
    )
    top.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of: " + ", ".join(COMMANDS))
    lines = "\n".join(f"  {name:9} {about}" for name, (_, about) in COMMANDS.items())
    top.epilog = f"commands:\n{lines}\n\nlyceum COMMAND --help tells more.\nexample: lyceum serve --config lyceum.toml"
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; what the operator must mend is one line and exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = parser().parse_args(given[:1]).command
    module = importlib.import_module(COMMANDS[command][0])
    below = argparse.ArgumentParser(
        prog=f"lyceum {command}",
        description=module.HELP,
        epilog=f"example: {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(below)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # `use = "poet:Poet"` may name a file of the operator's; it comes last and hides nothing
    try:
        return int(module.run(below.parse_args(given[1:])))
    except SetupError as error:
        print(f"lyceum {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

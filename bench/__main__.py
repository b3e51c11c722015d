"""`lyceum bench NAME`: one measurement each, in a module of its own that is imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys

from experts.base import SetupError

HELP = "Measure routing, the gateway's loop, speed and faults."
EXAMPLE = "lyceum bench routers --data mmlu_pro"

BENCHMARKS = {
    "routers": ("bench.routers", "every router on every data set, against single experts, zero router and oracle"),
    "addition": ("bench.addition", "what one more head would add to the default blend, by cross-validation on train"),
    "shortcuts": ("bench.shortcuts", "what int8 vectors and deciding by words alone lose in routing quality"),
    "encoders": ("bench.encoders", "what shorter or cheaper vectors lose in routing quality, by halves of train alone"),
    "joining": ("bench.joining", "how good a router is to which an expert was added from a few hundred probes"),
    "by-task": ("bench.by_task", "what the default router brings on each task of a set, and on their average"),
    "labels": ("bench.labels", "APGR and CPT of a router of two experts from few labels and no subjects"),
    "paretobandit": ("bench.paretobandit", "reward at ParetoBandit's seven budgets, beside it and the zero router"),
    "faults": ("bench.faults", "an expert that fails in every known way, behind the real gateway: a scorecard"),
    "budgets": ("bench.budgets", "replicas that share hard budgets and are killed: is a cent overspent or lost"),
    "leaving": ("bench.leaving", "clients that leave at random points: is a cent wrong or a row lost"),
    "restarts": ("bench.restarts", "a gateway that is reloaded or loses workers under load: who fails, what is lost"),
    "ledger": ("bench.ledger", "rows a second with fsync, and what kill -9 in the middle of writing costs"),
    "speed": ("bench.speed.command", "requests a second, CPU a request, added latency, streams; beside other gateways"),
    "instructions": ("bench.speed.instructions", "user instructions a request under callgrind; a gate for CI"),
    "memory": ("bench.speed.memory", "whether memory stays flat over a million requests and ten thousand streams"),
    "peers": ("bench.speed.install", "install the gateways that `bench speed --peers` compares with"),
    "loop": ("bench.loop", "microseconds a request of the gateway's loop, and the import time of each room"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which benchmark; what follows is its own."""
    lines = "\n".join(f"  {name:12} {about}" for name, (_, about) in BENCHMARKS.items())
    parser.epilog = f"benchmarks:\n{lines}\n\nlyceum bench NAME --help tells more.\nexample: {EXAMPLE}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help="one of: " + ", ".join(BENCHMARKS))
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="arguments of the benchmark")


def run(args: argparse.Namespace) -> int:
    """Imports the benchmark's module and hands it the rest of the line."""
    module = importlib.import_module(BENCHMARKS[args.name][0])
    below = argparse.ArgumentParser(
        prog=f"lyceum bench {args.name}",
        description=module.HELP,
        epilog=f"example: {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(below)
    return int(module.run(below.parse_args(args.rest)))


def main() -> int:
    """The same without the gateway: `python -m bench NAME`."""
    parser = argparse.ArgumentParser(prog="lyceum bench", description=HELP)
    arguments(parser)
    try:
        return run(parser.parse_args())
    except SetupError as error:
        print(f"lyceum bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

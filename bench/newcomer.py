"""The command `lyceum experts probe NAME`: a new expert joins the fitted router from a few hundred probes."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import probe
from bench.answers import Journal, write
from bench.live import configuration
from bench.tasks import tasks
from experts.base import SetupError
from experts.build import build
from routers.fit import check_encoder, embed
from routers.joined import join
from routers.learned import Learned
from routers.outcomes import Outcomes, read
from routers.saved import load, save

HELP = "a new expert joins the fitted router from a few hundred probes; nobody else is asked or refitted"
EXAMPLE = "lyceum experts probe large --url http://127.0.0.1:8000"
LIMIT = 400


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("action", choices=["probe"], help="ask one expert the probes, and add it to the router")
    parser.add_argument("name", help="the expert, as the configuration names it")
    parser.add_argument("--outcomes", type=Path, help="scored probes, Parquet or JSONL: nobody is asked")
    parser.add_argument("--url", help="a running gateway; default: one is started for the probe")
    parser.add_argument("--config", type=Path, help="TOML file; default: ./lyceum.toml, else the embedded school")
    parser.add_argument("--key", help="bearer key; default: $LYCEUM_KEY, then the key file")
    parser.add_argument("--key-file", type=Path, default=Path("state/key"), help="default: state/key")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"prompts to ask, an even sample (default {LIMIT})")
    parser.add_argument("--seed", type=int, default=0, help="seed of the prompts")
    parser.add_argument("--resume", action="store_true", help="go on with what the journal of this expert holds")
    parser.add_argument("--router", type=Path, default=Path("state/router"), help="the fitted router to add to")


def run(args: argparse.Namespace) -> int:
    """Asks, adds, saves, says what was learned."""
    router, about = load(args.router)
    if not isinstance(router, Learned):
        raise SetupError(f"router: {args.router} holds something else than a router; make one with `lyceum fit`")
    table = args.outcomes or asked(args)
    probes = only(read(table), args.name, table)
    encoder = build(configuration(args.config)["encoder"], "encoder")
    check_encoder(router, encoder)
    joined = join(router, probes, embed(probes.prompts, encoder))
    save(args.router, joined, {**about, "joined": [*about.get("joined", ()), note(args.name, table, probes)]})
    mean = float(probes.score.mean())
    told = f"{args.name} joined {', '.join(router.experts)}: mean score {mean:.3f} on {len(probes)} probes"
    Console().print(f"{told}; saved in {args.router}", highlight=False)
    return 0


def asked(args: argparse.Namespace) -> Path:
    """Asks the expert the probes; the table of its answers, scored."""
    args.experts = [args.name]
    table = args.router.parent / f"probes-{args.name}.parquet"
    journal = Journal(table.with_suffix(".jsonl"))
    asyncio.run(probe.ask(args, probe.sample(tasks(args.seed), args.limit), journal))
    write(table, journal.rows())
    return Path(table)


def only(table: Outcomes, name: str, path: Path) -> Outcomes:
    """The prompts that the expert has a score for, but those of the split `test`. Raises SetupError."""
    import numpy as np

    if name not in table.experts:
        raise SetupError(f"--outcomes: {path.name} has no row of {name}; known: {', '.join(table.experts)}")
    mine = table.only([name])
    known = [i for i in np.flatnonzero(np.isfinite(mine.score[:, 0])).tolist() if mine.splits[i] != "test"]
    return mine.rows(known)


def note(name: str, table: Path, probes: Outcomes) -> dict[str, Any]:
    """What the saved router says of a newcomer."""
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    return {"expert": name, "table": table.name, "sha256": digest, "prompts": len(probes)}

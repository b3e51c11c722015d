"""Streams while other requests are embedded: whether the encoder's work is felt by those who only pass through.

The streams are the same in all windows: they name their expert, so none of them asks for a vector itself. Windows with
and without embedded requests beside them take turns, through the gateway and straight to the upstream: what generator
and upstream delay by themselves is in both.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from bench.speed.arithmetic import difference, middle
from bench.speed.load import Generator
from bench.speed.measure import REQUEST_BYTES, SLOW_US, Session
from bench.speed.processes import cores, memory_bytes
from bench.speed.targets import ENCODER, Target, gateway
from experts.base import SetupError

RATE = 15.0
"""Embedded requests a second: what one core can carry beside the streams."""
LONGER = 2.0
"""So many times the usual window: at this rate there are few requests in it."""
PROMPTS = itertools.count(step=100_000)
"""Where the prompts of a window begin: no two windows have one in common, since a known prompt needs no vector."""
STATE = Path("state")
WEIGHTS = STATE / "weights" / "all-minilm-l6-v2"
VECTORS = re.compile(r'^lyceum_vectors_total\{outcome="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)
Figures = dict[str, Any]


def embedding(session: Session) -> Figures:
    """Chunk delays without and with embedded requests beside them, and what these take."""
    if not WEIGHTS.exists():
        return {"embedding": f"missing: `lyceum weights fetch {WEIGHTS.name}`"}
    ours, theirs = cores()
    more = ENCODER.format(folder=json.dumps(str(STATE.absolute()))[1:-1])
    with gateway(session.direct, ours, more=more) as target, Generator(theirs) as other:
        idle = memory_bytes(target.pid or 0)
        turns(session, other, target)  # what is done but once is done
        found = middle([turns(session, other, target, odd=number % 2 == 1) for number in range(session.plan.rounds)])
        return {
            **delays(found),
            "embedded requests p50, ms": in_ms(found["embedded"]["p50"]),
            "embedded requests p99, ms": in_ms(found["embedded"]["p99"]),
            **decision(session, target),
            **vectors(target),
            "MB of gateway and encoder": (memory_bytes(target.pid or 0)) / 1e6,
            "MB of them idle": idle / 1e6,
        }


def turns(session: Session, other: Generator, target: Target, odd: bool = False) -> Figures:
    """The delays of one window of each kind; those with embedded requests come first in an odd round."""
    named = replace(target, model="large")
    found: Figures = {}
    for beside in (odd, not odd):
        for name, where in (("through", named), ("direct", session.direct)):
            streams, embedded = together(session, other, where, target if beside else None)
            found[f"{name} {'beside' if beside else 'alone'}"] = streams["delay_us"]
            if embedded is not None and name == "through":
                found["embedded"] = embedded["latency_us"]
    return found


def delays(found: Figures) -> Figures:
    """The 99th percentiles of a chunk's delay, and what the way through the gateway adds to them."""
    shown: Figures = {}
    for name, words in (("alone", "without embedding"), ("beside", f"beside {RATE:.0f} embedded requests a second")):
        through, direct = found[f"through {name}"]["p99"], found[f"direct {name}"]["p99"]
        shown[f"chunk delay p99 {words}, µs"] = through
        shown[f"chunk delay p99 {words}, direct, µs"] = direct
        shown[f"chunk delay p99 {words}, added, µs"] = difference(through, direct)
    return shown


def vectors(target: Target) -> Figures:
    """How many vectors were made in all, and how many would have come too late: those requests went without."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers=dict(target.headers))
        page = connection.getresponse().read().decode()
    finally:
        connection.close()
    found = dict(VECTORS.findall(page))
    return {f"vectors {outcome}": float(found.get(outcome, 0)) for outcome in ("made", "late")}


def in_ms(micros: float | None) -> float | str:
    """Milliseconds, or that there were none."""
    return "none was answered" if micros is None else micros / 1000


def together(
    session: Session, other: Generator, where: Target, embeds: Target | None
) -> tuple[Figures, Figures | None]:
    """A window of streams, and beside it of new prompts that must be embedded, if somebody is to embed them."""
    seconds = session.plan.seconds * LONGER
    kept: list[Figures] = []

    def embed(target: Target) -> None:
        job = {"kind": "open", "connections": 64, "rate": RATE, "seconds": seconds, "warm": session.plan.warm}
        kept.append(other.run(target=target.wire(), size=REQUEST_BYTES, first=next(PROMPTS), **job))

    def listen() -> Figures:
        return session.run(where, "streams", session.plan.streams, every_us=SLOW_US, seconds=seconds)

    if embeds is None:
        return listen(), None
    thread = Thread(target=embed, args=(embeds,))
    thread.start()
    streams = listen()
    thread.join()
    if not kept:
        raise SetupError("embedded requests could not be asked")
    return streams, kept[0]


def decision(session: Session, target: Target) -> Figures:
    """A dry run of the decision over the wire, for a new prompt and for one that is known."""
    route = replace(target, path="/v1/route")
    new = session.run(route, "closed", 1)
    known = session.run(route, "closed", 1, same=True)
    return {
        "decision with embedding p50, ms": in_ms(new["latency_us"]["p50"]),
        "decision of a known prompt p50, ms": in_ms(known["latency_us"]["p50"]),
    }

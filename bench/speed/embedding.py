"""Streams while other requests are embedded: whether the encoder's work is felt by those who only pass through."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

from bench.speed.load import Generator
from bench.speed.measure import REQUEST_BYTES, SLOW_US, Session
from bench.speed.processes import cores, memory_bytes
from bench.speed.targets import ENCODER, Target, gateway
from experts.base import SetupError

RATE = 15.0
"""Embedded requests a second: what one core can carry beside the streams."""
LONGER = 3.0
"""So many times the usual window: at this rate there are few requests in it."""
STATE = Path("state")
WEIGHTS = STATE / "weights" / "all-minilm-l6-v2"
VECTORS = re.compile(r'^lyceum_vectors_total\{outcome="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)
Figures = dict[str, Any]


def embedding(session: Session) -> Figures:
    """Chunk delays without and with embedded requests beside them, and what these take."""
    if not WEIGHTS.exists():
        return {"embedding": f"missing: `lyceum weights fetch {WEIGHTS.name}`"}
    ours, theirs = cores()
    with gateway(session.direct, ours, more=ENCODER.format(folder=json.dumps(str(STATE.absolute()))[1:-1])) as target:
        idle = memory_bytes(target.pid or 0)
        before = session.streams(target, SLOW_US)
        with Generator(theirs) as other:
            beside, embedded = together(session, other, target)
        decided = decision(session, target)
        return {
            "chunk delay p99 without embedding, µs": before["delay_us"]["p99"],
            f"chunk delay p99 beside {RATE:.0f} embedded requests a second, µs": beside["delay_us"]["p99"],
            "chunk delay p99 direct, µs": session.streams(session.direct, SLOW_US)["delay_us"]["p99"],
            "embedded requests p50, ms": in_ms(embedded["latency_us"]["p50"]),
            "embedded requests p99, ms": in_ms(embedded["latency_us"]["p99"]),
            **decided,
            **vectors(target),
            "MB of gateway and encoder": (memory_bytes(target.pid or 0)) / 1e6,
            "MB of them idle": idle / 1e6,
        }


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


def together(session: Session, other: Generator, target: Target) -> tuple[Figures, Figures]:
    """Streams to a named expert, and new prompts that must be embedded, at the same time."""
    seconds = session.plan.seconds * LONGER
    kept: list[Figures] = []

    def embed() -> None:
        kept.append(
            other.run(
                kind="open",
                target=target.wire(),
                size=REQUEST_BYTES,
                connections=64,
                rate=RATE,
                seconds=seconds,
                warm=session.plan.warm,
            )
        )

    thread = Thread(target=embed)
    thread.start()
    named = replace(target, model="large")
    streams = session.run(named, "streams", session.plan.streams, every_us=SLOW_US, seconds=seconds)
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

"""What a decision costs inside the gateway, without its wire: the router, the encoder, a store of 100,000 prompts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.loop import PROMPT, learned
from bench.speed.arithmetic import MICRO, percentile
from experts.base import Request, SetupError
from experts.card import Card, Price
from policies.base import State
from policies.pick import Utility
from routers.fit import DEFAULT

EXPERTS = 10
FIT_PROMPTS = 300
DECISIONS = 400
EMBEDDED = 25
STORED = 100_000
TOKENS = 300
CUTS = (("fp32", 128), ("int8", 128), ("int8", 64))
"""Precisions of the encoder, and the tokens after which it cuts; the last is what comes with us."""
STATE = Path("state")
WEIGHTS = "all-minilm-l6-v2"
DIMENSIONS = 384
SPREAD = 0.5
"""Of the prompts that routers are measured on the standard deviation falls so with the rank of the direction."""
ASKED = 64


def decisions(stored: int = STORED, state: Path = STATE) -> dict[str, float | str]:
    """Microseconds, the median; a figure that cannot be had says why."""
    decide = decider()
    return {
        f"one decision, {EXPERTS} experts, embedding excluded": each(decide, DECISIONS),
        **{
            f"embedding ({name}) + decision, a prompt of {TOKENS}": cost
            for name, cost in embedded(decide, state).items()
        },
        **nearest(stored),
    }


def decider() -> Callable[..., None]:
    """Estimates and decides on a prompt that was not seen before; `vector` is its embedding."""
    router, usual = learned(EXPERTS, FIT_PROMPTS, DEFAULT)
    catalog = {f"e{i}": Card(price=Price(prompt=0.1 * i, completion=0.4 * i)) for i in range(EXPERTS)}
    policy = Utility(usd_per_quality=0.01)

    def decide(number: int, vector: Any = None) -> None:
        messages = ({"role": "user", "content": f"{PROMPT} {number}"},)
        request = Request(messages, embedding=usual if vector is None else vector)
        policy.decide(State(request, router.estimate(request, catalog, ())))

    return decide


def each(step: Callable[[int], object], count: int) -> float:
    """The median of so many calls in microseconds, after as many again of a tenth to warm up."""
    for number in range(count // 10 + 1):
        step(-number - 1)
    found = []
    for number in range(count):
        began = time.perf_counter()
        step(number)
        found.append(time.perf_counter() - began)
    middle = percentile(sorted(found), 0.5)
    assert middle is not None
    return middle * MICRO


def embedded(decide: Callable[..., None], state: Path) -> dict[str, float | str]:
    """The same with the embedding of a long prompt, for several ways to make it."""
    from routers.encoders import MiniLM

    ways = {f"{precision}, {cut} tokens": (precision, cut) for precision, cut in CUTS}
    if not (state / "weights" / WEIGHTS).exists():
        return dict.fromkeys(ways, f"missing: `lyceum weights fetch {WEIGHTS}`")
    words = "train " * TOKENS
    costs: dict[str, float | str] = {}
    for name, (precision, cut) in ways.items():
        encoder = MiniLM(str(state / "encoder"), str(state / "weights"), cut, precision)

        def both(number: int, encode: Callable[[list[str]], Any] = encoder.encode) -> None:
            decide(number, encode([f"{number} {words}"])[0])

        try:
            costs[name] = each(both, EMBEDDED)
        except SetupError as error:
            costs[name] = f"missing: {error}"
    return costs


def nearest(stored: int) -> dict[str, float | str]:
    """What the head that looks into a store of prompts needs for one prediction, the index made before, and the share
    of the truly nearest that it finds: a large store is searched by a graph, which may miss some."""
    from routers.inputs import Inputs
    from routers.knn import Nearest

    name = f"nearest of {stored:,} prompts"
    try:
        vectors, asked = made_up(stored), made_up(ASKED, seed=1)
        head = Nearest.fit(Inputs(("",) * stored, (0,) * stored, vectors), vectors[:, :EXPERTS])
        shown = [Inputs((PROMPT,), (len(PROMPT),), vector[None]) for vector in asked]
        micros = each(lambda number: head.predict(shown[number % ASKED]), ASKED)
        truth = replace(head, graph=None).near(asked)[1]
    except ImportError as error:
        return {name: f"missing: {error.name}"}
    found = [
        len(set(near) & set(true)) for near, true in zip(head.near(asked)[1].tolist(), truth.tolist(), strict=True)
    ]
    return {name: micros, f"of the {head.k} nearest of them found": f"{sum(found) / len(found) / head.k:.1%}"}


def made_up(count: int, seed: int = 0) -> Any:
    """Unit vectors (count, DIMENSIONS) spread over directions as those of prompts are: the further, the less."""
    import numpy as np

    spread = (1.0 + np.arange(DIMENSIONS, dtype=np.float32)) ** -SPREAD
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), dtype=np.float32) * spread
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

"""What a decision costs inside the gateway, without its wire: the router, the encoder, a store of 100,000 prompts."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
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
STATE = Path("state")
WEIGHTS = "all-minilm-l6-v2"
DIMENSIONS = 384


def decisions(stored: int = STORED, state: Path = STATE) -> dict[str, float | str]:
    """Microseconds, the median; a figure that cannot be had says why."""
    decide = decider()
    return {
        f"one decision, {EXPERTS} experts, embedding excluded": each(decide, DECISIONS),
        **{f"embedding ({name}) + decision, {TOKENS} tokens": cost for name, cost in embedded(decide, state).items()},
        f"nearest of {stored:,} prompts": nearest(stored),
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
    """The same with the embedding of a long prompt, for each precision of the encoder."""
    from routers.encoders import PRECISIONS, MiniLM

    if not (state / "weights" / WEIGHTS).exists():
        return dict.fromkeys(PRECISIONS, f"missing: `lyceum weights fetch {WEIGHTS}`")
    words = "train " * TOKENS
    costs: dict[str, float | str] = {}
    for precision in PRECISIONS:
        encoder = MiniLM(str(state / "encoder"), str(state / "weights"), precision=precision)

        def both(number: int, encode: Callable[[list[str]], Any] = encoder.encode) -> None:
            decide(number, encode([f"{number} {words}"])[0])

        try:
            costs[precision] = each(both, EMBEDDED)
        except SetupError as error:
            costs[precision] = f"missing: {error}"
    return costs


def nearest(stored: int) -> float | str:
    """What the head that looks into a store of prompts needs for one prediction, the index made before."""
    import numpy as np

    from routers.inputs import Inputs
    from routers.knn import Nearest

    random = np.random.default_rng(0)
    vectors = random.standard_normal((stored, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    score = random.random((stored, EXPERTS))
    asked = [Inputs((PROMPT,), (len(PROMPT),), vectors[i : i + 1]) for i in range(16)]
    head = Nearest.fit(Inputs((), (), vectors), score)
    head = Nearest(head.vectors, head.score, head.mean, min(40, stored), head.temperature, head.shrinkage)
    try:
        return each(partial(_predict, head, asked), 64)
    except ImportError as error:
        return f"missing: {error.name}"


def _predict(head: Any, asked: list[Any], number: int) -> None:
    head.predict(asked[number % len(asked)])

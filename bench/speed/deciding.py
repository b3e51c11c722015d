"""What a decision costs inside the gateway, without its wire: the router, the encoder, a store of 100,000 prompts.

It is measured in a process of its own, on one core, when nothing else of the benchmark runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import data
from bench.speed.arithmetic import MICRO, percentile
from bench.speed.processes import cores, pinned, python
from experts.base import Request, SetupError
from experts.card import Card, Price
from policies.base import State
from policies.pick import Utility
from routers.fit import train
from routers.outcomes import from_rows
from routers.words import terms

EXPERTS = 10
COPIES = 6
"""Times that each train prompt of our own set is fitted on, with other outcomes: as many clusters as can be."""
DECISIONS = 3000
EMBEDDED = 50
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
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Figures = dict[str, float | str]


def decisions(stored: int = STORED, state: Path = STATE) -> Figures:
    """Microseconds; a figure that cannot be had says why. Raises SetupError."""
    command = python("bench.speed.deciding", "--stored", str(stored), "--state", str(state))
    with pinned(cores()[0]):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALONE})
    if done.returncode:
        raise SetupError(f"decisions could not be measured: {done.stderr.strip().rpartition(chr(10))[2]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.speed.deciding")
    parser.add_argument("--stored", type=int, default=STORED)
    parser.add_argument("--state", type=Path, default=STATE)
    args = parser.parse_args()
    decide = decider()
    alone = timed(f"one decision, {EXPERTS} experts, embedding excluded", decide, DECISIONS)
    sys.stdout.write(json.dumps({**alone, **embedded(decide, args.state), **nearest(args.stored)}))
    return 0


def decider() -> Callable[..., None]:
    """Estimates and decides on a prompt that was not seen before; `vector` is its embedding."""
    ours = data.own(data.OWN)
    router = fitted(ours.train.prompts, ours.train.domains)
    prompts, vectors = ours.test.prompts, made_up(len(ours.test), seed=1)
    catalog = {f"e{i}": Card(price=Price(prompt=0.1 * i, completion=0.4 * i)) for i in range(EXPERTS)}
    policy = Utility(usd_per_quality=0.01)

    def decide(number: int, vector: Any = None, prompt: str = "") -> None:
        place = number % len(prompts)
        messages = ({"role": "user", "content": prompt or f"{prompts[place]} {number}"},)
        request = Request(messages, embedding=vectors[place] if vector is None else vector)
        policy.decide(State(request, router.estimate(request, catalog, ())))

    return decide


def fitted(prompts: Sequence[str], domains: Sequence[str]) -> Any:
    """A router of made-up outcomes and vectors: its work does not depend on what they say."""
    import numpy as np

    random = np.random.default_rng(0)
    rows = [
        {"prompt": f"{prompt} {copy}", "domain": domain, "expert": f"e{j}", "score": random.random(), "cost": 1000 + j}
        for copy in range(COPIES)
        for prompt, domain in zip(prompts, domains, strict=True)
        for j in range(EXPERTS)
    ]
    outcomes = from_rows(rows)
    return train(outcomes, made_up(len(outcomes)))


def timed(name: str, step: Callable[[int], object], count: int) -> Figures:
    """Of so many calls, after as many again of a tenth to warm up: the median, the 99th percentile, and the mean time
    of the processor, in which nothing is that others made us wait for."""
    for number in range(count // 10 + 1):
        step(-number - 1)
    found, began = [], time.thread_time()
    for number in range(count):
        before = time.perf_counter()
        step(number)
        found.append(time.perf_counter() - before)
    worked = (time.thread_time() - began) / count
    middle, most = (percentile(sorted(found), share) or 0.0 for share in (0.5, 0.99))
    return {name: middle * MICRO, f"{name}, p99": most * MICRO, f"{name}, CPU": worked * MICRO}


def embedded(decide: Callable[..., None], state: Path) -> Figures:
    """The same with the embedding of a long prompt, for several ways to make it."""
    from routers.encoders import MiniLM

    names = {cut: f"embedding ({cut[0]}, {cut[1]} tokens) + decision, a prompt of {TOKENS}" for cut in CUTS}
    if not (state / "weights" / WEIGHTS).exists():
        return dict.fromkeys(names.values(), f"missing: `lyceum weights fetch {WEIGHTS}`")
    prompts = long(data.own(data.OWN).test.prompts)
    costs: Figures = {}
    for (precision, cut), name in names.items():
        encoder = MiniLM(str(state / "encoder"), str(state / "weights"), cut, precision)

        def both(number: int, encode: Callable[[list[str]], Any] = encoder.encode) -> None:
            prompt = f"{number} {prompts[number % len(prompts)]}"
            decide(number, encode([prompt])[0], prompt)

        try:
            costs |= timed(name, both, EMBEDDED)
        except SetupError as error:
            costs[name] = f"missing: {error}"
    return costs


def long(prompts: Sequence[str]) -> list[str]:
    """Prompts of TOKENS words and marks each, of several short ones."""
    found, open_, counted = [], [], 0
    for prompt in [*prompts] * COPIES:
        open_.append(prompt)
        counted += sum(terms(prompt).values())
        if counted >= TOKENS:
            found.append(" ".join(open_))
            open_, counted = [], 0
    return found


def nearest(stored: int) -> Figures:
    """What the head that looks into a store of prompts needs for one prediction, the index made before, and the share
    of the truly nearest that it finds: a large store is searched by a graph, which may miss some."""
    from routers.inputs import Inputs
    from routers.knn import Nearest

    asked_for = "How long does the journey take?"
    name = f"nearest of {stored:,} prompts"
    try:
        vectors, asked = made_up(stored), made_up(ASKED, seed=1)
        head = Nearest.fit(Inputs(("",) * stored, (0,) * stored, vectors), vectors[:, :EXPERTS])
        shown = [Inputs((asked_for,), (len(asked_for),), vector[None]) for vector in asked]
        costs = timed(name, lambda number: head.predict(shown[number % ASKED]), 4 * ASKED)
        truth = replace(head, graph=None).near(asked)[1]
    except ImportError as error:
        return {name: f"missing: {error.name}"}
    found = [
        len(set(near) & set(true)) for near, true in zip(head.near(asked)[1].tolist(), truth.tolist(), strict=True)
    ]
    return {**costs, f"of the {head.k} nearest of them found": f"{sum(found) / len(found) / head.k:.1%}"}


def made_up(count: int, seed: int = 0) -> Any:
    """Unit vectors (count, DIMENSIONS) spread over directions as those of prompts are: the further, the less."""
    import numpy as np

    spread = (1.0 + np.arange(DIMENSIONS, dtype=np.float32)) ** -SPREAD
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), dtype=np.float32) * spread
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    sys.exit(main())

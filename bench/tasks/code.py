"""Code: write a Python function to a specification; hidden tests run it in the sandbox."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from bench.tasks.base import Check, Template
from bench.tasks.checks import FENCE
from bench.tasks.functions import SPECS, Spec

MAX_TOKENS = 220
SECONDS = 4.0
FRAMES = (
    "Write a Python function `{spec.signature}` that {spec.says}. Reply with the code only.",
    "I need a Python function `{spec.signature}`. It {spec.says}. Just the code, no explanation.",
    "In Python: def {spec.signature} ... which {spec.says}. Give the whole function, without comments or examples.",
)


def template(group: tuple[Spec, ...]) -> Template:
    """A template over the specifications of one group."""

    def make(random: Random) -> tuple[str, Check]:
        spec = random.choice(group)
        frame = FRAMES[len(spec.signature) % len(FRAMES)]  # one frame a function, so that none comes twice
        return frame.format(spec=spec), passes(spec)

    return make


def passes(spec: Spec) -> Check:
    """1 if the answer's code passes every hidden test: partly right code is wrong code."""
    name = spec.signature.partition("(")[0]
    tests = [f"{name}(*{arguments!r}) == {spec.solution(*arguments)!r}" for arguments in spec.cases]

    def check(answer: str) -> float:
        for source in sources(answer, name):
            found = asyncio.run(_run({"source": source, "tests": tests}))
            return float(found is not None and found["passed"] == found["total"])
        return 0.0

    return check


def sources(answer: str, name: str) -> list[str]:
    """The code in an answer, the part that defines `name` first."""
    blocks = [block for block in FENCE.findall(answer) if f"def {name}" in block]
    whole = [answer[answer.index(f"def {name}") :]] if f"def {name}" in answer else []
    return blocks or whole


async def _run(argument: dict[str, Any]) -> dict[str, Any] | None:
    from experts.sandbox import Limits, Sandbox

    sandbox = Sandbox("experts.sandbox:run_python", Limits(seconds=SECONDS))
    try:
        result = await sandbox.run(argument)
    finally:
        await sandbox.stop()
    return result.value if isinstance(result.value, dict) else None


TEMPLATES: dict[str, Template] = {topic: template(group) for topic, group in SPECS.items()}

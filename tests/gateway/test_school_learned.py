"""What a router has learned is told of each prompt apart, however alike their lengths."""

import numpy as np
import pytest

from experts.base import Request
from experts.catalog import Demand
from routers.fit import train
from routers.outcomes import from_rows
from tests.gateway.conftest import make_door, scripted

KINDS = {"sum": "adder", "ode": "poet"}
"""What is asked, and who is good at it."""


def vector(kind: str, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal(8).astype(np.float32) * 0.1
    found[list(KINDS).index(kind)] += 1
    return found / np.linalg.norm(found)


@pytest.fixture(scope="module")
def learned():
    """A router of two experts, each good at one thing."""
    asked = [(kind, number) for number in range(60) for kind in KINDS]
    rows = [
        {"prompt": f"{kind} {number:02}", "domain": kind, "expert": expert, "score": float(KINDS[kind] == expert)}
        for kind, number in asked
        for expert in KINDS.values()
    ]
    table = from_rows([{**row, "cost": 1000} for row in rows])
    return train(table, np.array([vector(kind, number) for kind, number in asked]))


async def test_prompts_of_the_same_length_have_estimates_of_their_own(tmp_path, learned):
    door = make_door(tmp_path, [scripted(expert) for expert in KINDS.values()])
    school = door.school
    school.router = learned
    for kind, expert in KINDS.items():
        request = Request(({"role": "user", "content": f"{kind} 61"},), {}, embedding=vector(kind))
        found = school.estimates(request, Demand.of(request), school.cards)
        assert found == learned.estimate(request, school.cards, ())
        assert max(found.values(), key=lambda each: each.quality).expert == expert
    await door.stop()

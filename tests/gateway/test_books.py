"""What the books of a gateway write, and what they remember to write it quickly."""

from typing import Any

import pytest

import gateway.books
from experts.base import Request
from experts.catalog import Demand
from gateway.books import Books
from gateway.life import Life
from gateway.school import Usual
from policies.base import Ask, State
from policies.first import First
from policies.ledger import Ledger
from policies.pick import Threshold
from routers.base import Estimate

POLICY = Threshold(0.5)
ESTIMATES = {"small": Estimate("small", 0.5, 0.1, 1_000, 2_000, 0.7)}
ASK = Ask(("small",), True, why="cheap")


@pytest.fixture
async def books(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    yield Books(ledger, clock=lambda: 1.8e9, policy_hash="hash")
    await ledger.close()


def usual() -> Usual:
    return Usual({}, POLICY, Demand(frozenset(), 0, False), {}, ESTIMATES, First(ASK), None)


def life(name: str, key: str = "k1") -> Life:
    nobody: Any = None  # a life asks its school for no row
    return Life(nobody, Request(({"role": "user", "content": name},), model="auto", id=name), POLICY, "auto", key)


async def test_a_decision_that_was_foreseen_is_recorded_as_any_other(books):
    known = usual()
    for name in ("one", "two"):
        group = books.foreseen(life(name), known, 77, 0.25)
    other = life("three")
    other.step = 0
    books.decided(other, State(other.request, ESTIMATES, (), 77, 0.25), ASK)
    await group
    rows = list(books.ledger.rows("decisions"))
    assert sorted(row.pop("id") for row in rows) == ["one", "three", "two"]
    assert len({row.pop("prompt_hash") for row in rows}) == 3
    assert rows[0] == rows[1] == rows[2]
    told = [rows[0][name] for name in ("key", "experts", "draw", "policy_hash")]
    assert told == ["k1", ["small"], 0.25, "hash"]


async def test_kinds_of_decisions_are_remembered_up_to_a_number(books, monkeypatch):
    monkeypatch.setattr(gateway.books, "KNOWN", 2)
    known = usual()
    for key in ("k1", "k2", "k3", "k1"):
        group = books.foreseen(life(f"of {key}", key), known, None, 0.5)
        assert len(books._alike) <= 2
    await group
    assert {row["key"] for row in books.ledger.rows("decisions")} == {"k1", "k2", "k3"}

"""What the books of a gateway write, and what they remember to write it quickly."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import gateway.books
from experts.base import Answer, Request, Timing
from experts.card import Card, Usage
from experts.catalog import Demand
from gateway.books import Books
from gateway.fares import Fare
from gateway.life import Life
from gateway.promise import Promise
from gateway.school import Usual
from gateway.terms import Accounts as Terms
from policies.base import Ask, State
from policies.first import First
from policies.lease import Part, Slice
from policies.ledger import Ledger
from policies.payers import Payer, Seen
from policies.pick import Threshold
from routers.base import Estimate
from tests.gateway.conftest import CARD

POLICY = Threshold(0.5)
ESTIMATES = {"small": Estimate("small", 0.5, 0.1, 1_000, 2_000, 0.7)}
ASK = Ask(("small",), True, why="cheap")


@pytest.fixture
async def books(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    yield Books(ledger, clock=lambda: 1.8e9, policy_hash="hash")
    await ledger.close()


def usual() -> Usual:
    return Usual({}, POLICY, Demand(frozenset(), 0, False), {}, ESTIMATES, First(ASK), None, None)


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


def tally(name: str, promise: Promise | None, card: Card = CARD) -> Any:
    """As much of what was said as the books look at."""
    expert = SimpleNamespace(name="small", card=card)
    return SimpleNamespace(life=life(name), expert=expert, promise=promise, chunks=1, said=["hi"], plain=False)


class Ended:
    """Accounts that end calls of slices."""

    def end(self, hold: Part, cost: int | None, tokens: int | None) -> Any:
        return hold.end(cost)


def promised() -> Promise:
    """A call that was granted 5,000 nano-dollars out of a slice over two accounts."""
    accounts = Seen("day", 86_400), Seen("~total key:k1", 0)
    accounts[0].of(90_000)
    accounts[0].spent, accounts[1].own = 700, 30
    lease = Slice("s1", Payer((), ()), (), accounts, lambda one: None, free=0, running=1)
    return Promise(Ended(), lease.payer, Fare.of(CARD, Terms()), 5_000, 100, None, lease)  # type: ignore[arg-type] # enough


@pytest.mark.parametrize(
    "usage",
    [Usage(9, 2), Usage(9, 2, 3, 1, True, 5, 6, 7, 8), Usage()],
)
@pytest.mark.parametrize("cost", [0, 1_500, 5_000])
async def test_an_answer_that_is_settled_at_once_is_recorded_as_any_other(books, usage, cost):
    answer = Answer("small", {"content": "hi"}, "stop", usage, cost, Timing(0.25, 0.5))
    usual, other = promised(), promised()
    await books.settled(tally("one", usual), answer, "answered")
    await books.settled(tally("two", other, replace(CARD)), answer, "answered")
    rows = [list(books.ledger.rows(table)) for table in ("outcomes", "settlements")]
    assert [[row.pop("decision") for row in each] for each in rows] == [["one", "two"]] * 2
    assert rows[0][0] == rows[0][1]
    assert rows[1][0] == rows[1][1]
    assert (rows[0][0]["price"], rows[0][0]["cost"], rows[0][0]["kind"]) == (CARD.price.version, cost, "answer")
    assert [each["before"] for each in rows[1][0]["budgets"]] == [700, 30]
    assert [each["after"] for each in rows[1][0]["budgets"]] == [700 + cost, 30 + cost]
    assert [each["limit"] for each in rows[1][0]["budgets"]] == [90_000, None]
    assert (usual.lease, other.lease) == (None, None)
    assert books.ledger.spend(0.0, 2e9) == 2 * cost
    books.metrics.fold()
    assert books.metrics.outcomes["small", "answered"] == 2
    assert books.metrics.tokens["small", "prompt"] == 2 * (usage.prompt_tokens or 0)
    assert books.metrics.spend["small",] == 2 * cost


@pytest.mark.parametrize("cost", [None, 5_001])
async def test_an_answer_that_costs_more_than_was_held_is_booked_with_what_was(books, cost):
    promise = promised()
    answer = Answer("small", {"content": "hi"}, "stop", Usage(9, 2), cost, Timing(0.25, 0.5))
    await books.settled(tally("one", promise), answer, "answered")
    [row] = books.ledger.rows("settlements")
    assert (row["state"], row["booked"]) == (("abandoned", 5_000) if cost is None else ("settled", 5_001))
    assert row["budgets"][0]["after"] == 700 + row["booked"]


async def test_kinds_of_decisions_are_remembered_up_to_a_number(books, monkeypatch):
    monkeypatch.setattr(gateway.books, "KNOWN", 2)
    known = usual()
    for key in ("k1", "k2", "k3", "k1"):
        group = books.foreseen(life(f"of {key}", key), known, None, 0.5)
        assert len(books._alike) <= 2
    await group
    assert {row["key"] for row in books.ledger.rows("decisions")} == {"k1", "k2", "k3"}

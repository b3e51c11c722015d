"""A budget that steers changes the price of quality of the requests that it covers, before it blocks them."""

from __future__ import annotations

import time

import pytest

from experts.base import SetupError
from gateway import terms
from gateway.money import Money
from gateway.steering import MOST, Steering
from policies.accounts import Accounts
from policies.limits import Limit
from policies.periods import Period
from policies.pressure import Pressure
from tests.gateway.conftest import make_door, scripted, serving
from tests.gateway.test_money import ASK
from tests.gateway.test_money import MOST as DEAREST
from tests.policies.test_accounts import Clock

HOUR = Limit("hour", 1.0, ("team:ml",), Period("hour"), steer=True)


@pytest.fixture
async def accounts(tmp_path):
    opened = Accounts.open(tmp_path / "accounts.sqlite", [HOUR], clock=Clock())
    yield opened
    await opened.close()


async def test_what_is_spent_too_quickly_lowers_the_price_and_what_is_saved_raises_it(accounts):
    clock = Clock()
    steering = Steering(accounts, clock)
    assert steering.factor({"team": "web"}) == 1.0
    assert steering.factor({"team": "ml"}) == 1.0
    clock.now += 30
    assert (saved := steering.factor({"team": "ml"})) > 1.0
    hold = await accounts.reserve("a", {"team": "ml"}, 900_000_000)
    await accounts.settle(hold, 900_000_000)
    clock.now += 30
    assert steering.factor({"team": "ml"}) < saved
    for _ in range(MOST):
        steering.known[str(len(steering.known))] = steering.known["hour"]
    steering.factor({"team": "ml"})
    assert len(steering.known) == 1


async def test_a_new_period_goes_on_at_the_price_that_was_right(accounts):
    clock = Clock()
    steering = Steering(accounts, clock)
    steering.factor({"team": "ml"})
    clock.now += 60
    before = steering.factor({"team": "ml"})
    accounts.clock.now = clock.now = (clock.now // 3600 + 1) * 3600
    assert steering.factor({"team": "ml"}) == before


async def test_a_decision_is_made_at_the_steered_price(tmp_path):
    door = make_door(tmp_path, [scripted("one")])
    door.school.books.money = Money(
        Accounts.open(tmp_path / "a.sqlite", [Limit("day", 100 * DEAREST / 1e9, steer=True)])
    )
    assert door.school.books.money.steering is not None
    start = time.time() // 86_400 * 86_400
    door.school.books.money.steering.known["day"] = (start, Pressure(4e9, 0, level=-1.0))
    async with serving(door) as served:
        assert (await served.ask(**ASK)).status_code == 200
        assert "$0.36" in served.ledger("decisions")[0]["why"]
        route = await served.http().post("/v1/route", json=ASK)
        assert "$0.3" in route.json()["why"]


def test_a_total_cannot_steer():
    with pytest.raises(SetupError, match="budgets.all: .*steer needs another period"):
        terms.budgets({"all": {"usd": 1.0, "period": "total", "steer": True}})

"""The day's purse: what is promised is held, what it cost is charged, and a limit holds over many at once."""

from __future__ import annotations

import asyncio

import pytest

from experts.base import Request, SetupError
from experts.card import nano
from gateway import compose, config
from gateway.books import Books
from gateway.purse import DAY, Purse, limit_of
from policies.base import Ask
from policies.budget import Budget
from policies.ledger import Ledger
from policies.pick import Only, Utility
from routers.base import Estimate
from tests.gateway.conftest import make_door, scripted, serving
from tests.gateway.test_main import SCRIPTED

ESTIMATES = {"a": Estimate("a", 0.5, 0.1, 10, 100, 1.0), "b": Estimate("b", 0.5, 0.1, 10, 50, 1.0)}


def purse(limit, spent=0, now=0.0):
    clock = [now]
    return Purse(limit, lambda since, until: spent, lambda: clock[0]), clock


def test_what_is_asked_is_held_until_it_is_settled():
    one, _ = purse(1000, spent=200)

    held = one.hold(Ask(("a", "b")), ESTIMATES)
    assert (held, one.allowance()) == ({"a": 100, "b": 50}, 650)
    one.settle(held["a"], 30)
    one.settle(held["b"], None)

    assert one.allowance() == 1000 - 200 - 30 - 50


def test_an_overrun_leaves_nothing_and_a_new_day_starts_again():
    one, clock = purse(100)
    one.settle(one.hold(Ask(("a",)), ESTIMATES)["a"], 500)
    assert one.allowance() == 0

    clock[0] = DAY + 1.0

    assert one.allowance() == 100


def test_without_a_limit_there_is_none():
    assert purse(None)[0].allowance() is None


def test_the_limit_is_found_inside_whatever_wraps_it():
    assert limit_of(Budget(Budget(Utility(1.0), usd_per_day=2.0), usd_per_day=5.0)) == nano(2)
    assert limit_of(Only("a")) is None


async def test_a_day_of_many_requests_at_once_stays_within_its_budget(tmp_path):
    """Row 42, in one process: 100 at once, money for 10."""
    asked: list[Request] = []

    def answer(request):
        asked.append(request)
        return "hi"

    expert = scripted("one", answer, seconds=0.05, cost=2000)
    policy = Budget(Utility(1.0), usd_per_day=0.00002)
    door = make_door(tmp_path, [expert], policy)
    await door.school.books.close()
    door.school.books = Books(Ledger.open(tmp_path / "again.sqlite"), limit_of(policy))
    async with serving(door) as served:
        client = served.http()
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(100)))
        refused = [answer for answer in answers if answer.status_code != 200]
        spent = sum(row["cost"] for row in served.ledger("outcomes"))

    assert len(asked) == 10
    assert spent == 20_000
    assert {(each.status_code, each.json()["error"]["type"]) for each in refused} == {(429, "insufficient_quota")}
    assert {each.headers["x-should-retry"] for each in refused} == {"false"}


@pytest.mark.parametrize("model", ["auto", "auto:0.5", "one", "free"])
async def test_no_model_name_leads_around_the_budget(tmp_path, model):
    policy = Budget(Utility(1.0), usd_per_day=0.0)
    door = make_door(tmp_path, [scripted("one")], policy, free=Utility(1.0))
    door.school.books.purse.limit = limit_of(policy)
    async with serving(door) as served:
        response = await served.ask(model=model)

    assert (response.status_code, response.json()["error"]["code"]) == (429, "budget_exceeded")


def test_a_budget_that_would_not_hold_for_every_request_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrapped = '{ use = "policies.pick:Utility", usd_per_quality = 1.0 }'
    budget = f'[policies.careful]\nuse = "policies.budget:Budget"\nusd_per_day = 5.0\ninner = {wrapped}\n'
    (tmp_path / "lyceum.toml").write_text(SCRIPTED.format(port=0) + budget)

    with pytest.raises(SetupError, match="policies.careful: usd_per_day belongs into"):
        compose.school(config.read(tmp_path / "lyceum.toml"))

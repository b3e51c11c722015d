"""Budgets and rates in a running gateway: what is promised is held, what it cost is spent, nothing gets around."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest

from experts.base import Request, SetupError
from experts.card import Card, Price, Usage, nano
from experts.openai_http import OpenAIHTTP
from gateway import chat, compose, config, terms
from gateway.errors import ERRORS
from gateway.fares import Fare
from gateway.life import Life
from gateway.money import Money
from gateway.terms import Accounts as Terms
from policies.accounts import Accounts
from policies.budget import Budget
from policies.limits import Limit, Rate
from policies.pick import Only, Utility
from tests.experts import raw
from tests.gateway.conftest import CARD, OTHER, make_door, scripted, serving
from tests.gateway.test_fares import bound
from tests.gateway.test_hot import ONE, ROLE, Servers, whole
from tests.gateway.test_main import SCRIPTED
from tests.policies.test_patience import locked

ASK: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
MOST = bound(CARD, chat.parse(json.dumps(ASK).encode(), "id")).amount
"""The most that asking so of an expert with this card can cost."""


@asynccontextmanager
async def limited(tmp_path, experts, *limits, policy=None, rates=(), store=None, **named):
    """A gateway with budgets, in front of experts."""
    door = make_door(tmp_path, experts, policy, **named)
    accounts = Accounts.open(store or tmp_path / "accounts.sqlite", limits, rates)
    door.school.books.money = Money(accounts)
    await door.school.books.start()
    async with serving(door) as served:
        yield served


@asynccontextmanager
async def behind(tmp_path, handlers, *limits, **about):
    """A gateway with budgets in front of raw servers, which the hot path asks."""
    servers = [raw.serving(handler) for handler in handlers]
    opened = [await server.__aenter__() for server in servers]
    experts = [OpenAIHTTP(f"e{i}", CARD, url=f"{one.url}/v1") for i, one in enumerate(opened)]
    async with limited(tmp_path, experts, *limits, **about) as served:
        served.clients.append(Servers(opened))
        yield served
    for server in reversed(servers):
        await server.__aexit__(None, None, None)


def error_of(response: Any) -> tuple[int, str, str]:
    body = response.json()["error"]
    return response.status_code, body["type"], body["code"]


async def spent(served: Any) -> dict[str, tuple[int, int]]:
    accounts = served.door.school.books.money.accounts
    for act in (accounts._draws.flush, accounts._leases.tend):
        act()
        while accounts._pending:
            await asyncio.wait(accounts._pending)
    return {one.bucket: (one.spent, one.held) for one in await accounts.store.balances()}


async def test_a_hundred_at_once_on_money_for_ten_are_ten_row_42(tmp_path):
    asked: list[Request] = []

    def answer(request):
        asked.append(request)
        return "hi"

    budget = Limit("day", 10 * MOST / 1e9)
    async with limited(tmp_path, [scripted("one", answer, seconds=0.3, cost=MOST)], budget) as served:
        client = served.http()
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=ASK) for _ in range(100)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {error_of(each) for each in refused} == {(429, "insufficient_quota", "budget_exceeded")}
        assert {each.headers["x-should-retry"] for each in refused} == {"false"}
        assert all(int(each.headers["retry-after"]) > 0 for each in refused)
        assert await spent(served) == {"day": (10 * MOST, 0)}
    assert len(asked) == 10


@pytest.mark.parametrize("model", ["auto", "auto:0.5", "e0", "free"])
async def test_no_model_name_leads_around_a_budget(tmp_path, model):
    async with behind(tmp_path, [raw.always(whole())], Limit("none", 0.0), free=Utility(1.0)) as served:
        response = await served.ask(model=model)
    assert error_of(response) == (429, "insufficient_quota", "budget_exceeded")


async def test_a_hot_call_is_held_before_it_is_asked_and_settled_at_what_it_cost(tmp_path):
    seen: list[dict[str, Any]] = []
    held: list[Any] = []

    async def handler(talk: raw.Talk) -> None:
        _, body = await talk.request()
        seen.append(json.loads(body))
        held.append(await served.door.school.books.money.accounts.store.balances())
        await talk.say(whole())

    async with behind(tmp_path, [handler], Limit("day", 1.0)) as served:
        response = await served.ask()
        assert response.status_code == 200
        cost = CARD.price.tokens(raw_usage())
        assert await spent(served) == {"day": (cost, 0)}
    assert seen[0]["max_tokens"] == Terms().answer_tokens
    assert held[0][0].held > cost


def raw_usage():
    return Usage(7, 3)


async def test_the_client_s_own_smaller_limit_is_the_one_that_is_sent(tmp_path):
    seen: list[dict[str, Any]] = []

    async def handler(talk: raw.Talk) -> None:
        _, body = await talk.request()
        seen.append(json.loads(body))
        await talk.say(whole())

    async with behind(tmp_path, [handler], Limit("day", 1.0)) as served:
        await served.ask(max_completion_tokens=5)
    assert seen[0]["max_completion_tokens"] == 5
    assert "max_tokens" not in seen[0]


async def test_a_cheaper_expert_is_asked_when_a_dearer_one_does_not_fit(tmp_path):
    dear = scripted("dear")
    dear.card = Card(price=Price(prompt=1000.0, completion=1000.0))
    async with limited(tmp_path, [dear, scripted("cheap", "me")], Limit("day", 0.001)) as served:
        response = await served.ask(max_tokens=1)
        assert response.headers["x-lyceum-expert"] == "cheap"
        assert [(row["expert"], row["reason"], row["cost"]) for row in served.ledger("outcomes")][0] == (
            "dear",
            "budget",
            0,
        )


async def test_budgets_of_a_key_a_user_and_an_expert_are_separate(tmp_path):
    limits = [
        Limit("user", MOST * 1.5 / 1e9, ("user:*",)),
        Limit("other", 0.0, ("key:other",)),
        Limit("second", 0.0, ("expert:second",)),
    ]
    experts = [scripted("first", cost=MOST), scripted("second")]
    async with limited(tmp_path, experts, *limits) as served:
        assert (await served.ask(**ASK, user="ada")).status_code == 200
        assert (await served.ask(**ASK, safety_identifier="ada")).status_code == 429
        assert (await served.ask(**ASK, user="bob")).status_code == 200
        assert (await served.ask(**ASK | {"model": "second"})).status_code == 429
        assert (await served.http(OTHER).post("/v1/chat/completions", json=ASK)).status_code == 429


async def test_a_rate_says_when_to_come_again(tmp_path):
    async with behind(tmp_path, [raw.always(whole())], rates=[Rate("slow", requests_per_minute=1)]) as served:
        assert (await served.ask()).status_code == 200
        refused = await served.ask()
    assert error_of(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert refused.headers["x-should-retry"] == "true"
    assert 50 <= int(refused.headers["retry-after"]) <= 60


async def test_a_store_that_does_not_answer_is_nobody_s_fault_but_ours_row_48(tmp_path, monkeypatch):
    monkeypatch.setattr("policies.store_sqlite.SQLiteStore.patience", 0.05)
    async with behind(tmp_path, [raw.always(whole())], Limit("day", 1.0)) as served:
        other = locked(tmp_path / "accounts.sqlite")
        response = await served.ask()
        other.close()
        assert error_of(response) == (503, "server_error", "budget_store_unavailable")
        while not (rows := served.ledger("outcomes")):
            await asyncio.sleep(0.01)
        assert [row["reason"] for row in rows] == ["budget_store_unavailable"]


async def test_a_budget_without_a_reachable_store_does_not_start(tmp_path):
    door = make_door(tmp_path, [scripted("one")])
    door.school.books.money = Money(Accounts.open("postgresql://nobody@127.0.0.1:1/none", [Limit("day", 1.0)]))
    with pytest.raises(SetupError, match="accounts: .*start the store"):
        await door.school.books.start()
    await door.stop()


async def test_a_client_that_leaves_pays_for_what_was_said_row_21(tmp_path):
    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await talk.say(raw.STREAM_HEAD, *raw.chunked(ROLE, ONE)[:-1], pause=0.05)
        await asyncio.sleep(5)

    async with behind(tmp_path, [handler], Limit("day", 1.0)) as served:
        async with served.http().stream("POST", "/v1/chat/completions", json=ASK | {"stream": True}) as response:
            async for _ in response.aiter_lines():
                break
        while not (rows := served.ledger("outcomes")):
            await asyncio.sleep(0.01)
        assert await spent(served) == {"day": (rows[0]["cost"], 0)}
        assert rows[0]["cost"] > 0


async def test_without_limits_nothing_is_reserved_and_nothing_capped(tmp_path):
    door = make_door(tmp_path, [scripted("one")])
    request = Request(tuple(ASK["messages"]), {})
    life, expert = Life(door.school, request, door.school.policy, "auto", "me"), door.school.experts["one"]
    assert door.school.books.money.promise(life, expert, request) is None
    door.school.books.money = Money(Accounts.open(tmp_path / "a.sqlite", [Limit("ml", 1.0, ("team:ml",))]))
    assert door.school.books.money.promise(life, expert, request) is None
    assert door.school.books.allowance("me", request) is None
    await door.stop()


def test_the_daily_budget_of_a_policy_is_found_inside_whatever_wraps_it():
    [limit] = terms.daily(Budget(Budget(Utility(1.0), usd_per_day=2.0), usd_per_day=5.0))
    assert (limit.name, limit.amount, limit.hard) == ("usd_per_day", nano(2), True)
    assert terms.daily(Only("a")) == ()


def test_a_daily_budget_that_would_not_hold_for_every_request_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrapped = '{ use = "policies.pick:Utility", usd_per_quality = 1.0 }'
    budget = f'[policies.careful]\nuse = "policies.budget:Budget"\nusd_per_day = 5.0\ninner = {wrapped}\n'
    (tmp_path / "lyceum.toml").write_text(SCRIPTED.format(port=0) + budget)
    with pytest.raises(SetupError, match="policies.careful: usd_per_day belongs into"):
        compose.school(config.read(tmp_path / "lyceum.toml"))


WRONG = {
    '[budgets.day]\nusd = 1\nscop = ["team:ml"]': "budgets.day.scop: unknown key; did you mean 'scope'",
    "[budgets.day]\nhard = true": "budgets.day: .*usd",
    "[budgets.day]\nusd = -1": "budgets.day: .*at least 0",
    '[budgets.day]\nusd = 1\nperiod = "fortnight"': "budgets.day: period 'fortnight'",
    '[budgets.day]\nusd = 1\nzone = "Mars/Olympus"': "budgets.day: time zone",
    '[budgets.day]\nusd = 1\nscope = ["planet:earth"]': "budgets.day: .*planet:earth",
    "[budgets.usd_per_day]\nusd = 1": "budgets.usd_per_day: this is the name",
    "[budgets]\nday = 1": "budgets.day: this must be a table",
    "[rates.fast]\n": "rates.fast: give requests_per_minute",
    "[rates.fast]\nrequests_per_minute = 0": "rates.fast: .*at least 1",
    '[accounts]\nstore = "postgresql://u:p@h/d"': "accounts.store: a URL holds a password",
    '[accounts]\nstore = "a"\nstore_env = "B"': "accounts.store_env: give either",
    "[accounts]\nanswer_tokens = 0": "accounts: answer_tokens",
    "[accounts]\nstor = 1": "accounts.stor: unknown key",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_about_money_is_named(tmp_path, text):
    (tmp_path / "lyceum.toml").write_text(SCRIPTED.format(port=0) + text)
    with pytest.raises(SetupError, match=WRONG[text]):
        config.read(tmp_path / "lyceum.toml")


def test_a_store_of_the_network_is_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MONEY", "postgresql://u@h/d")
    assert Terms(store_env="MONEY").place(tmp_path) == "postgresql://u@h/d"
    assert Terms().place(tmp_path) == str(tmp_path / "accounts.sqlite")
    assert Terms(store="x.sqlite").place(tmp_path) == "x.sqlite"
    monkeypatch.delenv("MONEY")
    with pytest.raises(SetupError, match="accounts.store_env: set the variable 'MONEY'"):
        Terms(store_env="MONEY").place(tmp_path)


def test_the_codes_of_money_are_in_the_table():
    assert {ERRORS[code].status for code in ("budget_exceeded", "rate_limit_exceeded")} == {429}
    assert ERRORS["budget_store_unavailable"].status == 503


async def test_a_decision_tells_what_was_held_and_booked_and_what_the_budgets_were_row_51(tmp_path):
    limits = [Limit("day", 1.0), Limit("mine", 2.0, ("key:*",))]
    async with behind(tmp_path, [raw.always(whole())], *limits) as served:
        for _ in range(2):
            response = await served.ask()
        cost = CARD.price.tokens(raw_usage())
        while len(served.ledger("settlements")) < 2:
            await asyncio.sleep(0.01)
        decision = response.headers["x-lyceum-decision"]
        [row] = (await served.http().get(f"/v1/decisions/{decision}")).json()["settlements"]
        assert (row["state"], row["booked"], row["expert"]) == ("settled", cost, "e0")
        assert row["hold"] >= Terms().answer_tokens * 2000
        assert row["price"] == Fare.of(CARD, Terms()).version
        told = [(each["account"], each["limit"], each["before"], each["after"]) for each in row["budgets"]]
        assert told == [("day", nano(1), cost, 2 * cost), ("mine key:me", nano(2), cost, 2 * cost)]

"""Budgets and rates of calls, in a real store."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

import policies.accounts
from experts.card import nano
from policies.accounts import Accounts, Alarm
from policies.batches import StoreUnavailable, refused
from policies.book import Hold, Refused
from policies.limits import Limit, Rate
from policies.periods import Period

DAY = Limit("day", 1.00)
KEY = Limit("key", 0.40, ("key:*",), Period("month"))
ME = {"key": "k1", "team": "ml"}


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def open_accounts(tmp_path, clock):
    """Opens accounts in one file; closes them at the end."""
    made = []

    def opened(*limits, **about):
        accounts = Accounts.open(tmp_path / "accounts.sqlite", limits, **{"clock": clock, **about})
        made.append(accounts)
        return accounts

    yield opened
    for accounts in made:
        await accounts.close()


async def test_what_is_reserved_is_held_and_what_is_settled_is_spent(open_accounts):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.6))
    assert isinstance(hold, Hold)
    assert (hold.id, hold.amount) == ("a", nano(0.6))
    assert accounts.allowance(ME) == nano(0.4)
    assert await accounts.settle(hold, nano(0.1))
    assert accounts.allowance(ME) == nano(0.9)
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.1))}


async def test_a_call_that_could_exceed_any_budget_is_refused_and_reserves_on_none(open_accounts):
    accounts = open_accounts(DAY, KEY)
    refused = await accounts.reserve("a", ME, nano(0.5))
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.name, refused.left) == ("budget", "key", nano(0.4))
    assert accounts.balances(ME) == {"day": (nano(1), 0), "key": (nano(0.4), 0)}
    assert accounts.allowance(ME) == nano(0.4)
    assert accounts.allowance({}) == nano(1)


async def test_many_at_once_do_not_exceed_a_budget_even_for_someone_new_row_42(open_accounts):
    one, two = open_accounts(DAY, KEY), open_accounts(DAY, KEY)
    calls = [(one, two)[number % 2].reserve(f"call {number}", ME, nano(0.01)) for number in range(200)]
    granted = [hold for hold in await asyncio.gather(*calls) if isinstance(hold, Hold)]
    assert len(granted) == 40


async def test_a_call_is_settled_once_row_51(open_accounts):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.6))
    settled = await asyncio.gather(*(accounts.settle(hold, nano(0.2)) for _ in range(5)))
    assert sorted(settled) == [False, False, False, False, True]
    assert not await accounts.abandon(hold)
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.2))}


async def test_an_unknown_cost_keeps_the_debit(open_accounts):
    accounts = open_accounts(DAY)
    assert await accounts.settle(await accounts.reserve("a", ME, nano(0.6)), None)
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.6))}


async def test_a_cost_below_nothing_is_an_error(open_accounts):
    with pytest.raises(ValueError, match="at least 0"):
        await open_accounts(DAY).settle(Hold("a", 1), -1)


async def test_a_new_day_has_its_whole_budget_and_the_old_call_is_booked_on_the_old_one_row_45(open_accounts, clock):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(1))
    clock.now += 86_400
    assert accounts.allowance(ME) == nano(1)
    await accounts.settle(hold, nano(0.9))
    assert accounts.allowance(ME) == nano(1)
    clock.now -= 86_400
    assert accounts.allowance(ME) == nano(0.1)


async def test_the_reservation_of_the_dead_is_swept_at_its_whole_amount_and_corrected_once_row_43(open_accounts, clock):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.6), seconds=10)
    clock.now += 39
    assert await accounts.sweep() == 0
    clock.now += 2
    assert await accounts.sweep() == 1
    assert await accounts.sweep() == 0
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.6))}
    assert await accounts.settle(hold, nano(0.2))
    assert not await accounts.settle(hold, nano(0.2))
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.2))}


async def test_a_soft_budget_alarms_once_at_each_share_and_refuses_nothing(open_accounts):
    alarms: list[Alarm] = []
    accounts = open_accounts(Limit("soft", 1.00, hard=False, alarms=(0.5, 1.0)), alarm=alarms.append)
    for number in range(4):
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.4)), nano(0.4))
    assert alarms == [Alarm("soft", "soft", 0.5), Alarm("soft", "soft", 1.0)]
    assert accounts.allowance(ME) is None


async def test_rates_are_refused_in_the_same_call(open_accounts, clock):
    rates = [Rate("slow", ("key:*",), requests_per_minute=2), Rate("narrow", ("team:*",), concurrent=1)]
    accounts = open_accounts(DAY, rates=rates)
    hold = await accounts.reserve("a", ME, 1)
    narrow = await accounts.reserve("b", ME, 1)
    assert isinstance(narrow, Refused)
    assert narrow.kind == "concurrent"
    await accounts.settle(hold, 1)
    assert isinstance(await accounts.reserve("c", ME, 1), Hold)
    slow = await accounts.reserve("d", {"key": "k1"}, 1)
    assert isinstance(slow, Refused)
    assert (slow.kind, slow.retry_after) == ("requests", 30.0)
    clock.now += 30
    assert isinstance(await accounts.reserve("e", {"key": "k1"}, 1), Hold)


async def test_without_limits_nothing_is_kept(open_accounts):
    accounts = open_accounts()
    hold = await accounts.reserve("a", ME, nano(5))
    assert hold == Hold("a", nano(5))
    assert not await accounts.settle(hold, 1)
    assert accounts.allowance(ME) is None


async def test_accounts_know_after_a_restart_what_was_spent(open_accounts):
    accounts = open_accounts(DAY)
    await accounts.settle(await accounts.reserve("a", ME, nano(0.6)), nano(0.5))
    again = open_accounts(DAY)
    assert again.allowance(ME) == nano(1)
    await again.start()
    assert again.allowance(ME) == nano(0.5)


async def test_sweeping_goes_on_by_itself(open_accounts, clock, monkeypatch):
    monkeypatch.setattr(policies.accounts, "SWEEP_SECONDS", 0.01)
    accounts, dies = open_accounts(DAY), open_accounts(DAY)
    await accounts.start()
    await dies.reserve("a", ME, nano(0.6), seconds=10)
    clock.now += 100
    while (await accounts.store.balances())[0].spent == 0:
        await asyncio.sleep(0.01)
    while accounts.allowance(ME) != nano(0.4):
        await asyncio.sleep(0.01)


async def test_a_call_that_costs_nothing_is_granted_by_a_slice_that_is_empty(open_accounts):
    accounts = open_accounts(DAY)
    await accounts.start()
    hold = await accounts.reserve("free", ME, 0)
    assert isinstance(hold, Hold)
    assert await accounts.settle(hold, 0)


async def test_a_caller_that_leaves_while_it_waits_holds_nothing(open_accounts):
    accounts = open_accounts(DAY)
    leaving = asyncio.create_task(accounts.reserve("a", ME, nano(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    while not isinstance(await accounts.reserve("b", ME, nano(1)), Hold):
        await asyncio.sleep(0.01)


async def test_closing_gives_back_what_is_granted_too_late(open_accounts):
    accounts = open_accounts(DAY)
    leaving = asyncio.create_task(accounts.reserve("a", ME, nano(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await accounts.close()
    again = open_accounts(DAY)
    await again.start()
    assert again.balances(ME) == {"day": (nano(1), 0)}


async def test_a_caller_that_leaves_while_it_is_refused_changes_nothing(open_accounts):
    accounts = open_accounts(DAY)
    leaving = asyncio.create_task(accounts.reserve("a", ME, nano(2)))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert isinstance(await accounts.reserve("b", ME, nano(1)), Hold)


async def test_a_url_names_a_server_that_is_not_asked_before_it_is_needed():
    accounts = Accounts.open("postgresql://127.0.0.1:1/none", [DAY])
    assert accounts.allowance(ME) == nano(1)
    await accounts.close()


async def test_a_call_with_a_rate_has_a_reservation_of_its_own(open_accounts, monkeypatch):
    accounts = open_accounts(DAY, rates=[Rate("fast", requests_per_minute=100)])
    hold = await accounts.reserve("a", ME, nano(0.1))
    assert hold.slice == ""
    assert await accounts.abandon(hold)
    assert accounts.balances(ME)["day"] == (nano(1), nano(0.1))
    submit = accounts.store.submit
    monkeypatch.setattr(accounts.store, "submit", lambda operation: refused("the store is away"))
    with pytest.raises(StoreUnavailable, match="away"):
        await accounts.reserve("b", ME, nano(0.1))
    monkeypatch.setattr(accounts.store, "submit", submit)
    await accounts.sweep()
    assert await accounts.store.expired(clock_at_the_end()) == []


def clock_at_the_end() -> float:
    return 1e12


async def test_what_applies_is_known_and_how_it_stands(open_accounts, clock):
    accounts = open_accounts(Limit("week", 1.0, ("team:ml",), Period("week"), steer=True), DAY)
    assert [charge.bucket for charge in accounts.payer({"team": "ml"}).charges] == ["day", "week"]
    assert [charge.bucket for charge in accounts.payer({}).charges] == ["day"]
    await accounts.settle(await accounts.reserve("a", {"team": "ml"}, nano(0.3)), nano(0.2))
    [(account, standing)] = accounts.standings({"team": "ml"}).items()
    assert (account, standing.spent, standing.amount) == ("week", nano(0.2), nano(1))
    assert standing.start <= clock.now < standing.end
    assert accounts.standings({}) == {}


async def test_a_reservation_that_cannot_be_ended_keeps_none_of_the_others_from_being_swept(open_accounts, clock):
    """Of a file that somebody has changed by hand."""
    rate = Rate("fast", ("key:*",), requests_per_minute=60)
    accounts = open_accounts(DAY, rates=[rate])
    for name in ("a", "b"):
        await accounts.reserve(name, {"key": name}, nano(0.1))
    with closing(sqlite3.connect(accounts.store.path)) as file, file:
        file.execute("UPDATE accounts SET running = 0 WHERE bucket = '~fast key:a'")
    clock.now += 1000
    assert await accounts.sweep() == 1
    assert await accounts.sweep() == 0
    names = [one.id for one in await accounts.store.reservations() if one.state == "open"]
    assert names == ["a"]

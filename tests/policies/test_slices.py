"""Slices of budgets: how they grow, what is drawn from them, and the ways in which one ends."""

import asyncio
from typing import Any

import pytest

import policies.leases
from experts.card import nano
from policies.batches import StoreUnavailable, refused
from policies.book import Book, Hold, Order, Refused
from policies.limits import Limit, Rate, charges
from policies.slices import Draw, draw, give_back, top_up
from tests.policies import test_accounts
from tests.policies.test_accounts import DAY, KEY, ME

clock, open_accounts = test_accounts.clock, test_accounts.open_accounts


async def test_a_slice_grows_while_calls_come_quickly_and_goes_back_when_they_do_not(open_accounts, clock):
    accounts = open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.01)), nano(0.01))
    assert isinstance(accounts.request("at once", ME, nano(0.01)), Hold)
    [account] = await accounts.store.balances()
    assert account.held > nano(0.01)
    clock.now += 2
    while account.held != nano(0.01):
        accounts._leases.tend()
        [account] = await accounts.store.balances()
    clock.now += 30
    accounts._leases.tend()
    assert await accounts.sweep() == 0


async def test_what_one_slice_has_free_is_granted_from_another(open_accounts, clock):
    accounts = open_accounts(DAY, KEY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", {"key": "a"}, nano(0.01)), 0)
    left = accounts.allowance({})
    assert left == nano(1)
    assert isinstance(await accounts.reserve("most", {"key": "b"}, nano(0.4)), Hold)
    assert isinstance(await accounts.reserve("rest", {}, nano(0.6)), Hold)


async def test_a_process_that_was_believed_dead_goes_on_with_a_new_slice(open_accounts, clock):
    accounts, other = open_accounts(DAY), open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.1))
    clock.now += 100
    assert await other.sweep() == 1
    assert isinstance(again := await accounts.reserve("b", ME, nano(0.2)), Hold)
    assert again.slice != hold.slice
    assert await accounts.settle(hold, nano(0.05))
    accounts._leases.tend()
    await accounts.refresh()
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.25))}
    assert await accounts.settle(again, nano(0.2))


async def test_a_store_that_fails_is_asked_itself_and_who_waited_is_told(open_accounts, monkeypatch):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.1))
    submit = accounts.store.submit
    monkeypatch.setattr(accounts.store, "submit", lambda operation: refused("the store is away"))
    waiting = [accounts.request(f"w{number}", ME, nano(0.1)) for number in range(2)]
    assert isinstance(waiting[0], asyncio.Future)
    waiting[1].cancel()
    with pytest.raises(StoreUnavailable, match="away"):
        await waiting[0]
    with pytest.raises(StoreUnavailable, match="away"):
        await accounts.settle(hold, nano(0.1))
    with pytest.raises(StoreUnavailable, match="away"):
        await accounts.reserve("b", ME, nano(0.1))
    monkeypatch.setattr(accounts.store, "submit", submit)
    await accounts.sweep()
    assert isinstance(await accounts.reserve("c", ME, nano(0.9)), Hold)


async def test_closing_tells_who_waits_and_keeps_what_is_under_way(open_accounts, clock):
    accounts = open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        assert isinstance(await accounts.reserve(f"call {number}", ME, nano(0.01)), Hold)
    waiting = accounts.request("too much", ME, nano(0.9))
    assert isinstance(waiting, asyncio.Future)
    await accounts.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await waiting
    again = open_accounts(DAY)
    await again.refresh()
    assert again.balances(ME) == {"day": (nano(1), nano(0.03))}


async def test_closing_books_what_has_only_just_ended(open_accounts, clock):
    accounts = open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.01)), nano(0.01))
    hold = accounts.request("at once", ME, nano(0.01))
    assert isinstance(hold, Hold)
    accounts.end(hold, nano(0.005))
    await accounts.close()
    again = open_accounts(DAY)
    await again.refresh()
    assert again.balances(ME) == {"day": (nano(1), nano(0.035))}


def order(book_amount=0, name="s"):
    return Order(name, book_amount, charges([DAY], [], {}, 0.0), 0.0, 1.0)


def test_a_slice_that_is_settled_covers_no_call_any_more():
    rows: dict[str, Any] = {}
    book = Book(lambda key: None, rows.get)
    assert top_up(book, order(), (10,), 0).added == 10
    assert book.settle("s", 0) is not None
    assert draw(book, Draw("s", 1, 7, 10)) is not None
    assert book.account(("day", 0)).spent == 7
    assert draw(book, Draw("nothing", 1, 7, 10)) is None
    assert give_back(book, "s", 1, 9.0) is None
    assert give_back(book, "nothing", 1, 9.0) is None
    [why] = top_up(book, order(), (10,), 0).verdicts
    assert isinstance(why, Refused)
    assert why.kind == "closed"


def test_what_is_drawn_is_booked_once_and_a_slice_knows_what_was_spent_of_it():
    book = Book(lambda key: None, lambda name: None)
    top_up(book, order(), (100,), 0)
    [move] = draw(book, Draw("s", 1, 7, 10)) or ()
    assert (move.before, move.after) == (0, 7)
    assert draw(book, Draw("s", 1, 7, 10)) is None
    assert draw(book, Draw("s", 2, 12, 10)) is not None  # dearer than was reserved
    account, known = book.account(("day", 0)), book.known("s")
    assert known is not None
    assert (account.spent, account.held, known.amount, known.cost) == (19, 80, 80, 19)
    book.sweep("s")
    assert (account.spent, account.held, known.cost) == (99, 0, 99)
    assert draw(book, Draw("s", 3, 30, 50)) is not None
    assert (account.spent, known.amount, known.cost) == (79, 30, 79)
    book.settle("s", 0)
    assert (account.spent, known.cost) == (49, 49)


def test_a_soft_budget_leaves_as_much_as_is_wanted():
    soft = charges([Limit("soft", 0.0, hard=False), DAY], [], {}, 0.0)
    book = Book(lambda key: None, lambda name: None)
    topped = top_up(book, Order("s", 0, soft, 0.0, 1.0), (nano(0.5), nano(0.6)), nano(1))
    assert [why and why.name for why in topped.verdicts] == [None, "day"]
    assert topped.added == nano(0.5)
    free = top_up(book, Order("t", 0, soft[1:], 0.0, 1.0), (), nano(1))
    assert (free.added, free.verdicts) == (nano(1), ())


async def test_sweeping_and_tending_take_turns(open_accounts, monkeypatch):
    monkeypatch.setattr("policies.accounts.TEND_SECONDS", 0.01)
    monkeypatch.setattr("policies.accounts.SWEEP_SECONDS", 0.03)
    accounts, dies = open_accounts(DAY), open_accounts(DAY)
    await accounts.start()
    await dies.reserve("a", ME, nano(0.6))
    accounts.clock.now += 100
    while accounts.balances(ME)["day"][1] == 0 or (await accounts.store.balances())[0].spent == 0:
        await asyncio.sleep(0.01)
    assert policies.leases.KEPT_SECONDS < 100


async def test_who_waits_behind_one_that_is_refused_gets_what_is_free(open_accounts, clock):
    accounts, other = open_accounts(DAY), open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.01)), 0)
    [account] = await other.store.balances()
    assert account.held >= nano(0.02)
    assert isinstance(await other.reserve("rest", ME, nano(1) - account.held), Hold)
    clock.now += 1.1  # what the store has said is too old to refuse the big one
    big, small = accounts.request("big", ME, nano(2)), accounts.request("small", ME, nano(0.02))
    assert isinstance(big, asyncio.Future)
    assert isinstance(small, asyncio.Future)
    assert isinstance(await big, Refused)
    assert isinstance(await small, Hold)


async def test_a_refusal_that_comes_too_late_changes_nothing(open_accounts):
    accounts = open_accounts(DAY, rates=[Rate("fast", requests_per_minute=100)])
    refused_late = accounts.request("a", ME, nano(2))
    assert isinstance(refused_late, asyncio.Future)
    refused_late.cancel()
    assert isinstance(await accounts.reserve("b", ME, nano(1)), Hold)

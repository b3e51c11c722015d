"""Calls that a spent budget refuses: from what its store has said a moment ago, without asking it each time."""

import asyncio
from typing import Any

import pytest

from policies.accounts import Accounts
from policies.batches import StoreUnavailable
from policies.book import Account, Hold, Refused
from policies.limits import Rate
from tests.policies.test_accounts import Clock
from tests.policies.test_leases import LIMITS, TOTAL, Rows


def spent_out(clock: Clock, rates: tuple[Rate, ...] = ()) -> tuple[Rows, Accounts]:
    """Accounts whose only budget has 10,000 nano-dollars left."""
    rows = Rows(asyncio.get_running_loop())
    rows.accounts["all", 0] = Account("all", 0, spent=TOTAL - 10_000)
    return rows, Accounts(rows, LIMITS[:1], rates, clock=clock, longest_wait=1e9)  # type: ignore[arg-type] # no reservations()


def many(accounts: Accounts, amount: int = 20_000) -> list[Any]:
    return [accounts.request(f"call {number}", {}, amount) for number in range(1_000)]


def refusals(calls: list[Any]) -> list[bool]:
    return [each.done() and isinstance(each.result(), Refused) for each in calls]


@pytest.mark.parametrize("rates", [(), (Rate("each", requests_per_minute=600),)], ids=["leased", "rated"])
async def test_thousands_that_an_exhausted_budget_refuses_do_not_ask_the_store_row_48(rates):
    clock = Clock()
    rows, accounts = spent_out(clock, rates)
    await accounts.refresh()
    assert all(refusals(many(accounts)))
    clock.now += 0.9
    assert all(refusals(many(accounts)))
    assert rows.queued == []
    clock.now += 0.2
    asks, *others = many(accounts)
    assert (refusals([asks]), all(refusals(others))) == ([False], True), "what the store has said is old: one asks"
    clock.now += 4.0
    late = many(accounts)
    assert not any(refusals(late)), "too old, even while it is asked"
    await rows.answer()
    assert all(refusals([asks, *late]))
    await accounts._patience.close()


async def test_one_question_is_enough_for_all_who_come_while_a_slow_store_answers_it_row_48():
    rows, accounts = spent_out(Clock())
    *calls, gone = many(accounts)
    assert len(rows.queued) == 1
    gone.cancel()
    rows.work()
    await asyncio.sleep(0)
    assert all(refusals(calls))
    assert rows.queued == []
    await accounts._patience.close()


async def test_what_another_process_gives_back_is_there_after_a_second_at_most():
    clock = Clock()
    rows, accounts = spent_out(clock)
    other = Accounts(rows, LIMITS[:1], clock=clock, longest_wait=1e9)  # type: ignore[arg-type] # no reservations()

    async def asked(who: Accounts) -> Any:
        made: Any = who.request("call", {}, 10_000)
        await rows.answer()
        return made.result()

    hold = await asked(accounts)
    assert isinstance(await asked(other), Refused)
    accounts.end(hold, 0)
    accounts._draws.flush()
    await rows.answer()
    assert isinstance(await asked(other), Refused), "it has not heard of that"
    clock.now += 1.1
    assert isinstance(await asked(other), Hold)
    await asyncio.gather(accounts._patience.close(), other._patience.close())


async def test_what_comes_back_of_calls_that_have_ended_is_asked_for():
    rows, accounts = spent_out(Clock())
    call: Any = accounts.request("one", {}, 10_000)
    await rows.answer()
    accounts.end(call.result(), 0)
    again: Any = accounts.request("two", {}, 10_000)
    assert not again.done(), "the store is about to be told that nothing was spent"
    accounts._draws.flush()
    assert (mine := accounts.payer({}).slice) is not None
    assert mine.coming() == 10_000
    await rows.answer()
    await accounts._patience.close()


async def test_a_store_that_fails_is_asked_itself_and_nobody_is_refused_from_memory_row_48():
    rows, accounts = spent_out(Clock())
    await accounts.refresh()
    accounts._missed("a settlement", asyncio.Future)
    call: Any = accounts.request("one", {}, 20_000)
    assert not call.done()
    rows.broken = "before"
    await rows.answer()
    assert isinstance(call.exception(), StoreUnavailable)
    await accounts._patience.close()


async def test_two_that_were_refused_do_not_both_get_what_came_free_for_one():
    rows, clock = Rows(asyncio.get_running_loop()), Clock()
    accounts = Accounts(rows, LIMITS[:1], clock=clock, longest_wait=1e9)  # type: ignore[arg-type] # no reservations()

    async def requested(*amounts):
        made = [accounts.request(f"{clock.now} {number}", {}, amount) for number, amount in enumerate(amounts)]
        clock.now += 0.1
        await rows.answer()
        return made

    [first] = await requested(40_000)
    await requested(20_000)
    wanted = 10_000, 30_000, 30_000, 30_000
    calls = [accounts.request(f"waits {number}", {}, amount) for number, amount in enumerate(wanted)]
    rows.work()  # the first is granted, and the others, for each of whom there is room, are asked for
    await asyncio.sleep(0)
    rows.work()
    assert isinstance(first, asyncio.Future)
    accounts.end(first.result(), 10_000)
    await asyncio.sleep(0)
    await rows.answer()
    answers = [each.result() for each in calls if isinstance(each, asyncio.Future)]
    assert [isinstance(each, Hold) for each in answers] == [True, True, True, False]
    assert [one.free for one in accounts._leases._all.values()] == [0]
    await accounts._patience.close()

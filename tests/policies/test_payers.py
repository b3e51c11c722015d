"""Who pays for a call, and what is known of the accounts."""

from functools import partial

from policies.book import Account, Book, Operation, Order, Refused
from policies.limits import Limit, Rate, charges
from policies.payers import Payers
from policies.periods import Period
from policies.store_sqlite import SQLiteStore

HOUR = Limit("hour", 1.0, period=Period("hour"))


def test_accounts_are_remembered_until_a_period_ends(monkeypatch):
    monkeypatch.setattr("policies.payers.KNOWN", 2)
    payers = Payers([HOUR], [])
    me = {"key": "a"}
    first = payers.of(me, 10.0)
    assert payers.of({"key": "a"}, 3599.0) is first
    assert first.looked == 3599.0
    assert payers.of(me, 3600.0).charges[0].start == 3600
    assert payers.of(me, 10.0).charges == first.charges
    for name in "bcd":
        assert payers.of({"key": name}, 10.0).accounts == first.accounts
    nothing = Payers([], []).of({"key": "a"}, 0.0)
    assert (nothing.charges, nothing.left()) == ((), None)


def test_what_the_store_says_first_is_kept_for_who_comes_later():
    payers = Payers([HOUR, Limit("soft", 1.0, hard=False), Limit("wide", 5.0)], [])
    payers.saw([Account("hour", 0, spent=300, held=200)], 10.0)
    payer = payers.of({}, 10.0)
    assert payer.left() == 10**9 - 500
    payers.saw([Account("hour", 0, spent=2 * 10**9), Account("soft", 0, spent=7)], 10.0)
    assert payer.left() == 0
    assert [account.spent for account in payer.accounts] == [2 * 10**9, 7, 0]


def test_what_is_long_over_is_forgotten():
    payers = Payers([HOUR, Limit("all", 1.0, period=Period("total"))], [])
    payers.of({}, 7200.0)
    payers.saw([Account("hour", 3600, spent=1), Account("hour", 7200, spent=1), Account("~fast", 0)], 7200.0)
    payers.saw([Account("all", 0, spent=1)], 7200.0)
    assert payers.starts(10800.0) == {10800, 0}
    payers.of({}, 10800.0)
    payers.forget(payers.starts(10800.0), 10800.0)
    assert ("hour", 7200) in payers._seen, "a call of then may still end"
    payers.forget(payers.starts(10800.0), 10801.0)
    assert sorted(payers._seen) == [("all", 0), ("hour", 10800)]


async def test_only_budgets_whose_period_lasts_are_looked_at_again(tmp_path):
    """However many callers have had accounts of their own: those of other periods, and rates, are history."""
    store = SQLiteStore(tmp_path / "accounts.sqlite")
    day = Limit("day", 1.0, ("user:*",), Period("day"))
    for now in (0.0, 86400.0):
        booked = charges([day], [Rate("fast", requests_per_minute=9)], {"user": "u"}, now)
        order = Order(f"at {now}", 5, booked, now, now + 60)
        accounts = tuple(charge.account for charge in booked)
        await store.submit(Operation(order.id, partial(Book.reserve, order=order), accounts))
    assert len(await store.balances()) == 3
    assert [(one.bucket, one.start) for one in await store.balances({86400})] == [("day user:u", 86400)]
    await store.close()


def test_a_budget_without_room_refuses_from_memory_while_the_store_has_said_so_a_moment_ago():
    limits = [HOUR, Limit("soft", 1e-9, hard=False), Limit("all", 5.0, period=Period("total"))]
    payers = Payers(limits, [Rate("each", requests_per_minute=1)])
    payer = payers.of({}, 10.0)
    assert payer.short(10**10, 10.0, False) is None, "nobody has said anything"
    payers.saw([Account("hour", 0, spent=10**9 - 5), Account("soft", 0, spent=7), Account("all", 0)], 10.0)
    assert payer.short(5, 10.5, False) is None
    assert payer.short(6, 11.0, False) == Refused("budget", "hour", 5, 3589.0)
    assert payer.short(2 * 10**9, 11.0, False) == Refused("budget", "hour", 5, None), "it never fits"
    assert payer.short(6, 11.1, False) is None, "that is long ago"
    assert payer.short(6, 15.0, True) == Refused("budget", "hour", 5, 3585.0), "the store is being asked again"
    assert payer.short(6, 15.1, True) is None
    payers.saw([Account("all", 0, spent=5 * 10**9 - 1)], 11.1)
    assert payer.short(6, 11.1, False) == Refused("budget", "all", 1, None), "a total does not begin anew"
    assert payers.of({}, 3600.0).short(6, 3600.0, False) is None, "a new hour"

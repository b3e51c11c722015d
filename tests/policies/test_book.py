"""The arithmetic of accounts against a simple model: every reservation in a list, every sum taken anew."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policies.book import Book, Hold, Operation, Order, Refused
from policies.limits import MINUTE, Limit, Rate, charges
from policies.periods import Period
from policies.store_sqlite import SQLiteStore

SIZE = int(os.environ.get("LYCEUM_SIZE", "1"))
"""How many times the usual number of cases are run."""

NANO = 1_000_000_000
LIMITS = (
    Limit("all", 100, period=Period("total")),
    Limit("day", 20, ("org:acme",), Period("day", "Europe/Berlin")),
    Limit("month", 60, ("team:*",), Period("month", "America/New_York")),
    Limit("large", 5, ("user:*", "expert:large"), Period("hour", "Asia/Kolkata")),
    Limit("watched", 1, ("team:ml",), Period("week"), hard=False),
)
RATES = (
    Rate("fast", ("user:*",), requests_per_minute=7, tokens_per_minute=1_000),
    Rate("wide", ("team:*",), concurrent=3),
)
WHO = st.fixed_dictionaries(
    {"org": st.sampled_from(["acme", "else"]), "expert": st.sampled_from(["large", "small"])},
    optional={"team": st.sampled_from(["ml", "web"]), "user": st.sampled_from(["ada", "bob"])},
)
BEFORE_THE_CLOCKS_CHANGE = 1_774_738_800.0  # 2026-03-29 00:00 in Berlin; two days before the month ends


@dataclass
class Entry:
    order: Order
    state: str = "open"
    cost: int = 0


class Memory:
    """Rows in two dictionaries: the engine without a database."""

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self.reservations: dict[str, Any] = {}

    async def run(self, operation: Operation) -> Any:
        book = Book(self.accounts.get, self.reservations.get)
        result = operation.run(book)
        self.accounts.update(book.changed)
        self.reservations.update(book.reservations)
        return result

    async def expired(self, now: float) -> list[str]:
        return [one.id for one in self.reservations.values() if one.state == "open" and one.until < now]

    async def balances(self) -> list[Any]:
        return list(self.accounts.values())

    async def restart(self) -> None:
        pass

    async def close(self) -> None:
        pass


class InSQLite:
    """Rows in a real file, opened anew now and then."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.open()

    def open(self) -> None:
        self.store = SQLiteStore(Path(self.folder.name) / "accounts.sqlite")

    async def run(self, operation: Operation) -> Any:
        return await self.store.submit(operation)

    async def expired(self, now: float) -> list[str]:
        return await self.store.expired(now)

    async def balances(self) -> list[Any]:
        return await self.store.balances(0)

    async def restart(self) -> None:
        await self.store.close()
        self.open()

    async def close(self) -> None:
        await self.store.close()
        self.folder.cleanup()


class Machine(RuleBasedStateMachine):
    """Calls of all kinds against the engine and the model."""

    rows: Any = Memory

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = self.rows()
        self.now = BEFORE_THE_CLOCKS_CHANGE
        self.entries: list[Entry] = []
        self.levels: dict[Any, tuple[int, int]] = {}

    def teardown(self) -> None:
        self.wait(self.store.close())
        self.loop.close()

    def wait(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def run_on(self, name: str, act: Any, keys: Any = ()) -> Any:
        return self.wait(self.store.run(Operation(name, act, keys)))

    # the model

    def level(self, kind: str, bucket: str) -> int:
        """Microseconds of a minute's allowance that a rate has left now."""
        left, at = self.levels.get((kind, bucket), (MINUTE, 0))
        return min(MINUTE, left + int(self.now * 1_000_000) - at)

    def sums(self, account: Any) -> tuple[int, int, int]:
        """What is spent, held and running on an account."""
        mine = [entry for entry in self.entries if account in [charge.account for charge in entry.order.charges]]
        opened = [entry for entry in mine if entry.state == "open"]
        spent = sum(entry.cost for entry in mine if entry.state != "open")
        return spent, sum(entry.order.amount for entry in opened), len(opened)

    def expected(self, order: Order) -> str | None:
        """Why the model refuses, the first reason in the order of accounts."""
        for charge in order.charges:
            spent, held, running = self.sums(charge.account)
            if charge.limit and charge.limit.hard and spent + held + order.amount > charge.limit.amount:
                return "budget"
            if charge.rate:
                if charge.rate.concurrent and running >= charge.rate.concurrent:
                    return "concurrent"
                if charge.rate.requests_per_minute and self.level("requests", charge.bucket) < MINUTE // 7:
                    return "requests"
                if charge.rate.tokens_per_minute and self.level("tokens", charge.bucket) < order.tokens * 60_000:
                    return "tokens"
        return None

    def use(self, kind: str, bucket: str, amount: int) -> None:
        self.levels[kind, bucket] = (self.level(kind, bucket) - amount, int(self.now * 1_000_000))

    # what happens

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 61.0, 1_800.0, 3_600.0, 40_000.0, 86_400.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(scopes=WHO, amount=st.integers(0, 8 * NANO), tokens=st.integers(0, 1_200))
    def a_call_reserves(self, scopes, amount, tokens):
        booked = charges(LIMITS, RATES, scopes, self.now)
        order = Order(f"call {len(self.entries)}", amount, booked, self.now, self.now + 100, tokens)
        expected = self.expected(order)
        keys = tuple(charge.account for charge in booked)
        granted = self.run_on(order.id, lambda book: book.reserve(order), keys)
        if expected is not None:
            assert isinstance(granted, Refused)
            assert granted.kind == expected
            return
        assert granted == Hold(order.id, amount)
        self.entries.append(Entry(order))
        for charge in booked:
            if charge.rate and charge.rate.requests_per_minute:
                self.use("requests", charge.bucket, MINUTE // 7)
                self.use("tokens", charge.bucket, tokens * 60_000)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def a_call_reserves_twice(self, data):
        entry = data.draw(st.sampled_from(self.entries))
        again = self.run_on(entry.order.id, lambda book: book.reserve(entry.order))
        assert isinstance(again, Hold if entry.state == "open" else Refused)

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), share=st.floats(0, 1))
    def a_call_settles_perhaps_again(self, data, share):
        entry = data.draw(st.sampled_from(self.entries))
        cost, tokens = int(entry.order.amount * share), int(entry.order.tokens * share)
        moved = self.run_on(entry.order.id, lambda book: book.settle(entry.order.id, cost, tokens))
        assert (moved is not None) == (entry.state in ("open", "swept"))
        if moved is not None:
            entry.state, entry.cost = "settled", cost
            for charge in entry.order.charges:
                if charge.token_interval:
                    self.use("tokens", charge.bucket, (tokens - entry.order.tokens) * 60_000)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def a_call_is_abandoned(self, data):
        entry = data.draw(st.sampled_from(self.entries))
        moved = self.run_on(entry.order.id, lambda book: book.abandon(entry.order.id))
        assert (moved is not None) == (entry.state == "open")
        if moved is not None:
            entry.state, entry.cost = "abandoned", entry.order.amount

    @rule()
    def the_dead_are_swept(self):
        names = self.wait(self.store.expired(self.now))
        dead = {e.order.id: e for e in self.entries if e.state == "open" and e.order.until < self.now}
        assert set(names) == set(dead)
        for name in names:
            assert self.run_on(name, lambda book, name=name: book.sweep(name)) is not None
            dead[name].state, dead[name].cost = "swept", dead[name].order.amount

    @rule()
    def the_process_starts_again(self):
        self.wait(self.store.restart())

    @invariant()
    def the_accounts_are_the_sums_of_their_calls(self):
        for account in self.wait(self.store.balances()):
            sums = self.sums((account.bucket, account.start))
            assert (account.spent, account.held, account.running) == sums

    @invariant()
    def no_hard_budget_is_exceeded(self):
        hard = {limit.name: limit.amount for limit in LIMITS if limit.hard}
        for account in self.wait(self.store.balances()):
            assert account.spent + account.held <= hard.get(account.bucket.partition(" ")[0], 1 << 62)


class SQLiteMachine(Machine):
    rows = InSQLite


def sized(examples: int) -> Any:
    return settings(
        max_examples=examples * SIZE, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestTheBook = Machine.TestCase  # rows 45 and 51
TestTheBook.settings = sized(60)
TestTheBookInSQLite = SQLiteMachine.TestCase
TestTheBookInSQLite.settings = sized(6)


def test_an_order_of_less_than_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least 0"):
        Order("x", -1, (), 0.0, 0.0)


def test_what_can_never_be_granted_says_so():
    book = Book(lambda key: None, lambda name: None)
    limit, rate = Limit("day", 1), Rate("fast", tokens_per_minute=10)
    too_dear = Order("a", 2 * NANO, charges([limit], [], {}, 0.0), 0.0, 1.0)
    too_long = Order("b", 0, charges([], [rate], {}, 0.0), 0.0, 1.0, tokens=11)
    assert book.reserve(too_dear) == Refused("budget", "day", NANO, None)
    assert book.reserve(too_long) == Refused("tokens", "fast", 10, None)


def test_a_refusal_says_when_to_come_again():
    book = Book(lambda key: None, lambda name: None)
    day = charges([Limit("day", 1)], [Rate("fast", requests_per_minute=1)], {}, 0.0)
    assert isinstance(book.reserve(Order("a", NANO, day[:1], 0.0, 1.0)), Hold)
    assert book.reserve(Order("b", 1, day[:1], 3600.0, 1.0)) == Refused("budget", "day", 0, 23 * 3600.0)
    assert isinstance(book.reserve(Order("c", 0, day[1:], 0.0, 1.0)), Hold)
    assert book.reserve(Order("d", 0, day[1:], 15.0, 1.0)) == Refused("requests", "fast", 0, 45.0)

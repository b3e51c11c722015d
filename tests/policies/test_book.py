"""The arithmetic of accounts against a simple model: every reservation in a list, every sum taken anew."""

import os
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policies.book import Book, Hold, Operation, Order, Refused
from policies.limits import MINUTE, Limit, Rate, charges
from policies.periods import Period
from tests.policies.book_rows import InSQLite, Memory

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
    Rate("wide", ("team:*",), concurrent=6),
)
ORGS, EXPERTS, TEAMS, USERS = ("acme", "else"), ("large", "small"), ("ml", "web", ""), ("ada", "bob", "")
WHO = [dict(zip(("org", "expert", "team", "user"), who, strict=True)) for who in product(ORGS, EXPERTS, TEAMS, USERS)]
BEFORE_THE_CLOCKS_CHANGE = 1_774_738_800.0  # 2026-03-29 00:00 in Berlin; two days before the month ends
BUSY = [who for who in WHO if who["expert"] == "large" and who["team"] != "ml"]
HARD = {limit.name: limit.amount for limit in LIMITS if limit.hard}
CALL = st.integers(0, 40)
TARIFFS = (2_000_000, 7_000_000, 300_000)
"""Nano-dollars a token, one price after the other."""


@dataclass
class Entry:
    order: Order
    state: str = "open"
    cost: int = 0


class Machine(RuleBasedStateMachine):
    """Calls of all kinds against the engine and the model."""

    rows: Any = Memory

    def __init__(self) -> None:
        super().__init__()
        self.store = self.rows()
        self.now = BEFORE_THE_CLOCKS_CHANGE
        self.price = 0
        self.entries: list[Entry] = []
        self.on: dict[Any, list[Entry]] = {}
        """The same by account."""
        self.levels: dict[Any, tuple[int, int]] = {}

    def teardown(self) -> None:
        self.store.close()

    def run_on(self, name: str, act: Any, keys: Any = ()) -> Any:
        return self.store.run(Operation(name, act, keys))

    # the model

    def level(self, kind: str, bucket: str) -> int:
        """Microseconds of a minute's allowance that a rate has left now."""
        left, at = self.levels.get((kind, bucket), (MINUTE, 0))
        return min(MINUTE, left + int(self.now * 1_000_000) - at)

    def sums(self, account: Any) -> tuple[int, int, int]:
        """What is spent, held and running on an account."""
        mine = self.on.get(account, [])
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

    @rule(seconds=st.sampled_from([0.5, 7.0, 20.0, 61.0, 600.0, 3_600.0, 40_000.0, 86_400.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def the_price_changes(self):
        self.price = (self.price + 1) % len(TARIFFS)

    @rule(who=st.sampled_from(WHO), tokens=st.integers(0, 1_200))
    def a_call_reserves(self, who, tokens):
        self.reserve(who, tokens)

    @rule(who=st.sampled_from(BUSY), tokens=st.integers(0, 600), seconds=st.sampled_from([0.0, 9.0]))
    def one_of_few_reserves(self, who, tokens, seconds):
        self.now += seconds
        self.reserve(who, tokens)

    def reserve(self, who, tokens):
        booked = charges(LIMITS, RATES, who, self.now)
        amount = tokens * TARIFFS[self.price]
        order = Order(f"call {len(self.entries)}", amount, booked, self.now, self.now + 100, tokens, str(self.price))
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
            self.on.setdefault(charge.account, []).append(self.entries[-1])
            if charge.rate and charge.rate.requests_per_minute:
                self.use("requests", charge.bucket, MINUTE // 7)
                self.use("tokens", charge.bucket, tokens * 60_000)

    def one_of(self, number: int) -> Entry:
        """Any call, the newest more often."""
        return self.entries[-1 - number % len(self.entries)]

    @precondition(lambda self: self.entries)
    @rule(number=CALL)
    def a_call_reserves_twice(self, number):
        entry = self.one_of(number)
        again = self.run_on(entry.order.id, lambda book: book.reserve(entry.order))
        assert isinstance(again, Hold if entry.state == "open" else Refused)

    @precondition(lambda self: self.entries)
    @rule(number=CALL, share=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    def a_call_settles_perhaps_again(self, number, share):
        entry = self.one_of(number)
        name, tokens = entry.order.id, int(entry.order.tokens * share)
        cost = tokens * TARIFFS[int(entry.order.price)]

        def settle(book: Book) -> Any:
            known = book.known(name)
            assert known is not None
            return book.settle(name, tokens * TARIFFS[int(known.price)], tokens)

        moved = self.run_on(name, settle)
        assert (moved is not None) == (entry.state in ("open", "swept"))
        if moved is not None:
            entry.state, entry.cost = "settled", cost
            for charge in entry.order.charges:
                if charge.token_interval:
                    self.use("tokens", charge.bucket, (tokens - entry.order.tokens) * 60_000)

    @precondition(lambda self: self.entries)
    @rule(number=CALL, state=st.sampled_from(["abandoned", "swept"]))
    def a_call_is_given_up_perhaps_again(self, number, state):
        entry = self.one_of(number)
        name = entry.order.id
        moved = self.run_on(name, lambda book: (book.abandon if state == "abandoned" else book.sweep)(name))
        assert (moved is not None) == (entry.state == "open")
        if moved is not None:
            entry.state, entry.cost = state, entry.order.amount

    @rule()
    def the_dead_are_swept(self):
        names = self.store.expired(self.now)
        dead = {e.order.id: e for e in self.entries if e.state == "open" and e.order.until < self.now}
        assert set(names) == set(dead)
        for name in names:
            assert self.run_on(name, lambda book, name=name: book.sweep(name)) is not None
            dead[name].state, dead[name].cost = "swept", dead[name].order.amount

    @invariant()
    def the_accounts_are_the_sums_of_their_calls_and_no_hard_budget_is_exceeded(self):
        for account in self.store.balances():
            sums = self.sums((account.bucket, account.start))
            assert (account.spent, account.held, account.running) == sums
            assert account.spent + account.held <= HARD.get(account.bucket.partition(" ")[0], 1 << 62)


class StoreMachine(Machine):
    """The same in a real store."""

    rows: Any = InSQLite

    @rule()
    def the_process_starts_again(self):
        self.store.restart()


def sized(examples: int, steps: int = 50) -> Any:
    return settings(
        max_examples=examples * SIZE, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestTheBook = Machine.TestCase  # rows 45 and 51: 100,000 steps, with the one below and those of test_book_at_length
TestTheBook.settings = sized(200, 200)
TestTheBookInSQLite = StoreMachine.TestCase
TestTheBookInSQLite.settings = sized(20, 200)


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

"""Slices of budgets: calls that are granted from memory, against a simple model, and the ways in which a slice ends."""

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import policies.leases
from experts.card import nano
from policies.accounts import Accounts
from policies.batches import StoreUnavailable, refused
from policies.book import Book, Hold, Operation, Order, Refused
from policies.limits import Limit, Rate, charges
from policies.periods import Period
from policies.slices import Call, draw, give_back, top_up
from tests.policies import test_accounts
from tests.policies.test_accounts import DAY, KEY, ME, Clock
from tests.policies.test_book import BEFORE_THE_CLOCKS_CHANGE, sized

TOTAL, EACH = 100_000, 30_000
LIMITS = (
    Limit("all", TOTAL / 1e9, period=Period("total")),
    Limit("key", EACH / 1e9, ("key:*",), Period("total")),
    Limit("seen", 1e-9, ("team:*",), Period("total"), hard=False),
)


clock, open_accounts = test_accounts.clock, test_accounts.open_accounts


class Rows:
    """A store in memory whose answers come when the machine says so, and which may fail or be slow."""

    patience, progress = 60.0, 0

    def __init__(self) -> None:
        self.accounts: dict[Any, Any] = {}
        self.reservations: dict[str, Any] = {}
        self.queued: list[tuple[Operation, asyncio.Future[Any]]] = []
        self.loop = asyncio.new_event_loop()
        self.broken = False

    async def alive(self) -> bool:
        return True

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.loop.create_future()
        self.queued.append((operation, future))
        return future

    def work(self) -> None:
        queued, self.queued = self.queued, []
        for operation, future in queued:
            if self.broken:
                future.set_exception(StoreUnavailable("broken"))
                future.exception()
                continue
            book = Book(self.accounts.get, self.reservations.get)
            result = operation.run(book)
            self.accounts.update(book.changed)
            self.reservations.update(book.reservations)
            future.set_result(result)

    async def expired(self, now: float) -> list[str]:
        return [one.id for one in self.reservations.values() if one.state == "open" and one.until < now]

    async def balances(self, since: int) -> list[Any]:
        return list(self.accounts.values())

    async def reservations_(self) -> list[Any]:
        return list(self.reservations.values())

    async def close(self) -> None:
        pass


class Processes(RuleBasedStateMachine):
    """Two processes on one store: grants, settlements, sweeps, deaths and failures of the store in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.clock = Rows(), Clock()
        self.clock.now = BEFORE_THE_CLOCKS_CHANGE
        self.loop = self.rows.loop
        self.processes = [self.process(), self.process()]
        self.waiting: list[tuple[int, str, Any]] = []
        self.holds: list[tuple[int, Hold]] = []
        self.bill: dict[str, int] = {}
        self.dead: set[str] = set()
        self.made = 0

    def process(self) -> Accounts:
        return Accounts(self.rows, LIMITS, clock=self.clock, longest_wait=1e9)  # type: ignore[arg-type] # no reservations()

    def run(self, act: Any) -> Any:
        async def acted() -> Any:
            result = act()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(acted())

    def teardown(self) -> None:
        self.rows.broken = False
        for hold in list(self.holds):
            self.settle(hold, 1.0)
        for accounts in self.processes:
            self.run(accounts._leases.close)
            self.the_store_works()
            self.loop.run_until_complete(accounts._patience.close())
        self.the_dead_are_swept(1e6)
        self.the_store_works()
        self.the_bill_is_covered()
        assert sum(account.held for account in self.rows.accounts.values()) == 0
        self.loop.close()

    @rule(who=st.integers(0, 1), key=st.sampled_from(["a", "b"]), amount=st.integers(0, 20_000))
    def a_call_is_requested(self, who, key, amount):
        self.made += 1
        name = f"call {self.made}"
        scopes = {"key": key, "team": "t"}
        granted = self.run(lambda: self.processes[who].request(name, scopes, amount))
        self.waiting.append((who, name, granted))
        self.look()

    @rule()
    def the_store_works(self):
        for _ in range(6):
            self.run(self.rows.work)
        self.look()

    @rule(seconds=st.sampled_from([0.1, 2.0, 30.0, 100.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule(who=st.integers(0, 1))
    def slices_are_tended(self, who):
        self.run(self.processes[who]._leases.tend)

    @rule()
    def the_store_breaks_or_is_mended(self):
        self.rows.broken = not self.rows.broken

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.3, 1.0]))
    def a_call_ends(self, data, share):
        self.settle(data.draw(st.sampled_from(self.holds)), share)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def nobody_knows_what_a_call_cost(self, data):
        who, hold = data.draw(st.sampled_from(self.holds))
        self.holds.remove((who, hold))
        self.bill[hold.id] = hold.amount
        self.run(lambda: self.processes[who].end(hold, None))

    def settle(self, pair, share):
        who, hold = pair
        self.holds.remove(pair)
        self.bill[hold.id] = int(hold.amount * share)
        self.run(lambda: self.processes[who].end(hold, self.bill[hold.id]))
        assert hold.slice == "" or self.run(lambda: self.processes[who].end(hold, 7)) is None

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_caller_leaves(self, data):
        entry = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(entry)
        self.run(entry[2].cancel)

    @rule(who=st.integers(0, 1))
    def a_process_dies(self, who):
        self.bill |= {hold.id: hold.amount for each, hold in self.holds if each == who}
        self.holds = [pair for pair in self.holds if pair[0] != who]
        self.waiting = [entry for entry in self.waiting if entry[0] != who]
        self.loop.run_until_complete(self.processes[who]._patience.close())
        self.dead |= {one.id for one in self.rows.reservations.values()}
        self.rows.queued = [pair for pair in self.rows.queued if not pair[1].cancel()] if who else self.rows.queued
        self.processes[who] = self.process()

    @rule(later=st.sampled_from([0.0, 50.0, 1000.0]))
    def the_dead_are_swept(self, later):
        self.clock.now += later
        late = [each for accounts in self.processes for each in accounts._late]
        task = self.loop.create_task(self.processes[0].sweep())
        for _ in range(20):
            self.run(self.rows.work)
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        assert isinstance(late, list)
        self.look()

    def look(self):
        for entry in list(self.waiting):
            who, _, granted = entry
            if isinstance(granted, Hold):
                self.holds.append((who, granted))
            elif not granted.done():
                continue
            elif granted.exception() is None and isinstance(granted.result(), Hold):
                self.holds.append((who, granted.result()))
            self.waiting.remove(entry)

    @invariant()
    def no_hard_budget_is_exceeded(self):
        most = {"all": TOTAL, "key": EACH, "seen": 1 << 60}
        for account in self.rows.accounts.values():
            assert account.spent >= 0
            assert account.held >= 0
            assert account.spent + account.held <= most[account.bucket.partition(" ")[0]]

    @invariant()
    def the_bill_is_covered(self):
        """What experts billed, and what those under way may still bill, is within what the accounts have taken."""
        taken = sum(account.spent + account.held for account in self.rows.accounts.values() if account.bucket == "all")
        assert sum(self.bill.values()) + sum(hold.amount for _, hold in self.holds) <= max(taken, 0) <= TOTAL


TestProcesses = Processes.TestCase  # rows 42, 43, 48
TestProcesses.settings = sized(60)


async def test_a_slice_grows_while_calls_come_quickly_and_goes_back_when_they_do_not(open_accounts, clock):
    accounts = open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.01)), nano(0.01))
    assert isinstance(accounts.request("at once", ME, nano(0.01)), Hold)
    [account] = await accounts.store.balances(0)
    assert account.held > nano(0.01)
    clock.now += 2
    while account.held != nano(0.01):
        accounts._leases.tend()
        [account] = await accounts.store.balances(0)
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


def order(book_amount=0, name="s"):
    return Order(name, book_amount, charges([DAY], [], {}, 0.0), 0.0, 1.0)


def test_a_slice_that_is_settled_covers_no_call_any_more():
    rows: dict[str, Any] = {}
    book = Book(lambda key: None, rows.get)
    assert top_up(book, order(), (10,), 0).added == 10
    assert book.settle("s", 0) is not None
    assert draw(book, "s", Call("late", 10, 0.0), 7) is not None
    assert book.account(("day", 0)).spent == 7
    assert draw(book, "s", Call("late", 10, 0.0), 7) is None
    assert draw(book, "nothing", Call("x", 10, 0.0), 7) is None
    assert give_back(book, "s", 1, 9.0) is None
    assert give_back(book, "nothing", 1, 9.0) is None
    [why] = top_up(book, order(), (10,), 0).verdicts
    assert isinstance(why, Refused)
    assert why.kind == "closed"


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
    accounts._clock.now += 100
    while accounts.balances(ME)["day"][1] == 0 or (await accounts.store.balances(0))[0].spent == 0:
        await asyncio.sleep(0.01)
    assert policies.leases.KEPT_SECONDS < 100


async def test_who_waits_behind_one_that_is_refused_gets_what_is_free(open_accounts, clock):
    accounts, other = open_accounts(DAY), open_accounts(DAY)
    for number in range(3):
        clock.now += 0.1
        await accounts.settle(await accounts.reserve(f"call {number}", ME, nano(0.01)), 0)
    [account] = await other.store.balances(0)
    assert account.held >= nano(0.02)
    assert isinstance(await other.reserve("rest", ME, nano(1) - account.held), Hold)
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

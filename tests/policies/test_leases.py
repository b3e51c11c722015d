"""The slices of processes against a simple model, and calls that are granted out of what others leave."""

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policies.accounts import Accounts
from policies.batches import StoreUnavailable
from policies.book import Book, Hold, Operation
from policies.limits import Limit, Rate
from policies.periods import Period
from tests.policies.test_accounts import Clock
from tests.policies.test_book import BEFORE_THE_CLOCKS_CHANGE, sized

TOTAL, EACH = 100_000, 30_000
LIMITS = (
    Limit("all", TOTAL / 1e9, period=Period("total")),
    Limit("key", EACH / 1e9, ("key:*",), Period("total")),
    Limit("seen", 1e-9, ("team:*",), Period("total"), hard=False),
)


class Rows:
    """A store in memory whose answers come when the machine says so, and which may fail or be slow."""

    patience, progress = 60.0, 0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.accounts: dict[Any, Any] = {}
        self.reservations: dict[str, Any] = {}
        self.queued: list[tuple[Operation, asyncio.Future[Any]]] = []
        self.loop = loop
        self.broken = ""
        """`before`: nothing is taken; `after`: all is, and nobody is told."""

    async def alive(self) -> bool:
        return True

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.loop.create_future()
        self.queued.append((operation, future))
        return future

    def work(self) -> None:
        queued, self.queued = self.queued, []
        for operation, future in queued:
            if self.broken != "before":
                book = Book(self.accounts.get, self.reservations.get)
                result = operation.run(book)
                self.accounts.update(book.changed)
                self.reservations.update(book.reservations)
            if self.broken:
                future.set_exception(StoreUnavailable("broken"))
                future.exception()
            else:
                future.set_result(result)

    async def answer(self) -> None:
        """Works until nobody asks any more."""
        while self.queued:
            self.work()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

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
        self.rows, self.clock = Rows(asyncio.new_event_loop()), Clock()
        self.clock.now = BEFORE_THE_CLOCKS_CHANGE
        self.loop = self.rows.loop
        self.processes = [self.process(), self.process()]
        self.waiting: list[tuple[int, str, Any]] = []
        self.holds: list[tuple[int, Hold]] = []
        self.bill: dict[str, int] = {}
        self.died = False
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
        self.rows.broken = ""
        self.the_store_works()
        for hold in list(self.holds):
            self.settle(hold, 1.0)
        for accounts in self.processes:
            self.run(accounts._draws.flush)
            self.the_store_works()
            self.late_is_told(accounts)
            self.run(accounts._leases.close)
            self.the_store_works()
            self.loop.run_until_complete(accounts._patience.close())
        self.the_dead_are_swept(1e6)
        self.the_store_works()
        self.the_bill_is_covered()
        assert sum(account.held for account in self.rows.accounts.values()) == 0
        spent = sum(account.spent for account in self.rows.accounts.values() if account.bucket == "all")
        assert spent == sum(one.cost or 0 for one in self.rows.reservations.values())
        assert self.died or spent == sum(self.bill.values())
        self.loop.close()

    def late_is_told(self, accounts: Accounts) -> None:
        """The store is back: what it had missed, or only not answered, it is told again."""
        for _ in range(3):
            task = self.loop.create_task(accounts.sweep())
            self.the_store_works()
            self.loop.run_until_complete(task)
            self.run(accounts._draws.flush)
            self.the_store_works()

    @rule(who=st.integers(0, 1), key=st.sampled_from(["a", "b"]), amount=st.integers(0, 20_000))
    def a_call_is_requested(self, who, key, amount):
        self.made += 1
        name = f"call {self.made}"
        scopes = {"key": key, "team": "t"}
        granted = self.run(lambda: self.processes[who].request(name, scopes, amount))
        self.waiting.append((who, name, granted))
        self.look()

    @rule(who=st.integers(0, 1), key=st.sampled_from(["a", "b"]), amounts=st.lists(st.integers(0, 9_000), max_size=6))
    def many_calls_are_requested(self, who, key, amounts):
        for amount in amounts:
            self.a_call_is_requested(who, key, amount)

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

    @rule(how=st.sampled_from(["before", "after", ""]))
    def the_store_breaks_or_is_mended(self, how):
        self.rows.broken = how

    @rule(who=st.integers(0, 1))
    def what_has_ended_is_told(self, who):
        self.run(self.processes[who]._draws.flush)

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

    @invariant()
    def what_is_free_is_known_of_each_account(self):
        for accounts in self.processes:
            for seen in accounts._payers._seen.values():
                free = sum(one.free for one in accounts._leases._all.values() if seen in one.accounts)
                assert seen.room + seen.spent + seen.held == free
                own = [one for one in accounts._leases._all.values() if seen in one.accounts]
                assert seen.own == sum(one.spent + (one.booking.spent if one.booking else 0) for one in own)

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
        self.died = True
        self.rows.queued = [pair for pair in self.rows.queued if not pair[1].cancel()] if who else self.rows.queued
        self.processes[who] = self.process()

    @rule(later=st.sampled_from([0.0, 50.0, 1000.0]))
    def the_dead_are_swept(self, later):
        self.clock.now += later
        task = self.loop.create_task(self.processes[0].sweep())
        for _ in range(20):
            self.run(self.rows.work)
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
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
    def nobody_grants_more_than_there_is(self):
        assert all(one.free >= 0 for accounts in self.processes for one in accounts._leases._all.values())

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


async def test_who_comes_after_a_failure_is_served_by_the_slice_that_took_the_failed_ones_place():
    rows = Rows(asyncio.get_running_loop())
    accounts = Accounts(rows, LIMITS[:1], clock=Clock(), longest_wait=1e9)  # type: ignore[arg-type] # no reservations()
    calls: list[Any] = [accounts.request(name, {}, 10_000) for name in ("fails", "waits")]
    rows.broken = "before"
    rows.work()
    await asyncio.sleep(0)
    rows.broken = ""
    calls.append(accounts.request("late", {}, 10_000))
    await rows.answer()
    assert isinstance(calls[0].exception(), StoreUnavailable)
    assert len({each.result().slice for each in calls[1:]}) == len(accounts._leases._current) == 1
    await accounts._patience.close()


async def test_what_the_store_has_missed_is_not_swept_as_the_dead_s():
    rows, clock = Rows(asyncio.get_running_loop()), Clock()
    accounts = Accounts(rows, LIMITS[:1], [Rate("fast", requests_per_minute=9)], clock, longest_wait=1e9)  # type: ignore[arg-type] # no reservations()
    granted: Any = accounts.request("call", {}, 10_000)
    rows.work()
    await asyncio.sleep(0)
    rows.broken = "before"
    accounts.end(granted.result(), 7)
    clock.now += 1000
    for broken in ("before", "", ""):
        await rows.answer()
        rows.broken = broken
        sweeping = asyncio.create_task(accounts.sweep())
        await asyncio.sleep(0)
        await rows.answer()
        await sweeping
    assert [(one.state, one.cost) for one in rows.reservations.values()] == [("settled", 7)]
    await accounts._patience.close()

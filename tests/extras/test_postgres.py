"""Accounts in a real PostgreSQL server: the same behaviour as in SQLite, and what a server can suffer."""

import asyncio
import signal
import sys
import threading

import asyncpg
import pytest

import policies.store_postgres
from bench.postgres_server import PostgresServer
from experts.base import SetupError
from experts.card import nano
from policies.accounts import Accounts
from policies.batches import StoreUnavailable
from policies.book import Account, Hold, Operation
from policies.limits import Limit
from policies.periods import Period
from policies.store_postgres import PostgresStore
from tests.policies import test_accounts as anywhere
from tests.policies.book_rows import InStore
from tests.policies.test_accounts import DAY, KEY, ME, Clock
from tests.policies.test_book import StoreMachine, sized

test_a_call_is_settled_once_row_51 = anywhere.test_a_call_is_settled_once_row_51
test_a_call_that_could_exceed_any_budget_is_refused_and_reserves_on_none = (
    anywhere.test_a_call_that_could_exceed_any_budget_is_refused_and_reserves_on_none
)
test_a_caller_that_leaves_while_it_waits_holds_nothing = anywhere.test_a_caller_that_leaves_while_it_waits_holds_nothing
test_a_new_day_has_its_whole_budget_and_the_old_call_is_booked_on_the_old_one_row_45 = (
    anywhere.test_a_new_day_has_its_whole_budget_and_the_old_call_is_booked_on_the_old_one_row_45
)
test_a_soft_budget_alarms_once_at_each_share_and_refuses_nothing = (
    anywhere.test_a_soft_budget_alarms_once_at_each_share_and_refuses_nothing
)
test_accounts_know_after_a_restart_what_was_spent = anywhere.test_accounts_know_after_a_restart_what_was_spent
test_an_unknown_cost_keeps_the_debit = anywhere.test_an_unknown_cost_keeps_the_debit
test_many_at_once_do_not_exceed_a_budget_even_for_someone_new_row_42 = (
    anywhere.test_many_at_once_do_not_exceed_a_budget_even_for_someone_new_row_42
)
test_rates_are_refused_in_the_same_call = anywhere.test_rates_are_refused_in_the_same_call
test_sweeping_goes_on_by_itself = anywhere.test_sweeping_goes_on_by_itself
test_the_reservation_of_the_dead_is_swept_at_its_whole_amount_and_corrected_once_row_43 = (
    anywhere.test_the_reservation_of_the_dead_is_swept_at_its_whole_amount_and_corrected_once_row_43
)
test_what_is_reserved_is_held_and_what_is_settled_is_spent = (
    anywhere.test_what_is_reserved_is_held_and_what_is_settled_is_spent
)

EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


@pytest.fixture(scope="module")
def server():
    with PostgresServer(deadlock_timeout="50ms") as started:
        InPostgres.url = started.url
        yield started


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def open_accounts(server, clock, monkeypatch):
    """Opens accounts in one empty database; closes them at the end."""
    monkeypatch.setattr(PostgresStore, "patience", 2.0)
    await execute(server.url, EMPTY)
    made = []

    def opened(*limits, store=server.url, **about):
        accounts = Accounts.open(store, limits, **{"clock": clock, **about})
        made.append(accounts)
        return accounts

    yield opened
    for accounts in made:
        await accounts.close()


async def execute(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return (
            await connection.fetch(statement) if statement.startswith("SELECT") else await connection.execute(statement)
        )
    finally:
        await connection.close()


class InPostgres(InStore):
    """The rows of the stateful model in a database that is emptied for each."""

    url = ""

    def __init__(self):
        self.emptied = False
        super().__init__()

    def open(self):
        if not self.emptied:
            self.wait(execute(self.url, EMPTY))
            self.emptied = True
        return PostgresStore(self.url)


class PostgresMachine(StoreMachine):
    rows = InPostgres


@pytest.mark.usefixtures("server")
class TestTheBookInPostgres(PostgresMachine.TestCase):  # type: ignore[misc,valid-type] # made by hypothesis; rows 45, 51
    settings = sized(3)


async def test_a_server_that_is_frozen_admits_nothing_and_gives_back_what_came_too_late_row_48(
    server, open_accounts, monkeypatch
):
    accounts = open_accounts(DAY)
    await accounts.reserve("a", ME, nano(0.1))
    monkeypatch.setattr(PostgresStore, "patience", 0.25)
    server.freeze(True)
    try:
        with pytest.raises(StoreUnavailable, match="did not answer"):
            await accounts.reserve("b", ME, nano(0.5))
    finally:
        server.freeze(False)
    monkeypatch.setattr(PostgresStore, "patience", 2.0)
    assert isinstance(await accounts.reserve("c", ME, nano(0.1)), Hold)
    while accounts.balances(ME)["day"][1] != nano(0.2):
        await asyncio.sleep(0.01)
        await accounts.refresh()


async def test_after_a_crash_of_the_server_all_that_was_granted_is_there_row_48(server, open_accounts, clock):
    accounts = open_accounts(DAY, KEY)
    await accounts.start()
    calls = [asyncio.create_task(accounts.reserve(f"call {number}", ME, nano(0.001))) for number in range(300)]
    threading.Timer(0.02, server.stop, (signal.SIGQUIT,)).start()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    while server.process.poll() is None:
        await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await accounts.reserve("down", {"key": "another"}, 1)  # a slice in memory might pay for `ME`
    with pytest.raises(StoreUnavailable):
        await accounts.store.balances()
    server.start()
    granted = [hold for hold in ended if isinstance(hold, Hold)]
    rows = {row.id: row.amount for row in await accounts.store.reservations()}
    assert {hold.slice for hold in granted} <= rows.keys()
    assert sum(hold.amount for hold in granted) <= sum(rows.values())
    for hold in granted:
        await accounts.settle(hold, nano(0.001))
    clock.now += 100
    while any(account.held for account in await accounts.store.balances()):
        accounts._leases.tend()
        await accounts.sweep()
    spent = {account.spent for account in await accounts.store.balances()} or {0}
    assert spent == {nano(0.001) * len(granted)}


async def test_a_settlement_that_failed_is_made_when_the_server_is_back_row_48(server, open_accounts):
    accounts = open_accounts(DAY)
    hold = await accounts.reserve("a", ME, nano(0.6))
    server.stop()
    with pytest.raises(StoreUnavailable):
        await accounts.settle(hold, nano(0.2))
    server.start()
    await accounts.sweep()
    assert accounts.balances(ME) == {"day": (nano(1), nano(0.2))}


async def test_a_deadlock_is_tried_again_row_48(server, open_accounts):
    accounts = open_accounts(DAY, KEY)
    await accounts.reserve("a", ME, 1)
    other = await asyncpg.connect(server.url)
    lock = "SELECT * FROM accounts WHERE bucket LIKE $1 FOR UPDATE"
    transaction = other.transaction()
    await transaction.start()
    await other.fetch(lock, "key%")
    waiting = asyncio.create_task(accounts.reserve("b", ME, 1))
    await asyncio.sleep(0.02)
    try:
        await other.fetch(lock, "day%")
    except asyncpg.DeadlockDetectedError:
        await transaction.rollback()
    else:
        await transaction.commit()
    assert isinstance(await waiting, Hold)
    await other.close()


async def test_a_lock_that_is_kept_too_long_refuses_and_frees_row_48(server, open_accounts, monkeypatch):
    accounts = open_accounts(DAY, longest_wait=0.5)
    await accounts.reserve("a", ME, 1)
    other = await asyncpg.connect(server.url)
    await other.execute("BEGIN")
    await other.fetch("SELECT * FROM accounts FOR UPDATE")
    monkeypatch.setattr(PostgresStore, "patience", 0.1)
    with pytest.raises(StoreUnavailable, match="not answer"):
        await accounts.reserve("b", ME, 1)
    await other.close()
    monkeypatch.setattr(PostgresStore, "patience", 2.0)
    assert isinstance(await accounts.reserve("c", ME, 1), Hold)


async def test_too_many_clients_is_the_fault_of_the_store_row_48(clock):
    with PostgresServer(max_connections="5", superuser_reserved_connections="0") as crowded:
        others = [await asyncpg.connect(crowded.url) for _ in range(5)]
        accounts = Accounts.open(crowded.url, [DAY], clock=clock)
        with pytest.raises(StoreUnavailable, match="TooManyConnections"):
            await accounts.start()
        for other in others:
            await other.close()
        await accounts.start()
        assert isinstance(await accounts.reserve("a", ME, 1), Hold)
        await accounts.close()


async def test_a_faulty_operation_fails_alone(server, open_accounts):
    store = open_accounts(DAY).store
    good, bad, ugly = (
        store.submit(Operation(name, run))
        for name, run in {
            "good": lambda book: "done",
            "bad": lambda book: 1 / 0,
            "ugly": lambda book: book.changed.update({("x", 0): Account("x", 0, spent=-1)}),
        }.items()
    )
    assert await good == "done"
    with pytest.raises(ZeroDivisionError):
        await bad
    assert await ugly is None  # no such account: nothing to change


async def test_a_database_of_a_newer_release_is_an_error_of_setup(server, open_accounts):
    await open_accounts(DAY).start()
    await execute(server.url, "INSERT INTO lyceum_migrations (name) VALUES ('from_the_future')")
    with pytest.raises(SetupError, match="newer release"):
        await PostgresStore(server.url).balances()


async def test_without_the_extra_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SetupError, match=r"lyceum-gateway\[postgres\]"):
        await policies.store_postgres.connect("postgresql://127.0.0.1:1/none")


async def test_eight_replicas_begin_with_an_empty_database_at_once(server, open_accounts):
    many = [open_accounts(Limit("all", 0.10, period=Period("total"))) for _ in range(8)]
    await asyncio.gather(*(accounts.start() for accounts in many))
    calls = [many[number % 8].reserve(f"call {number}", ME, nano(0.01)) for number in range(80)]
    granted = [hold for hold in await asyncio.gather(*calls) if isinstance(hold, Hold)]
    assert len(granted) == 10

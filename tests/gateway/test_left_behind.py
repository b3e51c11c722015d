"""Nothing is left behind by a client that leaves in an odd moment, or by a ledger that fails in one."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from experts.base import Chunk
from experts.card import Usage
from gateway import chat
from gateway.hedge import raced
from gateway.hedges import BURST
from gateway.money import Money
from gateway.run import run
from policies.accounts import Accounts
from policies.base import Spare
from policies.ledger import LedgerUnavailable
from policies.limits import Limit
from tests.experts import raw
from tests.gateway.conftest import make_door, scripted, serving
from tests.gateway.test_hedge import Held, hedging
from tests.gateway.test_hot import whole
from tests.gateway.test_money import behind, error_of

BODY = b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"stream":true}'


@asynccontextmanager
async def begun(tmp_path, *experts):
    """A door with a budget, and the life of a request for a stream; nobody is at work for it in the end."""
    door = make_door(tmp_path, experts)
    door.school.hedges.credit = BURST
    door.school.books.money = Money(Accounts.open(tmp_path / "accounts.sqlite", [Limit("day", 1.0)]))
    await door.school.books.start()
    try:
        life = door.life(chat.parse(BODY, "0" * 24), "me", {})
        life.begin()
        yield door, life
        for _ in range(20):
            await asyncio.sleep(0)
        assert door.school.health.under_way_in_all() == 0
        assert all(expert.ended.is_set() for expert in experts if expert.asked.is_set())
    finally:
        await door.stop()


async def test_a_client_that_leaves_as_the_first_word_comes_leaves_nothing_behind(tmp_path):
    slow = Held("slow")
    async with begun(tmp_path, slow, Held("other")) as (door, life):
        racing = asyncio.create_task(raced(life, "slow", Spare("other", 60.0, 0.0, 1)))
        await slow.asked.wait()
        (reading,) = door.school.hedges.running
        reading.add_done_callback(lambda _: racing.cancel())
        slow.go.set()
        with pytest.raises(asyncio.CancelledError):
            await racing


@asynccontextmanager
async def unrecorded(tmp_path):
    """A stream that has begun, and whose decision waits until another process has done with the ledger."""
    slow = Held("slow")
    async with begun(tmp_path, slow) as (_, life):
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            going = asyncio.create_task(run(life))
            await slow.asked.wait()
            slow.go.set()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not slow.ended.is_set()
            assert not going.done()
            yield life, going


async def test_a_stream_whose_decision_cannot_be_recorded_is_ended_row_47(tmp_path):
    async with unrecorded(tmp_path) as (life, going):
        life.recorded.end(LedgerUnavailable("full"))
        with pytest.raises(LedgerUnavailable):
            await going


async def test_a_stream_whose_client_leaves_before_its_decision_is_recorded_is_ended(tmp_path):
    async with unrecorded(tmp_path) as (_, going):
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going


async def test_a_stream_that_meets_a_mistake_before_its_first_word_is_ended(tmp_path):
    async with serving(make_door(tmp_path, [scripted("buggy", lambda request: 1 / 0)])) as served:
        assert (await served.ask(stream=True)).status_code == 500
        assert served.door.school.health.under_way_in_all() == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_what_failed_beside_the_winner_is_paid_once(tmp_path, stream):
    slow, quick = Held("slow", Chunk({"role": "assistant"}, None, Usage(3, 1), 400), fails=True), Held("quick")
    async with hedging(tmp_path, [slow, quick]) as served:
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        asking = asyncio.ensure_future(served.ask(**more))
        await quick.asked.wait()
        slow.go.set()
        await slow.ended.wait()
        quick.go.set()
        answer = await asking
    told = answer.text if stream else answer.headers["x-lyceum-cost"]
    assert "0.000001100" in told


@pytest.mark.parametrize("stream", [False, True])
async def test_books_that_cannot_be_kept_are_an_error_that_the_client_hears(tmp_path, stream):
    """A fault in what is kept, not of the store: nobody is asked, and nobody waits for ever."""
    async with behind(tmp_path, [raw.always(whole())], Limit("day", 1.0)) as served:
        with closing(sqlite3.connect(tmp_path / "accounts.sqlite")) as file, file:
            file.execute("CREATE TRIGGER no BEFORE INSERT ON reservations BEGIN SELECT RAISE(ABORT, 'no'); END")
        async with asyncio.timeout(10):
            response = await served.ask(stream=stream)
        assert error_of(response) == (500, "server_error", "internal_error")
        assert served.door.school.health.under_way_in_all() == 0

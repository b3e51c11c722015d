"""A second expert is asked beside one that keeps the client waiting: the first wins, the other is ended. Row 17."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from experts.base import Chunk, Unavailable
from experts.card import Usage
from gateway.health import Health
from gateway.hedges import BURST, Hedges
from gateway.money import Money
from policies.accounts import Accounts
from policies.base import Spare
from policies.hedge import Hedge
from policies.limits import Limit
from policies.pick import Utility
from tests.gateway.asked import Asked, Clock, crowd
from tests.gateway.conftest import CARD, make_door, scripted, serving

SPARE = Spare("b", 1.0, 0.02, 4)
NOW = Hedge(Utility(usd_per_quality=1.0), times=0.0, seconds=0.0)
"""The spare is asked as soon as the first has not answered at once."""


class Held:
    """An expert that says its first word, or all, when it is let go; it tells when it was ended."""

    when_left = "cancel"

    def __init__(self, name: str, beginning: Chunk | None = None, fails: bool = False) -> None:
        self.name, self.card, self.beginning, self.fails = name, CARD, beginning, fails
        self.asked, self.go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stream(self, request) -> AsyncIterator[Chunk]:
        try:
            self.asked.set()
            if self.beginning is not None:
                yield self.beginning
            await self.go.wait()
            if self.fails:
                raise Unavailable("down")
            word = {"role": "assistant", "content": f"from {self.name}"}
            if request.stream:
                yield Chunk(word)
            yield Chunk({} if request.stream else word, "stop", Usage(3, 2), 700)
        finally:
            self.ended.set()


@asynccontextmanager
async def hedging(tmp_path, experts, policy=NOW, limits=()):
    """A gateway that may hedge every request."""
    door = make_door(tmp_path, experts, policy)
    door.school.hedges.credit = BURST
    if limits:
        door.school.books.money = Money(Accounts.open(tmp_path / "accounts.sqlite", limits))
        await door.school.books.start()
    async with serving(door) as served:
        yield served


async def said(served, **body) -> Any:
    """What the SDK hears."""
    ask = served.openai().chat.completions.create
    messages = [{"role": "user", "content": "hi"}]
    if not body.get("stream"):
        return (await ask(model="auto", messages=messages, **body)).choices[0].message.content
    return "".join(
        [
            chunk.choices[0].delta.content or ""
            async for chunk in await ask(model="auto", messages=messages, **body)
            if chunk.choices
        ]
    )


@asynccontextmanager
async def waiting(tmp_path, first: Held, second: Held, stream: bool, *others):
    """A request that waits for its first expert, so that the second is asked as well: the gateway, and the answer."""
    async with hedging(tmp_path, [first, second, *others]) as served:
        answer = asyncio.ensure_future(said(served, stream=stream))
        await second.asked.wait()
        yield served, answer


def kinds(served) -> dict[str, str | None]:
    return {row["expert"]: row["reason"] for row in served.ledger("outcomes")}


streams = pytest.mark.parametrize("stream", [False, True])


@streams
async def test_the_first_to_answer_is_taken_and_the_other_ended_row_17(tmp_path, stream):
    slow, quick = Held("slow"), scripted("quick", "from quick")
    async with hedging(tmp_path, [slow, quick]) as served:
        assert await said(served, stream=stream) == "from quick"
        await asyncio.wait_for(slow.ended.wait(), 5)
        decision = served.ledger("decisions")
    assert kinds(served) == {"slow": "hedge_lost", "quick": None}
    assert [row["experts"] for row in decision] == [["slow"]]
    assert "quick as well" in decision[0]["why"]


@streams
async def test_one_that_was_only_slow_to_begin_may_still_win(tmp_path, stream):
    slow, other = Held("slow"), Held("other")
    async with waiting(tmp_path, slow, other, stream) as (served, answer):
        slow.go.set()
        assert await answer == "from slow"
        await asyncio.wait_for(other.ended.wait(), 5)
    assert kinds(served) == {"slow": None, "other": "hedge_lost"}


@streams
async def test_one_that_fails_leaves_it_to_the_other_row_17(tmp_path, stream):
    slow, quick = Held("slow", fails=True), Held("quick")
    async with waiting(tmp_path, slow, quick, stream) as (served, answer):
        slow.go.set()
        await slow.ended.wait()
        quick.go.set()
        assert await answer == "from quick"
    assert kinds(served) == {"slow": "unavailable", "quick": None}


@streams
async def test_if_both_fail_a_third_is_asked_once(tmp_path, stream):
    slow, quick = Held("slow", fails=True), Held("quick", fails=True)
    async with waiting(tmp_path, slow, quick, stream, scripted("third", "from third")) as (served, answer):
        slow.go.set()
        quick.go.set()
        assert await answer == "from third"
    assert kinds(served) == {"slow": "unavailable", "quick": "unavailable", "third": None}


@streams
async def test_a_quick_first_is_not_hedged(tmp_path, stream):
    patient = Hedge(Utility(usd_per_quality=1.0), seconds=60.0)
    async with hedging(tmp_path, [scripted("first", "from first"), scripted("second")], patient) as served:
        assert await said(served, stream=stream) == "from first"
    assert kinds(served) == {"first": None}


@streams
@pytest.mark.parametrize("beginning", [None, Chunk({"role": "assistant"}, None, Usage(3, 1), 400)])
async def test_what_the_loser_cost_is_in_the_ledger_and_in_the_budget_row_17(tmp_path, stream, beginning):
    """Known if it has said so; else nobody knows, and the budget keeps all that was reserved for it."""
    slow, quick = Held("slow", beginning), scripted("quick", "from quick")
    async with hedging(tmp_path, [slow, quick], limits=[Limit("day", 1.0)]) as served:
        assert await said(served, stream=stream) == "from quick"
        await slow.ended.wait()
    rows = {row["expert"]: row for row in served.ledger("outcomes")}
    settled = {row["expert"]: row for row in served.ledger("settlements")}
    assert rows["slow"]["cost"] == (None if beginning is None else 400)
    assert settled["slow"]["booked"] == (settled["slow"]["hold"] if beginning is None else 400)
    assert settled["quick"]["booked"] == rows["quick"]["cost"] > 0


@streams
async def test_an_answer_that_is_billed_anyway_is_read_to_its_end_and_booked_exactly_row_17(tmp_path, stream):
    slow = Held("slow", Chunk({"role": "assistant"}))
    slow.when_left = "finish"
    async with hedging(tmp_path, [slow, scripted("quick", "from quick")], limits=[Limit("day", 1.0)]) as served:
        assert await said(served, stream=stream) == "from quick"
        assert not slow.ended.is_set()
        slow.go.set()
        await slow.ended.wait()
    rows = {row["expert"]: row for row in served.ledger("outcomes")}
    settled = {row["expert"]: row["booked"] for row in served.ledger("settlements")}
    assert rows["slow"]["cost"] == settled["slow"] == 700


@streams
async def test_the_client_is_told_what_both_cost(tmp_path, stream):
    slow = Held("slow", Chunk({"role": "assistant"}, None, Usage(3, 1), 400))
    async with hedging(tmp_path, [slow, scripted("quick", "from quick", cost=5)]) as served:
        body = {"stream": stream, **({"stream_options": {"include_usage": True}} if stream else {})}
        answer = await served.ask(**body)
        await slow.ended.wait()
    if stream:
        assert '"cost":0.000000405' in answer.text
    else:
        assert answer.headers["x-lyceum-cost"] == "0.000000405"
    assert answer.headers["x-lyceum-expert"] == "quick"


@streams
async def test_a_client_that_leaves_ends_both_row_17(tmp_path, stream):
    slow, other = Held("slow"), Held("other")
    async with waiting(tmp_path, slow, other, stream) as (served, answer):
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(slow.ended.wait(), other.ended.wait()), 5)
    assert kinds(served) == {"slow": "client_left", "other": "client_left"}
    assert not served.door.school.hedges.running


@streams
async def test_a_budget_with_no_room_for_a_second_lets_the_first_go_on(tmp_path, stream):
    slow = Held("slow")
    async with hedging(tmp_path, [slow, scripted("quick")], limits=[Limit("day", 0.000_5)]) as served:
        answer = asyncio.ensure_future(said(served, stream=stream, max_tokens=100))
        while "quick" not in kinds(served):
            await asyncio.sleep(0.01)
        slow.go.set()
        assert await answer == "from slow"
    assert kinds(served) == {"slow": None, "quick": "budget"}


async def test_a_conversation_goes_on_with_whoever_answered_it(tmp_path):
    async with hedging(tmp_path, [Held("slow"), scripted("quick", "from quick")]) as served:
        client = served.openai()
        for _ in range(2):
            answer = await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "hi"}], extra_headers={"session-id": "a"}
            )
            assert answer.choices[0].message.content == "from quick"
    assert [row["experts"] for row in served.ledger("decisions")] == [["slow"], ["quick"]]


def test_one_request_in_fifty_is_hedged_and_not_one_more_row_17():
    hedges, health, granted = Hedges(), Health(Clock()), 0
    for number in range(1, 10_001):
        hedges.earn(SPARE)
        granted += hedges.grant(SPARE, health)
        assert granted <= 0.02 * number
    assert granted == 200


def test_quiet_times_are_not_saved_for_a_storm_row_17():
    hedges, health = Hedges(), Health(Clock())
    for _ in range(100_000):
        hedges.earn(SPARE)
    assert sum(hedges.grant(SPARE, health) for _ in range(1000)) == BURST


def test_nothing_is_hedged_under_load_row_17():
    hedges, health = Hedges(credit=BURST), Health(Clock())
    waiting = [Asked(health, name) for name in "abcab"]
    assert not hedges.grant(SPARE, health)
    waiting[0].answers(1.0)
    assert hedges.grant(SPARE, health)
    for each in waiting[1:]:
        each.answers(1.0)
    crowd(health, 1)
    assert not hedges.grant(SPARE, health), "an expert has no room"


async def test_hedging_is_off_unless_the_policy_asks_for_it(tmp_path):
    async with hedging(tmp_path, [scripted("slow", seconds=0.2), scripted("quick")], Utility(1.0)) as served:
        assert (await served.ask()).headers["x-lyceum-expert"] == "slow"
    assert kinds(served) == {"slow": None}

"""What a program asks in the same words but for the last is decided as if each request were the first."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from experts.openai_http import OpenAIHTTP
from gateway import frames, habits
from gateway.habits import LENGTHS, MOST
from gateway.money import Money
from policies.accounts import Accounts
from policies.limits import Limit
from policies.pick import Utility
from tests.experts import raw
from tests.gateway.conftest import CARD, Ranked, Served, make_door, serving
from tests.gateway.test_frames import SYSTEM, compact
from tests.gateway.test_hot import whole
from tests.gateway.test_sessions import ERRANDS


class Blind(Ranked):
    """A router that looks at no words."""

    by_length = True


@pytest.fixture(autouse=True)
def _nothing_known():
    frames.FRAMES.clear()
    frames.SEEN.clear()
    frames.MISSED[0] = 0


@asynccontextmanager
async def school(tmp_path: Path, policy: Any = None) -> AsyncIterator[Served]:
    """Two experts behind HTTP, the first of them better, and a budget."""

    async def handler(talk: raw.Talk) -> None:
        while await talk.request():
            await talk.say(whole())

    async with raw.serving(handler) as server:
        experts = [OpenAIHTTP(name, CARD, url=f"{server.url}/v1") for name in ("first", "second")]
        door = make_door(tmp_path, experts, policy, cheap=Utility(usd_per_quality=0.5))
        door.school.router, door.school.blind = Blind(), True
        door.school.books.money = Money(Accounts.open(tmp_path / "accounts.sqlite", [Limit("day", 1.0)]))
        await door.school.books.start()
        async with serving(door) as served:
            yield served


@pytest.fixture
async def two(tmp_path):
    async with school(tmp_path) as served:
        yield served


async def ask(served: Served, said: str, headers: Any = None, **more: Any) -> Any:
    body = compact({"model": "auto", "messages": [SYSTEM, {"role": "user", "content": said}], **more})
    client = served.clients[0] if served.clients else served.http()
    response = await client.post("/v1/chat/completions", content=body, headers=headers or {})
    assert response.status_code == 200, response.text
    return response


async def taught(served: Served, **more: Any) -> None:
    """A habit is there once a frame is known and the first request under it has come; they are of one length."""
    for number in range(4):
        await ask(served, f"question {number}", **more)
    assert served.door.school.habits


@pytest.fixture
def followed(monkeypatch) -> list[bool]:
    """Whether each request that might have followed a habit did."""
    told: list[bool] = []

    def follows(life: Any, habit: Any) -> bool:
        told.append(habits.follows(life, habit))
        return told[-1]

    monkeypatch.setattr("gateway.handlers.follows", follows)
    return told


def rows(served: Served) -> list[tuple[Any, ...]]:
    """What is told of each decision but for what differs in all."""
    names = ("kind", "model", "policy", "experts", "last", "why", "key", "estimates")
    return [tuple(json.dumps(row[name], default=str) for name in names) for row in served.ledger("decisions")]


async def test_a_request_that_follows_a_habit_is_decided_and_written_down_like_the_first(two, followed):
    await taught(two)
    assert followed[-1]
    assert len(set(rows(two))) == 1
    assert len({row["prompt_hash"] for row in two.ledger("decisions")}) == 4


async def test_the_die_is_cast_once_for_each_and_says_who_explores(tmp_path, followed):
    async with school(tmp_path, Utility(usd_per_quality=1.0, explore=0.5)) as served:
        dice = iter([0.9, 0.9, 0.9, 0.9, 0.1, 0.4, 0.6, 0.3])
        served.door.school.draw = lambda: next(dice)
        await taught(served)
        for number in range(4):
            await ask(served, f"question {number}")
        assert followed[-4:] == [True] * 4
        told = [(row["draw"], row["experts"], row["why"] == "explored") for row in served.ledger("decisions")]
        assert told[3:] == [
            (0.9, ["first"], False),
            (0.1, ["first"], True),
            (0.4, ["second"], True),
            (0.6, ["first"], False),
            (0.3, ["second"], True),
        ]


async def test_where_money_is_short_it_is_decided_by_what_is_left(tmp_path, followed):
    async with school(tmp_path) as served:
        await taught(served)
        payer = served.door.school.books.money.fresh["me"]
        assert payer.wall is not None
        payer.wall.room -= payer.height
        response = await served.ask(messages=[SYSTEM, {"role": "user", "content": "question 5"}], max_tokens=7)
        assert response.status_code == 200, "the store knows better than what was seen last"
        row = served.ledger("decisions")[-1]
        assert row["allowance"] == 0


async def test_each_model_has_a_habit_of_its_own(two, followed):
    await taught(two)
    await taught(two, model="cheap")
    await taught(two, model="second")
    told = [(row["model"], row["policy"]) for row in two.ledger("decisions")]
    assert told == [("auto", "auto")] * 4 + [("cheap", "cheap")] * 4 + [("second", "only")] * 4
    assert {habit.policy_name for habit in two.door.school.habits.values()} == {"auto", "cheap"}, "an expert's is none"


async def test_its_conversation_is_kept_under_the_same_name(two, followed):
    await taught(two)
    asked = [SYSTEM, {"role": "user", "content": "question 9"}]
    two.door.school.habits.clear()
    await ask(two, "question 9")
    kept = two.door.school.sessions.kept["me"]
    known = dict(kept)
    await ask(two, "question 9")
    assert followed[-1]
    assert kept == known
    body = {"model": "auto", "messages": [*asked, {"role": "assistant", "content": "x"}, asked[-1]]}
    await two.ask(**body)
    assert two.ledger("decisions")[-1]["why"] == "stays with its conversation"


async def test_an_errand_is_none_of_a_habit(two, followed):
    await taught(two)
    said = next(each[0]["content"] for each in ERRANDS if len(each) == 1)
    for _ in range(3):
        await ask(two, said)
    assert not any(followed[-3:])
    assert [row["policy"] for row in two.ledger("decisions")][-3:] == ["errand"] * 3


@pytest.mark.parametrize("headers", [{"x-session-id": "s"}, {"x-lyceum-hops": "1"}])
async def test_a_head_that_says_more_is_looked_at(two, followed, headers):
    await taught(two)
    before = len(followed)
    for number in range(3):
        await ask(two, f"question {number}", headers)
    assert len(followed) == before
    assert two.ledger("decisions")[-1]["experts"] == two.ledger("decisions")[0]["experts"]


async def test_a_named_conversation_makes_no_habit(two, followed):
    for number in range(4):
        await ask(two, f"question {number}", prompt_cache_key="k")
    assert not two.door.school.habits


async def test_while_somebody_is_ill_or_a_retry_is_waited_for_all_is_looked_at(two, followed):
    await taught(two)
    health, waiting = two.door.school.health, two.door.school.retries.waiting
    health.calm = False
    await ask(two, "question 4")
    assert not followed[-1]
    health.calm, waiting[0] = True, 1
    await ask(two, "question 5")
    assert not followed[-1]
    waiting[0] = 0
    await ask(two, "question 6")
    assert followed[-1]


async def test_experts_that_may_be_asleep_are_looked_at_each_time(two, followed):
    two.door.school.supervised = {"second": type("Ready", (), {"ready": True})()}
    for number in range(4):
        await ask(two, f"question {number}")
    assert not two.door.school.habits


async def test_habits_and_their_lengths_are_bounded(two):
    await taught(two)
    known = two.door.school.habits
    habit = next(iter(known.values()))
    habit.usual.update({-number: habit.usual[next(iter(habit.usual))] for number in range(1, LENGTHS)})
    known.update({-number: habit for number in range(1, MOST)})
    assert (len(habit.usual), len(known)) == (LENGTHS, MOST)
    await ask(two, "one that is of another length")
    assert len(habit.usual) == 1
    await taught(two, temperature=0.5)
    assert len(known) == 1


async def test_a_mistake_in_it_is_an_error_that_the_client_hears(two, followed, monkeypatch):
    def mistake(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    await taught(two)
    monkeypatch.setattr(two.door.school.books, "foreseen", mistake)
    response = await two.ask(messages=[SYSTEM, {"role": "user", "content": "question 5"}])
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    monkeypatch.undo()
    await ask(two, "question 6")

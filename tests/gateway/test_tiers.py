"""Who comes first under overload: paid before usual, usual before what can wait. Row 30."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from experts.base import Chunk, Request, SetupError, Unavailable
from experts.card import Usage
from gateway import config, school
from gateway.crowds import QUIET_SECONDS, REFUSALS
from gateway.health import Health
from gateway.stored import Stored
from gateway.tiers import DEFAULT, FLEX, PRIORITY, Tiers
from tests.gateway.asked import Clock, crowd
from tests.gateway.conftest import CARD, KEY, OTHER, Served, make_door, scripted, serving

TIERS = Tiers(priority=("key:ada", "team:paying"), flex=("user:night", "org:labs"))


def rank(said: Any = None, native: Any = None, **scopes: str) -> int:
    options = {} if said is None else {"service_tier": said}
    return TIERS.rank(scopes, Request((), options, native=native))


def test_the_operator_says_whose_requests_come_first():
    assert rank(key="ada") == rank(key="me", team="paying") == PRIORITY
    assert rank(key="me", user="night") == rank(key="me", org="labs") == FLEX
    assert rank(key="me", team="other") == rank() == DEFAULT


def test_what_is_said_of_a_key_counts_more_than_what_is_said_of_its_team_or_organisation():
    assert rank(key="ada", org="labs") == PRIORITY
    assert rank(key="me", user="night", team="paying") == FLEX


def test_a_request_may_say_that_it_can_wait_and_not_that_it_cannot():
    assert rank("flex", key="ada") == FLEX
    assert rank("default", key="ada") == DEFAULT
    assert rank("priority", key="me") == DEFAULT
    assert rank("priority", key="ada") == rank("auto", key="ada") == PRIORITY


@pytest.mark.parametrize("said", ["scale", "", 5, ["flex"], {"flex": 1}])
def test_a_word_that_is_none_of_these_says_nothing(said):
    assert rank(said, key="ada") == PRIORITY


def test_what_is_made_in_the_background_can_wait():
    assert rank(native={"background": True}, key="ada") == FLEX
    assert rank(native={"background": False}, key="ada") == PRIORITY


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"priority": ["ada"]}, "tiers.priority: 'ada' must be key:NAME, user:NAME, team:NAME, org:NAME"),
        ({"flex": ["expert:one"]}, "tiers.flex: 'expert:one' must be"),
        ({"flex": ["team:"]}, "tiers.flex: 'team:' must be"),
        ({"priority": ["team:a"], "flex": ["team:a"]}, "tiers.flex: 'team:a' is in tiers.priority, too"),
        ({"prioritty": []}, "did you mean 'priority'"),
    ],
)
def test_a_wrong_table_is_told(table, why):
    usual = {"experts": {"a": {"use": "x:Y"}}, "router": {"use": "x:Y"}, "policy": {"use": "x:Y"}}
    with pytest.raises(SetupError, match=why):
        config.of({**usual, "tiers": table})


def full(health: Health) -> list[bool]:
    return [health.full("a", rank) for rank in (FLEX, DEFAULT, PRIORITY)]


def test_seats_are_kept_free_for_those_who_come_first_while_they_come_row_30():
    clock = Clock()
    health = Health(clock)
    seated = crowd(health, 20)
    assert full(health) == [True, True, True]
    seated.pop().answers(1.0)
    assert full(health) == [False, False, False], "nobody of another rank came"
    health.crowds.came[PRIORITY] = clock.now
    assert full(health) == [True, True, False]
    health.crowds.came[DEFAULT] = clock.now
    for _ in range(2):
        seated.pop().answers(1.0)
    assert full(health) == [True, False, False], "it yields to both"
    for _ in range(2):
        seated.pop().answers(1.0)
    assert full(health) == [False, False, False]


def test_what_was_kept_is_given_up_when_they_come_no_more():
    clock = Clock()
    health = Health(clock)
    health.crowds.came[PRIORITY] = clock.now
    clock.now += QUIET_SECONDS
    seated = crowd(health, 20)
    seated.pop().answers(1.0)
    assert full(health) == [False, False, False]


def test_of_a_few_seats_none_is_kept_free():
    health = Health(Clock())
    health.crowds.came[PRIORITY] = health.clock()
    seated = crowd(health, 8)
    seated.pop().answers(1.0)
    assert full(health) == [False, False, False]


class Hall:
    """An expert with seats; who is seated stays until told to go."""

    def __init__(self, seats: int) -> None:
        self.name, self.card, self.seats = "hall", replace(CARD, dialects=frozenset({"chat", "responses"})), seats
        self.seated: list[asyncio.Event] = []
        self.refused = 0

    async def stream(self, request) -> AsyncIterator[Chunk]:
        if len(self.seated) >= self.seats:
            self.refused += 1
            raise Unavailable("full", status=503, cost=0)
        self.seated.append(go := asyncio.Event())
        try:
            await go.wait()
            yield Chunk({"role": "assistant", "content": "hi"}, "stop", Usage(1, 1), 5)
        finally:
            self.seated.remove(go)


class Evening:
    """Requests to the hall, one after the other."""

    def __init__(self, served: Served, hall: Hall) -> None:
        self.served, self.hall = served, hall
        self.tasks: set[asyncio.Task[httpx2.Response]] = set()
        self.clients = {key: served.http(key) for key in (KEY, OTHER)}

    async def comes(self, key: str = KEY, path: str = "/v1/chat/completions", **body: Any) -> httpx2.Response | None:
        """The answer of who is turned away; `None` if there was a seat."""
        usual = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        before = len(self.hall.seated)
        task = asyncio.create_task(self.clients[key].post(path, json=body if "model" in body else usual | body))
        self.tasks.add(task)
        while not task.done():
            if len(self.hall.seated) > before:
                return None
            await asyncio.sleep(0.001)
        return task.result()

    async def leave(self, count: int) -> None:
        """So many go, and have their answers."""
        left = [task for task in self.tasks if not task.done()]
        for go in self.hall.seated[:count]:
            go.set()
        while sum(task.done() for task in left) < count:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def evening(tmp_path, seats: int = 20) -> AsyncIterator[Evening]:
    """A hall that is full, and known to be."""
    hall = Hall(seats)
    door = make_door(tmp_path, [hall])
    door.school.tiers = Tiers(priority=("key:other",))
    door.stored = Stored(tmp_path / "responses.sqlite", 1.0)
    async with serving(door) as served:
        made = Evening(served, hall)
        for _ in range(seats + REFUSALS):
            await made.comes()
        yield made
        await made.leave(len(hall.seated))
        await asyncio.gather(*made.tasks)


def told(answer: httpx2.Response | None) -> tuple[str, float]:
    """How who was turned away heard it."""
    assert answer is not None
    assert answer.status_code == 503
    return answer.json()["error"]["code"], float(answer.headers["retry-after-ms"]) / 1000


async def test_paid_requests_come_first_and_flex_ones_last_row_30(tmp_path):
    async with evening(tmp_path) as night:
        await night.leave(1)
        assert await night.comes() is None, "nobody else wants the seat"
        code, paid = told(await night.comes(OTHER))
        assert code == "server_is_overloaded"
        assert 1.0 <= paid <= 2.0
        await night.leave(1)
        code, usual = told(await night.comes())
        assert code == "server_is_overloaded"
        assert 1.0 <= usual <= 4.0
        assert told(await night.comes(OTHER, service_tier="default"))[0] == "server_is_overloaded"
        assert await night.comes(OTHER) is None
        await night.leave(3)
        code, flex = told(await night.comes(service_tier="flex"))
        assert code == "server_is_overloaded"
        assert 1.0 <= flex <= 13.0
        assert await night.comes(model="hall", messages=[{"role": "user", "content": "hi"}]) is None
        assert night.hall.refused == REFUSALS, "nobody was sent to the expert for nothing"


async def test_a_response_in_the_background_waits_until_there_is_room_row_30(tmp_path, monkeypatch):
    monkeypatch.setattr(school, "SPREADS", (0.0, 0.0, 0.0))
    async with evening(tmp_path) as night:
        first = await night.comes(path="/v1/responses", model="auto", input="hi", background=True)
        assert first is not None
        name = first.json()["id"]
        client = night.clients[KEY]
        await asyncio.sleep(1.2)
        assert (await client.get(f"/v1/responses/{name}")).json()["status"] == "queued"
        await night.leave(10)
        while len(night.hall.seated) != 11:
            await asyncio.sleep(0.01)
        night.hall.seated[-1].set()
        while (answer := (await client.get(f"/v1/responses/{name}")).json())["status"] == "queued":
            await asyncio.sleep(0.01)
    assert answer["status"] == "completed"


async def test_who_asks_for_what_chat_cannot_say_hears_that_there_is_no_room_and_not_that_nobody_can(tmp_path):
    async with evening(tmp_path) as night:
        search = {"type": "file_search", "vector_store_ids": ["vs"]}
        answer = await night.comes(path="/v1/responses", model="auto", input="hi", tools=[search])
    assert told(answer)[0] == "server_is_overloaded"


@pytest.mark.parametrize(("said", "heard"), [("flex", "flex"), ("auto", "default"), ("priority", "default")])
async def test_a_response_says_how_it_was_served(served, said, heard):
    response = await served.openai().responses.create(model="auto", input="hi", service_tier=said)
    assert response.service_tier == heard


async def test_a_dry_run_takes_nobodys_seat(tmp_path):
    door = make_door(tmp_path, [scripted("first", "one")])
    before = list(door.school.health.crowds.came)
    assert door.school.rank(None) == PRIORITY
    assert list(door.school.health.crowds.came) == before
    await door.stop()

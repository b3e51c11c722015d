"""Overload: an expert stays as busy as it can be, and whoever finds no room is turned away before it. Row 30."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx2
import openai

from experts.base import Chunk, Unavailable
from experts.card import Usage
from gateway.crowds import QUIET_SECONDS, REFUSALS
from gateway.errors import overloaded
from gateway.health import FAILURES, Health, Tolerance
from tests.gateway.asked import Asked, Clock, crowd
from tests.gateway.conftest import CARD, KEY, make_door, scripted, serving


def test_what_an_expert_refuses_beside_others_is_its_limit_and_no_illness_row_30():
    health = Health(Clock())
    crowd(health, 8, refusals=100)
    assert health.full("a")
    assert health.left_out(["a", "b"]) == set()


def test_the_next_is_admitted_as_soon_as_one_has_ended_row_30():
    health = Health(Clock())
    seated = crowd(health, 8)
    seated[0].answers(1.0)
    assert not health.full("a")
    seated.append(Asked(health))
    assert health.full("a")


def test_it_is_tried_whether_there_is_more_room():
    health = Health(Clock())
    seated = crowd(health, 8)
    for _ in range(9):
        seated.pop().answers(1.0)
        seated.append(Asked(health))
    assert not health.full("a")
    Asked(health)
    assert health.full("a"), "one more than before"


def test_what_it_answers_beside_few_others_says_nothing_of_its_limit():
    health = Health(Clock())
    seated = crowd(health, 8)
    for _ in range(4):
        seated.pop().answers(1.0)
    for _ in range(50):
        Asked(health).answers(1.0)
    for _ in range(3):
        Asked(health)
    assert not health.full("a")
    Asked(health)
    assert health.full("a"), "still as many as before"


def test_one_or_two_refusals_are_an_accident():
    health = Health(Clock())
    crowd(health, 1, refusals=REFUSALS - 1)
    assert not health.full("a")


def test_its_limit_is_forgotten_when_it_refuses_nobody_any_more():
    clock = Clock()
    health = Health(clock)
    crowd(health, 2)
    clock.now += QUIET_SECONDS
    assert not health.full("a")
    assert health.crowded == {}


def test_who_is_refused_alone_is_refused_by_an_expert_that_is_ill():
    health = Health(Clock())
    for _ in range(FAILURES):
        Asked(health).fails(status=503)
    assert not health.full("a")
    assert health.left_out(["a", "b"]) == {"a"}


def test_where_nobody_is_to_be_left_out_nobody_is_turned_away():
    health = Health(Clock(), Tolerance(failures=0))
    crowd(health, 3, refusals=20)
    assert not health.full("a")


def test_an_error_is_no_refusal():
    health = Health(Clock())
    for _ in range(8):
        Asked(health)
    for _ in range(FAILURES):
        Asked(health).fails(status=500)
    assert not health.full("a")
    assert health.left_out(["a", "b"]) == {"a"}


def test_nobody_is_to_come_back_at_the_same_time_row_30():
    waits = [dict(overloaded().all_headers()) for _ in range(50)]
    assert len({wait[b"retry-after-ms"] for wait in waits}) > 40
    assert {wait[b"retry-after"] for wait in waits} <= {b"2", b"3", b"4"}
    assert all(wait[b"x-should-retry"] == b"true" for wait in waits)


class Seats:
    """An expert that refuses whom it has no seat for; one that is seated stays until the others have come."""

    def __init__(self, name: str, seats: int) -> None:
        self.name, self.card, self.seats = name, CARD, seats
        self.taken = self.refused = self.served = 0
        self.go = asyncio.Event()

    async def stream(self, request) -> AsyncIterator[Chunk]:
        if self.taken >= self.seats:
            self.refused += 1
            raise Unavailable("full", status=503, cost=0)
        self.taken += 1
        try:
            await self.go.wait()
            self.served += 1
            yield Chunk({"role": "assistant", "content": "hi"}, "stop", Usage(1, 1), 5)
        finally:
            self.taken -= 1


async def asked(served, experts: Sequence[Seats], times: int, model: str = "auto") -> list[httpx2.Response]:
    """One after the other, so that each is decided after the last has been refused; those that are seated stay."""
    tasks: list[asyncio.Task[httpx2.Response]] = []
    for _ in range(times):
        tasks.append(asyncio.create_task(served.ask(model=model)))
        while not (tasks[-1].done() or sum(expert.taken for expert in experts) >= len(tasks)):
            await asyncio.sleep(0.001)
    for expert in experts:
        expert.go.set()
    return await asyncio.gather(*tasks)


async def test_who_finds_no_room_is_turned_away_before_the_expert_row_30(tmp_path):
    expert = Seats("only", 3)
    async with serving(make_door(tmp_path, [expert])) as served:
        answers = await asked(served, [expert], 20)
        rows = served.ledger("outcomes")
        again = await served.ask()

    away = [answer for answer in answers if answer.status_code == 503]
    assert (len(answers) - len(away), expert.refused) == (3, REFUSALS)
    assert {answer.json()["error"]["code"] for answer in away} == {"server_is_overloaded"}
    assert len({answer.headers["retry-after-ms"] for answer in away}) > 1
    assert len(rows) == 3 + REFUSALS, "who was turned away was never asked about"
    assert again.status_code == 200


async def test_an_expert_that_is_named_turns_away_too_and_others_take_what_one_has_no_room_for_row_30(tmp_path):
    first, second = Seats("first", 2), Seats("second", 2)
    async with serving(make_door(tmp_path, [first, second])) as served:
        answers = await asked(served, [first, second], 12)
        assert sum(answer.status_code == 200 for answer in answers) == 4
        first.go.clear()
        named = await asked(served, [first], 8, model="first")
    assert sum(answer.status_code == 200 for answer in named) == 2
    assert {answer.json()["error"]["code"] for answer in named if answer.status_code != 200} == {"server_is_overloaded"}


async def test_the_sdk_waits_as_long_as_it_is_told_and_is_served_row_30(tmp_path):
    expert = Seats("only", 1)
    async with serving(make_door(tmp_path, [expert])) as served:
        first = asyncio.create_task(served.ask())
        while not expert.taken:
            await asyncio.sleep(0.001)
        for _ in range(REFUSALS):
            assert (await served.ask()).status_code == 503
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=KEY, max_retries=3) as client:
            chat = client.chat.completions.with_raw_response
            later = asyncio.ensure_future(chat.create(model="auto", messages=[{"role": "user", "content": "hi"}]))
            while not served.door.metrics.requests["/v1/chat/completions", "503"] > REFUSALS:
                await asyncio.sleep(0.001)
            expert.go.set()
            answer = await later
        await first
    assert answer.retries_taken == 1
    assert expert.refused == REFUSALS


async def test_a_healthy_school_notices_nothing(tmp_path):
    async with serving(make_door(tmp_path, [scripted("a"), scripted("b")])) as served:
        client, body = served.http(), {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}

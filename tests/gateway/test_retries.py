"""A client's own retries: what was bought once and could not be delivered is delivered, not bought again. Row 41."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from experts.openai_http import OpenAIHTTP
from gateway import retries
from gateway.shelf import Shelf
from gateway.stored import Kept, Stored
from policies.batches import StoreUnavailable
from policies.ensemble import Ensemble
from policies.ledger import Ledger
from tests.experts import raw
from tests.gateway.conftest import CARD, KEY, OTHER, Served, make_door, scripted, serving
from tests.gateway.test_hot import DONE, ONE, ROLE, STOP, stream, whole

HI: Any = [{"role": "user", "content": "hi"}]
RETRY = {retries.COUNT.decode(): "1"}


class Shop:
    """Sells answers, each with a number; the first `fills` of them find the disk full once they have been sold. It is
    as long as the client has not been told so."""

    def __init__(self, fills: int) -> None:
        self.fills, self.sold, self.told, self.free_after = fills, 0, 0, 1
        self.limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def sell(self, _: Any = None) -> str:
        self.sold += 1
        if self.sold <= self.fills:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, self.limit[1]))
        return f"answer {self.sold}"

    async def heard(self, response: Any) -> None:
        """The client has an answer, or an error."""
        self.told += response.status_code == 503
        if self.told >= self.free_after:
            self.free()

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limit)


@asynccontextmanager
async def selling(
    tmp_path, behind: str, fills: int = 1, durability: Any = "full"
) -> AsyncIterator[tuple[Served, Shop]]:
    """A gateway before an expert that callbacks ask, or coroutines."""
    shop = Shop(fills)

    async def handler(talk: raw.Talk) -> None:
        while True:
            head, body = await talk.request()
            if b'"stream":true' in body:
                shop.sell()
                await talk.say(*stream(ROLE, ONE, STOP, DONE))
            else:
                await talk.say(whole(shop.sell()))

    async with raw.serving(handler) as server:
        far = OpenAIHTTP("shop", CARD, url=f"{server.url}/v1")
        door = make_door(tmp_path, [far if behind == "callbacks" else scripted("shop", shop.sell)])
        books = door.school.books
        await books.ledger.close()
        books.ledger = Ledger.open(tmp_path / "ledger.sqlite", durability)
        try:
            async with serving(door) as served:
                yield served, shop
                shop.free()
                await far.stop()
        finally:
            shop.free()


def client(served: Served, shop: Shop, retries: int = 2, key: str = KEY) -> openai.AsyncOpenAI:
    """OpenAI's own library, which tries again by itself; the disk has room once it has heard that there was none."""
    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [shop.heard]})
    made = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=retries, http_client=http)
    served.clients.append(made)
    return made


async def bought(made: openai.AsyncOpenAI, words: str = "hi", **more: Any) -> Any:
    """What the client gets."""
    messages: Any = [{"role": "user", "content": words}]
    answer = await made.chat.completions.create(model="auto", messages=messages, **more)
    return answer.choices[0].message.content


async def lost(made: openai.AsyncOpenAI, words: str = "hi") -> None:
    """It buys an answer and does not get it; then the ledger is tried again."""
    with pytest.raises(openai.InternalServerError, match="cannot be written"):
        await bought(made, words)
    await asyncio.sleep(1.1)


both = pytest.mark.parametrize("behind", ["coroutines", "callbacks"])


@both
@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_an_answer_that_could_not_be_recorded_is_given_to_the_retry_and_billed_once_row_41(
    tmp_path, behind, durability
):
    async with selling(tmp_path, behind, durability=durability) as (served, shop):
        answer = await client(served, shop).chat.completions.with_raw_response.create(model="auto", messages=HI)
    rows, decisions = served.ledger("outcomes"), served.ledger("decisions")
    assert answer.parse().choices[0].message.content == "answer 1"
    assert (shop.sold, shop.told, answer.retries_taken) == (1, 1, 1)
    assert [row["expert"] for row in rows] == ["shop"]
    assert float(answer.headers["x-lyceum-cost"]) * 1e9 == pytest.approx(rows[0]["cost"])
    assert rows[0]["cost"] > 0
    assert (decisions[-1]["policy"], decisions[-1]["id"]) == ("retried", rows[0]["decision"])


@both
async def test_it_is_given_once_and_a_request_that_is_no_retry_buys_its_own_row_41(tmp_path, behind):
    async with selling(tmp_path, behind) as (served, shop):
        never = client(served, shop, retries=0)
        await lost(never)
        assert await bought(never) == "answer 2", "a first try"
        assert await bought(never, extra_headers=RETRY) == "answer 1"
        assert await bought(never, extra_headers=RETRY) == "answer 3"


@both
async def test_nobody_gets_what_another_has_bought_or_asked_otherwise_row_41(tmp_path, behind):
    async with selling(tmp_path, behind) as (served, shop):
        mine = client(served, shop, retries=0)
        await lost(mine)
        assert await bought(client(served, shop, key=OTHER), extra_headers=RETRY) == "answer 2"
        assert await bought(mine, "hello", extra_headers=RETRY) == "answer 3"
        assert await bought(mine, temperature=0, extra_headers=RETRY) == "answer 4"
        assert await bought(mine, extra_headers=RETRY) == "answer 1"


@both
async def test_it_waits_for_as_long_as_the_disk_is_full_row_41(tmp_path, behind):
    async with selling(tmp_path, behind) as (served, shop):
        patient = client(served, shop, retries=5)
        shop.free_after = 3
        assert await bought(patient) == "answer 1"
        assert (shop.sold, shop.told) == (1, 3)


@both
async def test_after_some_time_it_is_forgotten(tmp_path, behind):
    async with selling(tmp_path, behind) as (served, shop):
        mine = client(served, shop, retries=0)
        await lost(mine)
        clock = served.door.school.clock
        served.door.school.clock = lambda: clock() + retries.SECONDS
        assert await bought(mine, extra_headers=RETRY) == "answer 2"
        assert not served.door.school.retries.waiting[0]


async def test_the_oldest_makes_room(tmp_path):
    async with selling(tmp_path, "coroutines", fills=3) as (served, shop):
        served.door.school.retries.join(Shelf(places=2))
        mine = client(served, shop, retries=0)
        for words in ("a", "b", "c"):
            await lost(mine, words)
        answers = [await bought(mine, words, extra_headers=RETRY) for words in ("a", "b", "c")]
    assert answers == ["answer 4", "answer 2", "answer 3"]


async def test_what_one_of_an_ensemble_has_said_is_not_the_answer(tmp_path):
    shop = Shop(fills=1)
    door = make_door(tmp_path, [scripted("one", shop.sell), scripted("two", shop.sell)], Ensemble(2))
    try:
        async with serving(door) as served:
            with pytest.raises(openai.InternalServerError):
                await bought(client(served, shop, retries=0))
            assert not door.school.retries.waiting[0]
    finally:
        shop.free()


@both
async def test_of_a_stream_nothing_is_kept_and_its_connection_stays_sound(tmp_path, behind):
    async with selling(tmp_path, behind) as (served, shop):
        mine = client(served, shop, retries=0)
        with pytest.raises(openai.APIError, match="ledger"):
            async for _ in await mine.chat.completions.create(model="auto", messages=HI, stream=True):
                pass
        assert not served.door.school.retries.waiting[0]
        shop.free()
        await asyncio.sleep(1.1)
        assert await bought(mine, extra_headers=RETRY) == "answer 2"


async def test_an_answer_in_another_dialect_is_given_to_its_retry_row_41(tmp_path):
    async with selling(tmp_path, "coroutines") as (served, shop):
        http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [shop.heard]})
        async with anthropic.AsyncAnthropic(base_url=served.url, api_key=KEY, http_client=http) as made:
            answer = await made.messages.create(model="auto", max_tokens=50, messages=HI)
    assert [getattr(part, "text", "") for part in answer.content] == ["answer 1"]
    assert (shop.sold, shop.told) == (1, 1)


class Shaky(Stored):
    """Cannot be written the first time."""

    async def put(self, key: str, kept: Kept) -> None:
        if not hasattr(self, "failed"):
            self.failed = True
            raise StoreUnavailable("the disk is full")
        await super().put(key, kept)


async def test_a_response_that_could_not_be_kept_is_given_to_its_retry_and_billed_once_row_41(tmp_path):
    shop = Shop(fills=0)
    door = make_door(tmp_path, [scripted("shop", shop.sell)])
    door.stored = Shaky(tmp_path / "responses.sqlite", 1.0)
    async with serving(door) as served:
        made = client(served, shop)
        answer = await made.responses.with_raw_response.create(model="auto", input="hi")
        response = answer.parse()
        assert (await made.responses.retrieve(response.id)).output_text == "answer 1"
    costs = [row["cost"] for row in served.ledger("outcomes")]
    assert (response.output_text, answer.retries_taken, shop.sold, shop.told) == ("answer 1", 1, 1, 1)
    assert (costs[0] > 0, costs[1:]) == (True, [0])
    assert [row["policy"] for row in served.ledger("decisions")][-1] == retries.NAME

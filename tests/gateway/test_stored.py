"""Responses that are kept: for their own key, for a while, and only if client and operator want it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import openai
import pytest

from experts.base import Unavailable
from gateway.stored import Kept, Stored
from tests.gateway.answers import Says, keeping, strict_response
from tests.gateway.conftest import OTHER, scripted, serving

HELLO = {"content": "Hello"}


@pytest.fixture
async def kept(tmp_path):
    """A gateway that keeps responses of one expert."""
    async with serving(keeping(tmp_path, Says("one", HELLO))) as served:
        yield served


async def test_a_response_is_kept_shown_and_thrown_away(kept):
    client = kept.openai()
    made = await client.responses.create(model="auto", input="hi", instructions="be brief")

    assert await client.responses.retrieve(made.id) == made
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.delete(made.id)


async def test_a_streamed_response_is_kept_before_it_is_said_to_be_complete(kept):
    client = kept.openai()
    stream = await client.responses.create(model="auto", input="hi", stream=True)
    final = [event async for event in stream][-1]

    assert final.type == "response.completed"
    assert (await client.responses.retrieve(final.response.id)).output_text == "Hello"


async def test_a_response_is_nobody_elses(kept):
    """Row 60: an object of another key is not there."""
    made = await kept.openai().responses.create(model="auto", input="hi")
    other = kept.http(OTHER)

    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        response = await other.request(method, f"/v1/responses/{made.id}{path}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "response_not_found"
    body = {"model": "auto", "input": "hi", "previous_response_id": made.id}
    refused = await other.post("/v1/responses", json=body)
    assert refused.json()["error"]["code"] == "previous_response_not_found"


async def test_what_the_client_does_not_want_kept_is_not(kept):
    client = kept.openai()
    made = await client.responses.create(model="auto", input="hi", store=False)

    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    assert (await kept.http().post("/v1/responses", json={"model": "auto", "input": "hi"})).json()["store"] is True


async def test_an_operator_who_keeps_nothing_says_so_in_the_answer(tmp_path):
    door = keeping(tmp_path, Says("one", HELLO))
    assert door.stored is not None
    await door.stored.close()
    door.stored = None
    async with serving(door) as served:
        made = await served.openai().responses.create(model="auto", input="hi")
        shown = await served.http().get(f"/v1/responses/{made.id}")
        later = {"model": "auto", "input": "hi", "background": True}
        refused = await served.http().post("/v1/responses", json=later)

    assert made.model_dump()["store"] is False
    assert shown.status_code == 404
    assert refused.json()["error"]["param"] == "background"


async def test_a_conversation_goes_on_from_a_response(tmp_path):
    expert = Says("one", HELLO)
    async with serving(keeping(tmp_path, expert)) as served:
        client = served.openai()
        first = await client.responses.create(model="auto", input="one", instructions="be brief")
        second = await client.responses.create(model="auto", input="two", previous_response_id=first.id)
        third = await client.responses.create(model="auto", input="three", previous_response_id=second.id)
        listed = await client.responses.input_items.list(third.id, order="asc")

    said = [(message["role"], message["content"]) for message in expert.seen[2].messages]
    assert said == [("user", "one"), ("assistant", "Hello"), ("user", "two"), ("assistant", "Hello"), ("user", "three")]
    assert third.previous_response_id == second.id
    assert [item.type for item in listed.data] == ["message"] * 5


async def test_the_items_of_an_input_come_page_by_page(kept):
    client = kept.openai()
    items: Any = [{"role": "user", "content": f"message {number}"} for number in range(7)]
    made = await client.responses.create(model="auto", input=items)

    page = await client.responses.input_items.list(made.id, limit=3)
    everything = [item async for item in client.responses.input_items.list(made.id, limit=3)]

    assert page.has_more is True
    texts = [item.model_dump()["content"][0]["text"] for item in everything]
    assert texts == [f"message {number}" for number in reversed(range(7))]


async def test_an_item_may_be_named_instead_of_repeated(tmp_path):
    expert = Says("one", HELLO)
    async with serving(keeping(tmp_path, expert)) as served:
        client = served.openai()
        first = await client.responses.create(model="auto", input="one")
        again: Any = [{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "two"}]
        await client.responses.create(model="auto", input=again)
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model="auto", input=[{"type": "item_reference", "id": "msg_none_1"}])

    assert [message["content"] for message in expert.seen[1].messages] == ["Hello", "two"]
    assert caught.value.param == "input[0].type"


async def ended(client: Any, name: str) -> Any:
    """A response as it is once it is no longer being made."""
    while (made := await client.responses.retrieve(name)).status in ("queued", "in_progress"):
        await asyncio.sleep(0.01)
    return made


async def test_a_response_is_made_in_the_background(kept):
    client = kept.openai()
    response = await kept.http().post("/v1/responses", json={"model": "auto", "input": "hi", "background": True})
    first = strict_response(response.content)
    made = await ended(client, first["id"])

    assert (first["status"], first["background"], first["output"]) == ("queued", True, [])
    assert (made.status, made.output_text) == ("completed", "Hello")


async def test_a_response_in_the_background_that_fails_says_so(tmp_path):
    async with serving(keeping(tmp_path, Says("one", error=Unavailable("down")))) as served:
        client = served.openai()
        first = await client.responses.create(model="auto", input="hi", background=True)
        made = await ended(client, first.id)

    assert made.status == "failed"
    assert made.error is not None
    assert made.error.code == "server_error"


async def test_a_response_in_the_background_is_given_up_and_stays_so(tmp_path):
    async with serving(keeping(tmp_path, scripted("slow", seconds=60))) as served:
        client = served.openai()
        first = await client.responses.create(model="auto", input="hi", background=True)
        cancelled = await client.responses.cancel(first.id)
        assert served.door.stored is not None
        while served.door.stored.running:
            await asyncio.sleep(0.01)
        shown = await client.responses.retrieve(first.id)
        done = await client.responses.create(model="auto", input="hi", background=True)

    assert cancelled.status == shown.status == "cancelled"
    stored = Stored(tmp_path / "responses.sqlite", 30.0)
    left = await stored.get("me", done.id)
    await stored.close()
    assert left is not None
    assert left.response["status"] == "failed"  # the gateway was stopped before it could be made


async def test_only_a_response_in_the_background_can_be_given_up(kept):
    made = await kept.openai().responses.create(model="auto", input="hi")
    response = await kept.http().post(f"/v1/responses/{made.id}/cancel")

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "response_not_in_background"


async def test_a_kept_response_is_not_streamed_again(kept):
    made = await kept.openai().responses.create(model="auto", input="hi")
    response = await kept.http().get(f"/v1/responses/{made.id}?stream=true")

    assert response.json()["error"]["param"] == "stream"


async def test_responses_are_kept_for_so_many_days(tmp_path, monkeypatch):
    stored = Stored(tmp_path / "responses.sqlite", 2.0)
    await stored.put("me", Kept({"id": "resp_1", "status": "completed"}, []))
    now = time.time()
    assert await stored.get("me", "resp_1") is not None
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86_400)
    assert await stored.get("me", "resp_1") is None
    await stored.put("me", Kept({"id": "resp_2", "status": "completed"}, []))
    assert await stored.delete("me", "resp_1") is False
    await stored.close()

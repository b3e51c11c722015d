"""Answers in the Responses dialect by experts that speak chat only: openai's own client, and its types, strictly."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from experts.base import BrokenOff, Unavailable
from policies.base import Accept, Ask, State
from tests.gateway.answers import USED, Says, answering, keeping, post, stream, types
from tests.gateway.conftest import make_door, scripted, serving

HELLO = {"role": "assistant"}, {"content": "Hello"}, {"content": " there"}


class First:
    """Asks everybody whole, and takes what the first one says."""

    def decide(self, state: State) -> Ask | Accept:
        if state.answers:
            return Accept(state.answers[0], "the first")
        return Ask(tuple(state.estimates), why="all")


async def test_an_answer_is_a_response_with_one_message_and_true_counts(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        response = await served.openai().responses.with_raw_response.create(model="auto", input="hi")
        made = response.parse()

    assert made.output_text == "Hello there"
    assert made.status == "completed"
    assert made.model == "one"
    assert response.headers["x-lyceum-expert"] == "one"
    assert response.headers["x-lyceum-cost"] == "0.000000005"
    assert response.headers["x-request-id"] in made.id
    used = made.usage
    assert used is not None
    assert (used.input_tokens, used.output_tokens, used.total_tokens) == (100, 20, 120)
    assert (used.input_tokens_details.cached_tokens, used.output_tokens_details.reasoning_tokens) == (60, 8)


async def test_a_stream_is_the_protocols_events_in_their_order(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        events = await stream(served)

    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events if "delta" in event] == ["Hello", " there"]
    final = events[-1]["response"]
    assert final["output"] == [events[-2]["item"]]
    assert final["usage"]["output_tokens"] == USED.completion_tokens
    assert events[0]["response"]["status"] == "in_progress"


async def test_openais_client_follows_a_stream_to_the_same_response(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        stream = served.openai().responses.stream(model="auto", input="hi")
        async with stream as events:
            texts = [event.delta async for event in events if event.type == "response.output_text.delta"]
            final = await events.get_final_response()

    assert texts == ["Hello", " there"]
    assert final.output_text == "Hello there"


async def test_thoughts_are_a_reasoning_item_before_the_message(tmp_path):
    deltas = {"reasoning_content": "let me"}, {"reasoning_content": " see"}, {"content": "4"}
    async with answering(tmp_path, Says("one", *deltas)) as served:
        whole = await post(served)
        events = await stream(served)

    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert whole["output"][0]["content"] == [{"type": "reasoning_text", "text": "let me see"}]
    assert types(events)[2:8] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
    ]


async def test_a_refusal_is_told_as_one(tmp_path):
    async with answering(tmp_path, Says("one", {"refusal": "no"})) as served:
        whole = await post(served)
        events = await stream(served)

    assert whole["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert "refusal.delta" in types(events)
    assert "refusal.done" in types(events)


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_that_was_stopped_is_incomplete_and_says_why(tmp_path, reason, why):
    async with answering(tmp_path, Says("one", *HELLO, reason=reason)) as served:
        whole = await post(served)
        events = await stream(served)

    assert types(events)[-1] == "incomplete"
    for made in (whole, events[-1]["response"]):
        assert made["status"] == made["output"][0]["status"] == "incomplete"
        assert made["incomplete_details"] == {"reason": why}
        assert made["completed_at"] is None


async def test_a_stream_that_breaks_fails_and_is_never_complete(tmp_path):
    """Row 8."""
    error = BrokenOff("the answer broke off")
    async with answering(tmp_path, Says("one", *HELLO, error=error)) as served:
        events = await stream(served)
        kept = await served.http().get(f"/v1/responses/{events[0]['response']['id']}")

    assert types(events)[-1] == "failed"
    assert not {"completed", "incomplete", "output_item.done", "output_text.done"} & set(types(events))
    failed = events[-1]["response"]
    assert failed["error"]["code"] == "server_error"
    assert failed["output"][0]["status"] == "incomplete"
    assert kept.status_code == 404


async def test_an_expert_that_gives_up_does_not_end_its_answer(tmp_path):
    """SGLang ends a stream whose request was aborted with a finish_reason of its own."""
    async with answering(tmp_path, Says("one", *HELLO, reason="abort")) as served:
        events = await stream(served)
        whole = await served.http().post("/v1/responses", json={"model": "auto", "input": "hi"})

    assert types(events)[-1] == "failed"
    assert whole.status_code == 502


async def test_an_expert_that_fails_before_its_first_byte_is_replaced_without_a_trace(tmp_path):
    async with answering(tmp_path, Says("one", error=Unavailable("down")), Says("two", *HELLO)) as served:
        events = await stream(served)
        whole = await post(served)

    assert types(events)[-1] == "completed"
    assert events[0]["response"]["model"] == whole["model"] == "two"


async def test_an_answer_has_the_shape_that_a_schema_asks_for(tmp_path):
    class Place(BaseModel):
        name: str

    expert = Says("one", {"content": '{"name":"Rome"}'})
    async with answering(tmp_path, expert) as served:
        made = await served.openai().responses.parse(model="auto", input="hi", text_format=Place)

    assert made.output_parsed == Place(name="Rome")
    assert expert.seen[0].options["response_format"]["json_schema"]["name"] == "Place"


async def test_an_answer_that_a_cascade_took_is_streamed_as_events(tmp_path):
    """An answer that was asked for whole reaches a client that wants events."""
    door = make_door(tmp_path, [scripted("one", "one two"), scripted("two", "three")], First())
    async with serving(door) as served:
        events = await stream(served)

    assert types(events)[-1] == "completed"
    assert "".join(event["delta"] for event in events if "delta" in event) == "one two"


async def test_the_operator_may_have_the_requested_model_named(tmp_path):
    door = keeping(tmp_path, Says("one", *HELLO))
    door.names_expert = False
    async with serving(door) as served:
        assert (await post(served))["model"] == "auto"

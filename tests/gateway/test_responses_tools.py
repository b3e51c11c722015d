"""Tools in the Responses dialect with experts that speak chat only: called, streamed, left out, or refused."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.gateway.answers import Says, answering, post, stream, tool_call, types

HELLO = {"role": "assistant"}, {"content": "Hello"}, {"content": " there"}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALLED = tool_call(0, "get_weather", "")
CALLS = (
    CALLED,
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"location":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]},
)


async def test_a_tool_is_called_and_its_result_comes_back_to_the_expert(tmp_path):
    expert = Says("one", *CALLS, reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        client = served.openai()
        first = await client.responses.create(model="auto", input="Rome?", tools=[WEATHER])
        call = first.output[0]
        assert call.type == "function_call"
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        await client.responses.create(model="auto", previous_response_id=first.id, input=[result], tools=[WEATHER])

    assert (call.name, call.arguments) == ("get_weather", '{"location":"Rome"}')
    assert expert.seen[0].options["tools"][0]["function"]["strict"] is True
    roles = [message["role"] for message in expert.seen[1].messages]
    assert roles == ["user", "assistant", "tool"]
    assert expert.seen[1].messages[1]["tool_calls"][0]["id"] == expert.seen[1].messages[2]["tool_call_id"]


async def test_a_streamed_call_has_its_own_events(tmp_path):
    async with answering(tmp_path, Says("one", *CALLS, reason="tool_calls")) as served:
        events = await stream(served, tools=[WEATHER])

    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert events[5]["arguments"] == '{"location":"Rome"}'


async def test_parallel_calls_are_items_of_their_own(tmp_path):
    calls = tool_call(0, "get_weather", '{"location":"Rome"}'), tool_call(1, "get_weather", '{"location":"Oslo"}')
    async with answering(tmp_path, Says("one", *calls, reason="tool_calls")) as served:
        whole = await post(served, tools=[WEATHER])
        events = await stream(served, tools=[WEATHER])

    assert [item["call_id"] for item in whole["output"]] == ["call_0", "call_1"]
    assert [event["output_index"] for event in events if event["type"].endswith("item.done")] == [0, 1]


async def test_a_call_of_a_function_in_a_namespace_names_both(tmp_path):
    space = {"type": "namespace", "name": "maps", "description": "Maps", "tools": [WEATHER]}
    async with answering(tmp_path, Says("one", tool_call(0, "maps__get_weather", "{}"), reason="tool_calls")) as served:
        made = await post(served, tools=[space])

    assert (made["output"][0]["namespace"], made["output"][0]["name"]) == ("maps", "get_weather")
    assert made["tools"] == [space]


async def test_what_no_expert_can_be_told_is_one_clear_400(tmp_path):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        with pytest.raises(openai.BadRequestError) as caught:
            await served.openai().responses.create(model="auto", input="hi", tools=[{"type": "web_search"}])

    assert (caught.value.code, caught.value.param) == ("unsupported_feature", "tools[0].type")
    assert "responses" in str(caught.value)


SEARCH: Any = {"type": "web_search", "external_web_access": False}
READ: Any = {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}}


async def test_a_provider_s_own_tool_among_others_is_left_out_for_experts_that_have_none_and_the_answer_says_so(
    tmp_path,
):
    """Codex offers web_search beside its functions; nothing else of it would be lost."""
    expert = Says("one", *HELLO)
    async with answering(tmp_path, expert) as served:
        client = served.openai().responses.with_raw_response
        response = await client.create(model="auto", input="hi", tools=[READ, SEARCH])

    assert response.headers["x-lyceum-left-out"] == "tools[1].type"
    assert [tool["function"]["name"] for tool in expert.seen[0].options["tools"]] == ["read"]
    assert [tool.type for tool in response.parse().tools] == ["function", "web_search"]


@pytest.mark.parametrize("choice", ["required", {"type": "web_search"}])
async def test_a_provider_s_own_tool_is_not_left_out_where_it_may_be_what_is_asked_for(tmp_path, choice):
    async with answering(tmp_path, Says("one", *HELLO)) as served:
        with pytest.raises(openai.BadRequestError) as caught:
            await served.openai().responses.create(model="auto", input="hi", tools=[READ, SEARCH], tool_choice=choice)

    assert caught.value.code == "unsupported_feature"

"""Free-form tools of chat with experts that know functions alone: called, streamed, remembered, or left alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from experts.card import Card, Price
from gateway.custom import arguments
from tests.gateway.answers import Says, answering, tool_call
from tests.gateway.conftest import Served
from tests.gateway.test_custom import APPLY, PATCH, READ, SHELL, called, in_chat


async def chat(served: Served, **more: Any) -> Any:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": [in_chat(SHELL)], **more}
    response = await served.http().post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response


async def test_a_free_form_tool_of_chat_is_called(tmp_path):
    expert = Says("one", tool_call(0, "shell", arguments(PATCH)), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        client = served.openai().chat.completions
        made = await client.create(model="auto", messages=[{"role": "user", "content": "hi"}], tools=[in_chat(SHELL)])

    calls = made.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "custom"
    assert (calls[0].id, calls[0].custom.name, calls[0].custom.input) == ("call_0", "shell", PATCH)


async def test_a_free_form_tool_of_chat_is_streamed_as_openai_streams_it(tmp_path):
    calls = (*called("shell", PATCH), tool_call(1, "read", "{}"))
    async with answering(tmp_path, Says("one", {"content": "wait"}, *calls, reason="tool_calls")) as served:
        response = await chat(served, stream=True, tools=[in_chat(SHELL), in_chat(READ)])

    events = [orjson.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]
    deltas = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", ())]
    mine = [call for call in deltas if call["index"] == 0]
    assert mine[0] == {"index": 0, "id": "call_0", "type": "custom", "custom": {"name": "shell", "input": ""}}
    assert "".join(call["custom"]["input"] for call in mine) == PATCH
    assert [call["function"]["name"] for call in deltas if call["index"] == 1] == ["read"]
    assert response.text.endswith("data: [DONE]\n\n")


async def test_a_conversation_of_free_form_calls_goes_to_a_chat_expert_as_functions(tmp_path):
    expert = Says("one", {"content": "done"})
    call = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    other = {"id": "d", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    said = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "c", "content": "a.txt"},
        {"role": "tool", "tool_call_id": "d", "content": "x"},
    ]
    async with answering(tmp_path, expert) as served:
        chosen = {"type": "custom", "custom": {"name": "shell"}}
        await chat(served, messages=said, tool_choice=chosen)
        await chat(served, messages=said, tools=None)

    for request in expert.seen:
        calls = request.messages[1]["tool_calls"]
        assert calls[0] == {"id": "c", "type": "function", "function": {"name": "shell", "arguments": '{"input":"ls"}'}}
        assert calls[1] == other
    assert expert.seen[0].options["tool_choice"] == {"type": "function", "function": {"name": "shell"}}


async def test_an_expert_that_knows_free_form_tools_gets_them_as_they_came(tmp_path):
    """Servers of the responses dialect know them in chat, too."""
    knowing = Says("knowing", {"content": "hi"})
    knowing.card = Card(tools=True, dialects=frozenset({"chat", "responses"}), price=Price(prompt=1.0))
    tools = [in_chat(APPLY)]
    async with answering(tmp_path, Says("other", {"content": "hi"}), knowing) as served:
        response = await chat(served, tools=tools, tool_choice="required")

    assert response.headers["x-lyceum-expert"] == "knowing"
    assert knowing.seen[0].options["tools"] == tools


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_without_its_input_is_never_a_whole_answer(tmp_path, streamed):
    expert = Says("one", tool_call(0, "shell", '{"command":'), tool_call(0, "", '"ls"}'), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": streamed}
        response = await served.http().post("/v1/chat/completions", json=body | {"tools": [in_chat(SHELL)]})

    assert response.status_code == (200 if streamed else 502)
    assert "[DONE]" not in response.text
    assert "error" in response.text


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ({"tools": [{"type": "custom", "custom": {"name": "a", "format": 1}}]}, "tools[0].custom.format"),
        ({"tools": [{"type": "custom", "custom": {"name": "a", "format": {"type": "x"}}}]}, "tools[0].custom.format"),
        ({"tools": [SHELL | {"custom": {"name": "a"}}], "tool_choice": {"type": "custom"}}, "tool_choice"),
    ],
)
async def test_a_malformed_free_form_tool_is_refused_with_its_place(tmp_path, more, param):
    async with answering(tmp_path, Says("one", {"content": "hi"})) as served:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], **more}
        response = await served.http().post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param

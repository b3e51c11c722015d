"""The cases of the Open Responses compliance suite in our own words: with the real small model, and to the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from experts.llamacpp import LlamaCppExpert
from tests.gateway.answers import Says, keeping, strict_events, strict_response, tool_call
from tests.gateway.conftest import Served, serving

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmM"
    "IQAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}


def says(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


CASES: dict[str, list[dict[str, Any]]] = {
    "basic": [says("user", "Greet me in three words.")],
    "system": [says("system", "You talk like a sailor."), says("user", "Greet me.")],
    "developer": [says("developer", "You talk like a sailor."), says("user", "Greet me.")],
    "several turns": [
        says("user", "I am called Ada."),
        says("assistant", "Pleased to meet you, Ada."),
        says("user", "What am I called?"),
    ],
}


@pytest.fixture
async def small(tmp_path: Path, small_model: LlamaCppExpert) -> AsyncIterator[Served]:
    async with serving(keeping(tmp_path, small_model)) as served:
        yield served


@pytest.mark.parametrize("case", CASES)
async def test_a_conversation_is_answered_by_a_whole_response(small, case):
    body = {"model": "auto", "input": CASES[case], "max_output_tokens": 16, "temperature": 0}
    response = await small.http().post("/v1/responses", json=body, timeout=60)

    made = strict_response(response.content)
    assert made["output"]
    assert made["status"] in ("completed", "incomplete")
    assert 0 < made["usage"]["output_tokens"] <= 16


async def test_a_conversation_is_streamed_as_valid_events(small):
    said = [says("user", "Count from 1 to 5.")]
    body = {"model": "auto", "input": said, "stream": True, "max_output_tokens": 16, "temperature": 0}
    response = await small.http().post("/v1/responses", json=body, timeout=60)

    events = strict_events(response.content)
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    assert "1" in "".join(event.get("delta", "") for event in events)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_that_is_needed_is_called(tmp_path, streamed):
    expert = Says("one", tool_call(0, "get_weather", '{"location":"Rome"}'), reason="tool_calls")
    async with serving(keeping(tmp_path, expert)) as served:
        body = {"model": "auto", "input": CASES["basic"], "tools": [WEATHER], "stream": streamed}
        response = await served.http().post("/v1/responses", json=body)

    if streamed:
        events = strict_events(response.content)
        assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} < {
            event["type"] for event in events
        }
        assert [event["item"]["type"] for event in events if "item" in event] == ["function_call"] * 2
    else:
        assert strict_response(response.content)["output"][0]["type"] == "function_call"


SEEN = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("case", [*CASES, "image", "tool"])
async def test_every_case_of_the_suite_is_completed(tmp_path, case, streamed):
    """The suite asks for basic, system, image, several turns and a tool whole, for a text and a tool streamed."""
    asked: dict[str, Any] = {"input": CASES.get(case) or [says("user", SEEN)]}
    expert = Says("one", {"content": "Ahoy, "}, {"content": "Ada!"})
    if case == "tool":
        expert = Says("one", tool_call(0, "get_weather", '{"location":"Rome"}'), reason="tool_calls")
        asked = {"input": CASES["basic"], "tools": [WEATHER]}
    async with serving(keeping(tmp_path, expert)) as served:
        response = await served.http().post("/v1/responses", json={"model": "auto", "stream": streamed, **asked})

    if streamed:
        last = strict_events(response.content)[-1]
        assert last["type"] == "response.completed"
    made = last["response"] if streamed else strict_response(response.content)
    assert made["status"] == "completed"
    assert [item["type"] for item in made["output"]] == ["function_call" if case == "tool" else "message"]


async def test_an_image_reaches_an_expert_that_sees(tmp_path):
    expert = Says("one", {"content": "A dot."})
    async with serving(keeping(tmp_path, expert)) as served:
        response = await served.http().post("/v1/responses", json={"model": "auto", "input": [says("user", SEEN)]})

    assert strict_response(response.content)["status"] == "completed"
    assert expert.seen[0].messages[0]["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}

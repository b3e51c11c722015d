"""Free-form tools with experts that know functions alone: nothing of their input is lost on the way there and back."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import BrokenOff
from gateway.custom import Unwrapped, arguments, unwrapped
from tests.gateway.answers import Says, answering, post, stream, tool_call, types

PATCH = '*** Begin Patch\n*** Add File: a.txt\n+ü "x" \\ \U0001f600\u2028\n*** End Patch\n'
LARK = {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}
APPLY: Any = {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": LARK}
SHELL: Any = {"type": "custom", "name": "shell"}
DIGITS: Any = {
    "type": "custom",
    "name": "dial",
    "format": {"type": "grammar", "syntax": "regex", "definition": "[0-9]+"},
}
SCHEMA = {"type": "object", "properties": {}}
READ: Any = {"type": "function", "name": "read", "parameters": SCHEMA}
TEXT = st.text(st.characters(codec="utf-8"))


def in_chat(tool: dict[str, Any]) -> Any:
    """A tool of Responses as chat has it."""
    about = {key: value for key, value in tool.items() if key != "type"}
    if form := about.get("format"):
        about["format"] = {"type": "grammar", "grammar": {key: form[key] for key in ("syntax", "definition")}}
    return {"type": tool["type"], tool["type"]: about}


def pieces(text: str, cuts: list[int]) -> list[str]:
    """A text in pieces."""
    ends = sorted(min(cut, len(text)) for cut in cuts)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(TEXT, st.lists(st.integers(0, 80), max_size=20), st.booleans())
def test_an_input_comes_out_of_its_arguments_as_it_went_in_however_they_are_cut(text, cuts, escaped):
    whole = orjson.dumps({"input": text}).decode() if not escaped else ascii_arguments(text)
    found = Unwrapped()
    said = [found.take(piece) for piece in pieces(whole, cuts)]

    assert "".join(said) + found.end() == text
    assert found.raw == whole
    assert unwrapped(arguments(text)) == text


def ascii_arguments(text: str) -> str:
    """Arguments in which every letter beyond ASCII is escaped, as most servers write them, with space around."""
    import json

    return f' {{ "input" : {json.dumps(text)} }} '


@given(TEXT, st.lists(st.integers(0, 80), max_size=20))
def test_what_is_certain_is_told_at_once_and_never_taken_back(text, cuts):
    found, said = Unwrapped(), ""
    for piece in pieces(ascii_arguments(text), cuts):
        said += found.take(piece)
        assert text.startswith(said)
    assert said == text  # nothing waits for the end


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain words", "plain words"),
        (" [1]", " [1]"),
        ('{"why": "x", "input": "a"}', "a"),
        ('{"input": "a\nb"}', "a\nb"),
        ("", None),
        ("{}", None),
        ("null", "null"),
        ('{"input": 1}', None),
        ('{"input": "a', None),
        ('{"input": "a\\ud800"}', None),
        ('{"input": "a", "input": "b"}', None),
        ('{"input": "a", "x": ' + "[" * 100_000, None),
    ],
)
def test_arguments_without_the_wrapping_are_the_input_and_an_object_without_one_is_no_answer(raw, text):
    if text is None:
        with pytest.raises(BrokenOff):
            unwrapped(raw)
    else:
        assert unwrapped(raw) == text


def test_an_answer_that_its_cap_cut_keeps_what_was_said():
    assert unwrapped('{"input": "one tw', cut=True) == "one tw"


def called(name: str, given: str, step: int = 5) -> tuple[dict[str, Any], ...]:
    """A call of a free-form tool as a chat server streams it."""
    text = arguments(given)
    parts = [text[at : at + step] for at in range(0, len(text), step)]
    return (
        tool_call(0, name, ""),
        *({"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts),
    )


async def test_a_free_form_tool_is_called_whole_and_streamed(tmp_path):
    expert = Says("one", *called("apply_patch", PATCH), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        made = await post(served, tools=[READ, SHELL | {"name": "apply_patch"}])
        events = await stream(served, tools=[READ, SHELL | {"name": "apply_patch"}])

    call = {key: value for key, value in made["output"][0].items() if key != "id"}
    assert call == {"type": "custom_tool_call", "call_id": "call_0", "name": "apply_patch", "input": PATCH}
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert len(deltas) > 5
    assert "".join(deltas) == PATCH
    kinds = [kind for kind in types(events) if not kind.endswith(".delta")]
    assert kinds[2:-1] == ["output_item.added", "custom_tool_call_input.done", "output_item.done"]
    assert events[-1]["response"]["output"][0]["input"] == PATCH
    function = expert.seen[0].options["tools"][1]["function"]
    assert (function["name"], function["parameters"]["required"]) == ("apply_patch", ["input"])


async def test_what_a_free_form_tool_gave_back_reaches_the_expert_in_the_next_turn(tmp_path):
    expert = Says("one", *called("shell", "ls"), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        client = served.openai().responses
        first = await client.create(model="auto", input="hi", tools=[SHELL])
        call = first.output[0]
        assert call.type == "custom_tool_call"
        result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "a.txt"}
        second = await client.create(model="auto", previous_response_id=first.id, input=[result], tools=[SHELL])
        items = (await client.input_items.list(second.id, order="asc")).data

    asked = expert.seen[1].messages
    assert [message["role"] for message in asked] == ["user", "assistant", "tool"]
    assert asked[1]["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"input":"ls"}'}
    assert asked[2]["content"] == "a.txt"
    assert [item.type for item in items] == ["message", "custom_tool_call", "custom_tool_call_output"]


async def test_tools_that_an_item_adds_are_offered_with_the_others(tmp_path):
    """Codex offers all it has in this way to the newest models, in a namespace."""
    expert = Says("one", *called("functions__exec", "text('hi')"), reason="tool_calls")
    space = {"type": "namespace", "name": "functions", "description": "", "tools": [{"type": "custom", "name": "exec"}]}
    added = {"type": "additional_tools", "role": "developer", "tools": [space]}
    async with answering(tmp_path, expert) as served:
        made = await post(served, input=[added, {"role": "user", "content": "hi"}])

    call = made["output"][0]
    assert (call["type"], call["namespace"], call["name"]) == ("custom_tool_call", "functions", "exec")
    assert call["input"] == "text('hi')"
    assert [tool["function"]["name"] for tool in expert.seen[0].options["tools"]] == ["functions__exec"]


async def test_a_regular_expression_is_a_pattern_of_the_schema(tmp_path):
    expert = Says("one", *called("dial", "112"), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        response = await served.openai().responses.with_raw_response.create(
            model="auto", input="hi", tools=[DIGITS], tool_choice={"type": "custom", "name": "dial"}
        )

    assert "x-lyceum-left-out" not in response.headers
    function = expert.seen[0].options["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["properties"]["input"]["pattern"] == "^([0-9]+)$"
    assert expert.seen[0].options["tool_choice"] == {"type": "function", "function": {"name": "dial"}}


async def test_another_grammar_is_told_in_words_which_is_said_where_the_model_is_free(tmp_path):
    """Codex's apply_patch."""
    expert = Says("one", tool_call(0, "apply_patch", arguments(PATCH)), reason="tool_calls")
    async with answering(tmp_path, expert) as served:
        answers = served.openai().responses.with_raw_response
        chats = served.openai().chat.completions.with_raw_response
        response = await answers.create(model="auto", input="hi", tools=[READ, APPLY])
        chat = await chats.create(model="auto", messages=[{"role": "user", "content": "x"}], tools=[in_chat(APPLY)])

    assert response.headers["x-lyceum-left-out"] == "tools[1].format"
    assert chat.headers["x-lyceum-left-out"] == "tools[0].custom.format"
    for request, place in zip(expert.seen, (1, 0), strict=True):
        description = request.options["tools"][place]["function"]["description"]
        assert description.startswith("Edits files.\n\n")
        assert LARK["definition"] in description


@pytest.mark.parametrize("choice", ["required", "apply_patch"])
async def test_a_grammar_that_nobody_can_be_held_to_is_one_clear_400_where_the_tool_must_be_called(tmp_path, choice):
    async with answering(tmp_path, Says("one", {"content": "hi"})) as served:
        client = served.openai()
        named: Any = choice if choice == "required" else {"type": "custom", "name": choice}
        with pytest.raises(openai.BadRequestError) as first:
            await client.responses.create(model="auto", input="hi", tools=[APPLY], tool_choice=named)
        named = choice if choice == "required" else {"type": "custom", "custom": {"name": choice}}
        with pytest.raises(openai.BadRequestError) as second:
            await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "x"}], tools=[in_chat(APPLY)], tool_choice=named
            )

    assert (first.value.code, first.value.param) == ("unsupported_feature", "tools[0].format")
    assert (second.value.code, second.value.param) == ("unsupported_feature", "tools[0].custom.format")

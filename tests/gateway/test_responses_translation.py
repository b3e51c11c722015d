"""What a Responses request says is said in chat's words, and can be said back: nothing that chat can carry is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import responses
from gateway.errors import APIError
from tests.gateway.dialects import CUSTOM, plain_responses, responses_of
from tests.gateway.wording import IDS, NAMES, SCHEMA, WORDS, object_of

CUSTOM_IDS = st.sampled_from([f"{CUSTOM}_1", f"{CUSTOM}_2"])
IMAGES = st.sampled_from(["https://example.org/a.png", "data:image/png;base64,AAAA"])
PDF = "data:application/pdf;base64,AAAA"


PARTS = st.one_of(
    object_of({"type": st.just("input_text"), "text": WORDS}),
    object_of({"type": st.just("input_image"), "image_url": IMAGES}, detail=st.sampled_from(["low", "high"])),
    st.just({"type": "input_file", "file_data": PDF, "filename": "a.pdf"}),
    st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
)
CONTENT = WORDS | st.lists(PARTS, min_size=1, max_size=3)
TEXTS = WORDS | st.lists(object_of({"type": st.just("output_text"), "text": WORDS}), min_size=1, max_size=3)
REASONING = st.builds(
    lambda text: {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}, WORDS
)
ITEMS = st.one_of(
    object_of(
        {"type": st.just("message"), "role": st.sampled_from(["user", "system", "developer"]), "content": CONTENT}
    ),
    object_of({"type": st.just("message"), "role": st.just("assistant"), "content": TEXTS}, id=WORDS),
    object_of({"type": st.just("function_call"), "call_id": IDS, "name": NAMES, "arguments": WORDS}),
    object_of({"type": st.just("function_call_output"), "call_id": IDS, "output": CONTENT}),
    object_of({"type": st.just("custom_tool_call"), "call_id": CUSTOM_IDS, "name": st.just(CUSTOM), "input": WORDS}),
    object_of({"type": st.just("custom_tool_call_output"), "call_id": CUSTOM_IDS, "output": CONTENT}),
    REASONING,
)
FORMATS = st.sampled_from(
    [{"type": "json_object"}, {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}]
)
TOOL = {"type": "function", "name": "add", "description": "adds", "parameters": SCHEMA, "strict": False}
RESPONSES = object_of(
    {"input": st.lists(ITEMS, min_size=1, max_size=6)},
    instructions=WORDS,
    max_output_tokens=st.integers(1, 100),
    temperature=st.sampled_from([0, 0.5, 1]),
    top_p=st.just(0.5),
    top_logprobs=st.integers(1, 5),
    metadata=st.dictionaries(WORDS, WORDS, max_size=2),
    parallel_tool_calls=st.booleans(),
    user=WORDS,
    seed=st.integers(0, 9),
    stop=st.lists(WORDS, min_size=1, max_size=2),
    stream=st.booleans(),
    service_tier=st.just("flex"),
    reasoning=st.fixed_dictionaries({"effort": st.sampled_from(["low", "high"])}),
    text=st.fixed_dictionaries({"format": FORMATS}, optional={"verbosity": st.just("low")}),
)
FREE: dict[str, Any] = {"type": "custom", "name": CUSTOM, "description": "Edits files."}
PHONE = {"type": "custom", "name": CUSTOM, "format": {"type": "grammar", "syntax": "regex", "definition": "^[0-9]+$"}}
NAMED = [{"type": "function", "name": "add"}, {"type": "custom", "name": CUSTOM}]
CHOICES = st.sampled_from(["auto", "none", "required", *NAMED])


def test_a_developer_is_a_system_to_chat_servers_and_instructions_come_first():
    body = {"model": "m", "instructions": "be brief", "input": [{"role": "developer", "content": "no jokes"}]}
    request = responses.request_of(body, "1")

    assert [(each["role"], each["content"]) for each in request.messages] == [
        ("system", "be brief"),
        ("system", "no jokes"),
    ]


@settings(max_examples=300, deadline=None)
@given(RESPONSES, st.none() | CHOICES, st.sampled_from([FREE, PHONE]))
def test_a_responses_request_comes_back_from_chat_as_it_was(body, choice, custom):
    if choice is not None:
        body = {**body, "tools": [TOOL, custom], "tool_choice": choice}
    request = responses.request_of({"model": "m", **body}, "1")

    assert request.untold == ""
    assert responses_of(request.messages, dict(request.options)) == plain_responses(body)
    assert request.native == {"model": "m", **body}


def test_what_an_assistant_thought_said_and_called_in_a_row_is_one_chat_message():
    calls = [{"type": "function_call", "call_id": f"c{i}", "name": "add", "arguments": "{}"} for i in range(2)]
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "wait"}]}
    outputs = [{"type": "function_call_output", "call_id": f"c{i}", "output": str(i)} for i in range(2)]
    request = responses.request_of({"model": "m", "input": [thought, said, *calls, *outputs]}, "1")

    assistant, *tools = request.messages
    assert (assistant["reasoning_content"], assistant["content"]) == ("hm", "wait")
    assert [call["id"] for call in assistant["tool_calls"]] == ["c0", "c1"]
    assert [tool["tool_call_id"] for tool in tools] == ["c0", "c1"]


def test_functions_in_a_namespace_are_offered_under_long_names():
    space = {"type": "namespace", "name": "git", "description": "", "tools": [TOOL]}
    call = {"type": "function_call", "call_id": "c", "namespace": "git", "name": "add", "arguments": "{}"}
    request = responses.request_of({"model": "m", "input": [call], "tools": [space]}, "1")

    assert request.untold == ""
    assert request.options["tools"][0]["function"]["name"] == "git__add"
    assert request.messages[0]["tool_calls"][0]["function"]["name"] == "git__add"
    assert responses.called({"tools": [space]}) == {"git__add": (TOOL, "git", "tools[0].tools[0]")}


def test_a_choice_of_some_tools_is_an_offer_of_those():
    other = {**TOOL, "name": "search"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "search"}]}
    body = {"model": "m", "input": "hi", "tools": [TOOL, other], "tool_choice": choice}
    options = responses.request_of(body, "1").options

    assert options["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in options["tools"]] == ["search"]


USER = {"type": "message", "role": "user", "content": "hi"}
GRAMMAR = {
    "type": "custom",
    "name": "patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
        ({"tools": [{"type": "custom", "name": "patch", "format": {"type": "abnf"}}]}, "tools[0].format"),
        ({"tools": [GRAMMAR], "tool_choice": "required"}, "tools[0].format"),
        ({"tools": [GRAMMAR], "tool_choice": {"type": "custom", "name": "patch"}}, "tools[0].format"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        (
            {"input": [USER, {"type": "reasoning", "summary": [], "encrypted_content": "x"}]},
            "input[1].encrypted_content",
        ),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "w"}]}, "input[0].type"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]}, "input[0].content[0]"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_the_first_thing_that_chat_cannot_say_of_a_response_is_named(more, param):
    assert responses.request_of({"model": "m", "input": "hi", **more}, "1").untold == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi"}, "model"),
        ({"model": "", "input": "hi"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": 3}, "input"),
        ({"model": "m", "input": ["hi"]}, "input[0]"),
        ({"model": "m", "input": [{"role": "user"}]}, "input[0].content"),
        ({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"model": "m", "input": "hi", "stream": "yes"}, "stream"),
        ({"model": "m", "input": "hi", "tools": {}}, "tools"),
        ({"model": "m", "input": "hi", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"model": "m", "input": "hi", "temperature": 3}, "temperature"),
        ({"model": "m", "input": "hi", "max_output_tokens": 0}, "max_output_tokens"),
        ({"model": "m", "input": "hi", "instructions": 1}, "instructions"),
        ({"model": "m", "input": "hi", "text": "json"}, "text"),
        ({"model": "m", "input": "hi", "reasoning": "high"}, "reasoning"),
        ({"model": "m", "input": "hi", "include": "x"}, "include"),
    ],
)
def test_what_is_wrong_in_a_responses_request_is_refused_with_its_place(body, param):
    """Row 36."""
    with pytest.raises(APIError) as caught:
        responses.request_of(body, "1")
    assert caught.value.param == param
    assert caught.value.http_status == 400

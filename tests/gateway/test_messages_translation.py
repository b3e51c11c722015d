"""What a Messages request says is said in chat's words, and can be said back: nothing that chat can carry is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import messages
from gateway.errors import APIError
from tests.gateway.dialects import messages_of, plain_messages
from tests.gateway.wording import ARGUMENTS, IDS, NAMES, SCHEMA, WORDS, object_of

IMAGES = st.sampled_from(["https://example.org/a.png", "data:image/png;base64,AAAA"])
PDF = "data:application/pdf;base64,AAAA"


TEXT = object_of({"type": st.just("text"), "text": WORDS}, cache_control=st.just({"type": "ephemeral"}))
IMAGE = st.sampled_from(
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ]
)
DOCUMENT = st.just(
    {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        "title": "a.pdf",
    }
)
RESULT = object_of(
    {"type": st.just("tool_result"), "tool_use_id": IDS},
    content=WORDS | st.lists(TEXT | IMAGE, min_size=1, max_size=2),
    is_error=st.booleans(),
)
USE = object_of({"type": st.just("tool_use"), "id": IDS, "name": NAMES, "input": ARGUMENTS})
THOUGHT = object_of({"type": st.just("thinking"), "thinking": WORDS, "signature": WORDS})


@st.composite
def turns(draw: Any) -> list[dict[str, Any]]:
    """A conversation of turns by turns, blocks in the order in which the protocol has them."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        said = draw(WORDS | st.lists(TEXT | IMAGE | DOCUMENT, min_size=1, max_size=3))
        results = draw(st.lists(RESULT, max_size=2))
        user = [*results, *said] if results and isinstance(said, list) else said
        blocks = [
            *draw(st.lists(THOUGHT, max_size=1)),
            *draw(st.lists(TEXT, max_size=2)),
            *draw(st.lists(USE, max_size=2)),
        ]
        found += [{"role": "user", "content": user}, {"role": "assistant", "content": blocks or "well"}]
    return found[: len(found) - draw(st.integers(0, 1))]


MESSAGES = object_of(
    {"messages": turns(), "max_tokens": st.integers(1, 100)},
    system=WORDS | st.lists(TEXT, min_size=1, max_size=2),
    stop_sequences=st.lists(WORDS, min_size=1, max_size=2),
    temperature=st.sampled_from([0, 0.5, 1]),
    top_p=st.just(0.5),
    top_k=st.integers(1, 50),
    stream=st.booleans(),
    metadata=st.fixed_dictionaries({"user_id": WORDS}),
    output_config=st.fixed_dictionaries(
        {"effort": st.sampled_from(["low", "max"])},
        optional={"format": st.just({"type": "json_schema", "schema": SCHEMA})},
    ),
)
CLAUDE_TOOL = {"name": "add", "description": "adds", "input_schema": SCHEMA}
CLAUDE_CHOICES = st.sampled_from(
    [
        {"type": "auto"},
        {"type": "any"},
        {"type": "none"},
        {"type": "tool", "name": "add"},
        {"type": "auto", "disable_parallel_tool_use": True},
    ]
)


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.none() | CLAUDE_CHOICES)
def test_a_messages_request_comes_back_from_chat_as_it_was(body, choice):
    if choice is not None:
        body = {**body, "tools": [CLAUDE_TOOL], "tool_choice": choice}
    request = messages.request_of({"model": "m", **body}, "1")

    assert request.untold == ""
    assert messages_of(request.messages, dict(request.options)) == plain_messages(body)
    assert request.native == {"model": "m", **body}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [CLAUDE_TOOL, {"type": "web_search_20250305", "name": "web_search"}]}, "tools[1].type"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format.type"),
        ({"messages": [{"role": "critic", "content": "hi"}]}, "messages[0].role"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_the_first_thing_that_chat_cannot_say_of_a_message_is_named(more, param):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}
    assert messages.request_of(body, "1").untold == param


PLAIN = {"type": "text", "media_type": "text/plain", "data": "Grass is green."}
BLOCKS = {"type": "content", "content": [{"type": "text", "text": "Grass is green."}]}


def asked(**document: Any) -> Any:
    """The request that shows a document."""
    turn = {"role": "user", "content": [{"type": "document", **document}, {"type": "text", "text": "What colour?"}]}
    return messages.request_of({"model": "m", "max_tokens": 9, "messages": [turn]}, "1")


@pytest.mark.parametrize("source", [PLAIN, BLOCKS, {"type": "content", "content": "Grass is green."}])
def test_a_document_that_is_made_of_words_is_told_in_words(source):
    request = asked(source=source, title="Lawns", context="a school book")
    assert not request.untold
    words = ["Lawns", "a school book", "Grass is green.", "What colour?"]
    assert [part["text"] for part in request.messages[0]["content"]] == words


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"source": PLAIN, "citations": {"enabled": True}}, "citations"),
        ({"source": {"type": "url", "url": "https://example.org/a.pdf"}}, "source"),
        ({"source": {"type": "file", "file_id": "f"}}, "source"),
        ({"source": {"type": "content", "content": [{"type": "sound"}]}}, "source.content[0].type"),
        ({}, "source"),
    ],
)
def test_what_chat_cannot_say_of_a_document_is_named(document, param):
    assert asked(**document).untold == f"messages[0].content[0].{param}"


def test_citations_that_nobody_asked_for_are_not_missed():
    assert not asked(source=PLAIN, citations={"enabled": False}).untold


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b"}]}]},
            "messages[0].content[0].input",
        ),
        ({"system": 3}, "system"),
        ({"stream": 1}, "stream"),
        ({"temperature": 7}, "temperature"),
        ({"thinking": True}, "thinking"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ],
)
def test_what_is_wrong_in_a_messages_request_is_refused_with_its_place(wrong, param):
    """Row 36."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(APIError) as caught:
        messages.request_of({key: value for key, value in (body | wrong).items() if value is not None}, "1")
    assert caught.value.param == param


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (8000, "medium"), (32000, "high")])
def test_a_budget_for_thoughts_is_an_effort(budget, effort):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert messages.request_of({**body, "thinking": thinking}, "1").options["reasoning_effort"] == effort

"""Conversations stay with their expert, and clients' own errands belong to none."""

from __future__ import annotations

from typing import Any

import pytest

from experts.base import Unavailable
from experts.reading import look
from gateway.errands import errand
from gateway.sessions import Sessions
from policies.pick import Threshold
from tests.gateway.conftest import OTHER, make_door, scripted, serving

SYSTEM: Any = {"role": "system", "content": "be brief"}
ONE: Any = {"role": "user", "content": "first question"}
SAID: Any = {"role": "assistant", "content": "an answer"}
TWO: Any = {"role": "user", "content": "second question"}
CALL: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT: Any = {"role": "tool", "tool_call_id": "a", "content": "42"}


@pytest.fixture
async def two(tmp_path):
    """Two experts of nearly the same quality; the router likes `first` a little more, the policies choose."""
    experts = [scripted("first"), scripted("second")]
    named = {"strict": Threshold(0.85), "loose": Threshold(0.0)}
    door = make_door(tmp_path, experts, **named)
    async with serving(door) as served:
        yield served


async def who(served: Any, *messages: Any, key: str | None = None, headers: Any = None, **body: Any) -> str:
    client = served.http() if key is None else served.http(key)
    body = {"model": "auto", "messages": list(messages), **body}
    response = await client.post("/v1/chat/completions", json=body, headers=headers or {})
    assert response.status_code == 200, response.text
    return str(response.headers["x-lyceum-expert"])


@pytest.mark.parametrize("header", ["session-id", "thread-id", "x-session-id", "x-session-affinity"])
async def test_a_named_conversation_stays_with_its_expert(two, header):
    named = {header: "s-1"}
    assert await who(two, ONE, model="second", headers=named) == "second"
    assert await who(two, ONE, SAID, TWO, headers=named) == "second"
    assert await who(two, ONE, SAID, TWO, headers={header: "s-2"}) == "first"
    assert await who(two, ONE, SAID, TWO, headers=named, key=OTHER) == "first"

    row = two.ledger("decisions")[1]
    assert row["why"] == "stays with its conversation"
    assert row["probability"] == 1.0


async def test_a_prompt_cache_key_names_a_conversation_and_reaches_the_expert(tmp_path):
    seen: list[Any] = []

    def answer(request: Any) -> str:
        seen.append(request.options.get("prompt_cache_key"))
        return "x"

    async with serving(make_door(tmp_path, [scripted("first", answer), scripted("second", answer)])) as served:
        await who(served, ONE, model="second", prompt_cache_key="k")
        assert await who(served, TWO, prompt_cache_key="k") == "second"

    assert seen == ["k", "k"]


async def test_a_conversation_without_a_name_is_known_by_how_it_began(two):
    assert await who(two, SYSTEM, ONE, model="second") == "second"
    assert await who(two, SYSTEM, ONE) == "first", "one that begins again is another"
    assert await who(two, SYSTEM, ONE, model="second") == "second"
    assert await who(two, SYSTEM, ONE, SAID, TWO) == "second"
    assert await who(two, ONE, SAID, TWO) == "first"


async def test_a_conversation_that_begins_with_an_answer_is_answered(two):
    assert await who(two, SAID) == "first"


async def test_the_expert_never_changes_while_a_tools_result_is_pending(two):
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert await who(two, ONE, model="loose", tools=tools) == "first"
    await who(two, ONE, model="second", tools=tools)
    for model in ("auto", "loose", "strict", "auto:5"):
        assert await who(two, ONE, CALL, RESULT, model=model, tools=tools) == "second"
    assert two.ledger("decisions")[-1]["why"] == "stays while a tool's result is pending"


async def test_an_expert_that_fails_loses_its_conversation(tmp_path):
    failing = scripted("second", fail=Unavailable("down"))
    async with serving(make_door(tmp_path, [scripted("first"), failing])) as served:
        served.door.school.sessions.keep("me", hash(b"s"), "second")
        assert await who(served, ONE, CALL, RESULT, headers={"session-id": "s"}) == "first"
        assert served.door.school.sessions.expert("me", hash(b"s")) == "first"


def test_sessions_are_bounded_for_each_key():
    sessions = Sessions(most=2)
    for session in (1, 2):
        sessions.keep("a", session, "x")
    sessions.keep("b", 7, "y")
    sessions.keep("a", 1, "z")
    sessions.keep("a", 3, "x")

    assert [sessions.expert("a", session) for session in (1, 2, 3)] == ["z", None, "x"]
    assert sessions.expert("b", 7) == "y"
    assert sessions.expert("nobody", 1) is None


ERRANDS = [
    [
        {"role": "system", "content": "You are a title generator. You output ONLY a thread title. Nothing else."},
        {"role": "user", "content": "Generate a title for this conversation:\n"},
        {"role": "user", "content": "fix my code"},
    ],
    [{"role": "user", "content": "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat"}],
    [{"role": "user", "content": "### Task:\nGenerate 1-3 broad tags categorizing the chat history"}],
    [{"role": "user", "content": "### Task:\nSuggest 3-5 relevant follow-up questions"}],
    [{"role": "user", "content": "Provide a concise, 5-word-or-less title for the conversation, using its language."}],
    [{"role": "user", "content": "a: hi\nb: hello\n" * 400 + "\nWrite a title for this chat. Only the title."}],
    [
        {
            "role": "system",
            "content": "Analyze if this message indicates a new conversation topic. If it does, extract",
        },
        {"role": "user", "content": "hello"},
    ],
    [{"role": "user", "content": "Summarize this coding conversation in under 50 characters."}],
    [{"role": "user", "content": "Generate a concise 3-7 word title for this conversation, omitting punctuation."}],
]
NO_ERRANDS = [
    "Write a title for my blog post about cats",
    "What is the title of Tolstoy's longest novel?",
    "Summarize this article.",
    "What makes a good conversation?",
    "### Task:\nSolve x^2 = 4",
]


@pytest.mark.parametrize("messages", ERRANDS)
def test_a_clients_errand_is_recognised(messages):
    assert errand(look(messages), {})
    assert not errand(look(messages), {"tools": [{}]})


@pytest.mark.parametrize("asked", NO_ERRANDS)
def test_what_a_human_asks_is_no_errand(asked):
    assert not errand(look([{"role": "user", "content": asked}]), {})
    assert not errand(look([{"role": "system", "content": "You are helpful."}, {"role": "user", "content": asked}]), {})


def test_who_says_nothing_asks_for_no_errand():
    assert not errand(look([]), {})


def test_a_long_text_asks_for_an_errand_at_its_beginning_or_its_end():
    asked, much = "Generate a title for this conversation.", "One word. " * 1000
    for said in (asked + much, much + asked):
        assert errand(look([SYSTEM, {"role": "user", "content": said}]), {})
        assert errand(look([{"role": "system", "content": said}, ONE]), {})
    assert not errand(look([SYSTEM, {"role": "user", "content": much + asked + much}]), {})


async def test_an_errand_goes_to_the_cheapest_is_marked_and_moves_no_conversation(two):
    named = {"x-session-id": "s"}
    await who(two, ONE, model="second", headers=named)
    await who(two, *ERRANDS[0], headers=named)
    assert await who(two, ONE, SAID, TWO, headers=named) == "second"

    rows = two.ledger("decisions")
    assert [row["policy"] for row in rows] == ["only", "errand", "auto"]
    assert rows[1]["why"].startswith("the cheapest")


async def test_a_conversation_that_begins_with_a_long_text_is_known_by_its_ends(two):
    long = {"role": "user", "content": "begin " + "x" * 10_000 + " end"}
    assert await who(two, long, model="second") == "second"
    assert await who(two, long, SAID, TWO) == "second"
    for changed in ("Begin", "xx end"):
        other = {**long, "content": long["content"].replace(changed.strip("x").lower(), changed, 1)}
        assert await who(two, other, SAID, TWO) == "first"

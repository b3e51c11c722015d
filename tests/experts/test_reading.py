"""One look at a conversation finds what looking at each message finds, and is kept for the conversation looked at
last."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from experts.base import Request
from experts.catalog import Demand
from experts.reading import LAST, look, text
from experts.wrappers import bare

PARTS = some.fixed_dictionaries(
    {}, optional={"type": some.sampled_from(["text", "image_url", "file", "odd"]), "text": some.text(max_size=5)}
)
WORDS = some.text(max_size=8) | some.sampled_from(
    ["<todos>x</todos>", "<task>do it</task>", "# AGENTS.md instructions"]
)
CONTENTS = WORDS | some.none() | some.lists(PARTS | some.text(max_size=3) | some.none(), max_size=3)
MESSAGES = some.lists(
    some.fixed_dictionaries(
        {}, optional={"role": some.sampled_from(["system", "user", "assistant", "tool"]), "content": CONTENTS}
    ),
    max_size=5,
).map(tuple)


def last_words(messages: Any) -> str:
    """The prompt, message by message."""
    said = [text(each.get("content")) for each in messages if each.get("role") == "user"]
    words = [bare(each) for each in said if bare(each)]
    spoken = [each for each in said if each]
    return (words or spoken or [text(each.get("content")) for each in messages[-1:]] or [""])[-1]


@given(MESSAGES)
def test_a_look_finds_what_each_message_says(messages):
    found = look(messages)

    assert found.texts == tuple(text(each.get("content")) for each in messages)
    assert found.roles == tuple(each.get("role") for each in messages)
    assert found.letters == sum(map(len, found.texts))
    assert found.prompt == Request(messages).prompt == last_words(messages)
    lists = [each["content"] for each in messages if isinstance(each.get("content"), list)]
    images = any(isinstance(part, dict) and part.get("type") == "image_url" for parts in lists for part in parts)
    assert ("image" in found.kinds) == images
    assert "text" in found.kinds


def test_a_conversation_is_looked_at_once_in_a_row_and_another_anew():
    mine, other = ({"role": "user", "content": "mine"},), ({"role": "user", "content": "other"},)
    first = look(mine)

    assert look(mine) is first
    assert Request(other).prompt == "other"
    assert LAST[0].messages is other
    assert Request(mine).prompt == "mine"
    assert look(mine) is not first


def test_a_demand_says_what_a_conversation_is():
    parts = [{"type": "text", "text": "abcdefgh"}, {"type": "input_audio"}, "no part"]
    demand = Demand.of(Request(({"role": "user", "content": parts},), {"tools": [{}]}))

    assert demand == Demand(frozenset({"text", "audio"}), 2, True)

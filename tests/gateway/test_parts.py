"""An answer's deltas become parts one after the other, in whatever order a server streams them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import BrokenOff
from gateway.parts import Parts


def call(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    about = {} if name is None else {"id": f"call_{name}"}
    function = {"arguments": arguments} if name is None else {"arguments": arguments, "name": name}
    return {"tool_calls": [{"index": index, **about, "function": function}]}


def told(*deltas: dict[str, Any]) -> list[tuple[str, str, str]]:
    parts = Parts()
    steps = [step for delta in deltas for step in parts.take(delta)]
    return [(step.what, step.part.name or step.part.kind, step.piece) for step in [*steps, *parts.end()]]


def test_thoughts_texts_and_calls_follow_each_other():
    deltas = [{"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"content": "a"}, {"content": "b"}]

    assert told(*deltas, call(0, "{}", "add")) == [
        ("open", "thought", ""),
        ("more", "thought", "hm"),
        ("close", "thought", ""),
        ("open", "text", ""),
        ("more", "text", "a"),
        ("more", "text", "b"),
        ("close", "text", ""),
        ("open", "add", ""),
        ("more", "add", "{}"),
        ("close", "add", ""),
    ]


def test_calls_that_are_streamed_side_by_side_come_one_after_the_other():
    deltas = [call(0, "", "a"), call(1, "", "b"), call(1, '{"x"'), call(0, '{"y":1}'), call(1, ": 2}")]

    assert told(*deltas) == [
        ("open", "a", ""),
        ("more", "a", '{"y":1}'),
        ("close", "a", ""),
        ("open", "b", ""),
        ("more", "b", '{"x"'),
        ("more", "b", ": 2}"),
        ("close", "b", ""),
    ]


def test_a_whole_message_is_one_large_delta():
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]

    opened = [name for what, name, _ in told({"content": "hi", "tool_calls": calls}) if what == "open"]
    assert opened == ["text", "a", "b"]


def test_a_call_that_goes_on_after_its_end_is_the_experts_fault():
    with pytest.raises(BrokenOff):
        told(call(0, "{}", "a"), call(1, "{}", "b"), call(0, "{}"))


@given(st.lists(st.integers(0, 2), max_size=30), st.randoms(use_true_random=False))
def test_no_piece_is_lost_or_changes_its_place_however_calls_are_mixed(order, random):
    """Row 9."""
    whole = {index: f'{{"key{index}": "{"x" * index}"}}' for index in set(order)}
    left = {index: list(text) for index, text in whole.items()}
    parts = Parts()
    for index in dict.fromkeys(order):
        list(parts.take(call(index, "", f"f{index}")))
    while any(left.values()):
        index = random.choice([index for index, rest in left.items() if rest])
        list(parts.take(call(index, left[index].pop(0))))
    list(parts.end())

    assert {part.name: part.text for part in parts.all} == {f"f{index}": text for index, text in whole.items()}
    assert [part.place for part in parts.all] == list(range(len(parts.all)))

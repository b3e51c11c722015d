"""A conversation that goes on is read as it would be if nothing were known of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from experts.openai_body import written
from experts.reading import look
from gateway import frames, talks
from gateway.chat import parse, parsed
from gateway.errors import APIError
from gateway.talks import FRAMED, MOST, TALKS, continued

LONG = "The train leaves at nine.\n" * 50
BEGUN: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    *({"role": "user", "content": LONG} for _ in range(FRAMED - 1)),
    {"role": "user", "content": "When?"},
]
EARLIER = BEGUN[:-1]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWER, QUESTION = {"role": "assistant", "content": "At nine."}, {"role": "user", "content": "And “then”?"}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def body(*more: Any, begun: Any = BEGUN, **options: Any) -> bytes:
    return compact({"model": "auto", "messages": [*begun, *more], "temperature": 0.7, **options})


@pytest.fixture(autouse=True)
def _nothing_known():
    forget()


def forget() -> None:
    TALKS.clear()
    frames.FRAMES.clear()
    frames.SEEN.clear()
    frames.MISSED[0] = 0


def read(data: bytes) -> Any:
    """What there is to know of a body."""
    try:
        request = parse(data, "id")
    except APIError as error:
        return error.encoded()
    came, found = request.body, look(request.messages)
    assert came is not None
    payload = written(request, "theirs")
    sent = payload if isinstance(payload, bytes) else b"".join(payload)
    known = (request.messages, dict(request.options), request.model, came.data, came.size)
    assert not (came.plain and (b'"tools"' in data or b'"tool_calls"' in data))
    return *known, found.roles, found.texts, found.letters, found.kinds, found.prompt, sent


def unknown(data: bytes) -> Any:
    """The same of a body of which nothing is known."""
    kept = list(TALKS)
    forget()
    try:
        return read(data)
    finally:
        forget()
        TALKS.extend(kept)


MORE: list[Any] = [
    ANSWER,
    QUESTION,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "42"},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "user", "content": [{"type": "text", "text": "[read] Result:\n42"}]},
    {"role": "user", "content": 7},
    {"role": "user", "unheard": 1},
    {"content": "nobody"},
    *("no message", [], None),
]


@settings(max_examples=150, deadline=None)
@given(
    some.lists(some.sampled_from(MORE), max_size=4), some.lists(some.sampled_from(MORE), max_size=4), some.booleans()
)
def test_a_conversation_that_goes_on_changes_nothing_of_what_is_read(one, two, tools):
    forget()
    options = {"tools": [TOOL]} if tools else {}
    for more in ((), one, (*one, *two), (*one, *two), one):
        data = body(*more, **options)
        assert read(data) == unknown(data)


@settings(max_examples=200, deadline=None)
@example(b",")
@example(b"x")
@example(b" ")
@example(b',{"role":"user","content":"a"},')
@example(b',{"role":"user","role":"user","content":"a"}')
@example(b',{"role":"user","content":"a"}],"model":"other","messages":[{"role":"user","content":"a"}')
@example(b',{"role":"user","content":"\\u0022","name":"a","name":"b"}')
@example(b' , { "role" : "user", "content" : "\\u0041"}')
@example(b', { "role" : "user", "content" : "\\u0041"}')
@example(b',{"role":"user","content":"\xff"}')
@example(b"," + b"[" * 100 + b"]" * 100)
@given(some.binary() | some.text(alphabet='"\\,:{}[]ab0 ', max_size=12).map(str.encode))
def test_what_stands_behind_known_messages_is_more_of_them_or_read_without_them(new):
    forget()
    read(body())
    assert len(TALKS) == 1
    data = bytes(TALKS[0].before) + new + TALKS[0].after
    assert read(data) == unknown(data)


@pytest.mark.parametrize(
    "options", [{}, {"stream": True, "stop": ["]}", '"]'], "user": '],"x":[{}'}, {"tools": [TOOL]}]
)
def test_of_a_known_conversation_only_the_new_messages_are_read(options):
    first = parse(body(**options), "id")
    other, more = continued(body(begun=[*EARLIER, ANSWER], **options), "id"), continued(body(ANSWER, **options), "id")
    assert other is not None
    assert more is not None
    assert all(mine is theirs for mine, theirs in zip(other.messages[:FRAMED], first.messages[:FRAMED], strict=True))
    assert all(mine is theirs for mine, theirs in zip(more.messages[:FRAMED], first.messages[:FRAMED], strict=True))
    assert (other.messages[FRAMED:], more.messages[FRAMED:]) == ((ANSWER,), (BEGUN[-1], ANSWER))
    third = body(ANSWER, QUESTION, ANSWER, **options)
    assert (known := continued(third, "id")) is not None
    assert known.messages[FRAMED] is more.messages[FRAMED]
    assert (known.messages, known.options) == (parsed(third, "id").messages, first.options)


@pytest.mark.parametrize("order", [("messages", "model"), ("model", "messages"), ("user", "messages", "model")])
def test_the_messages_may_stand_anywhere_in_a_body(order):
    fields = {"model": "auto", "messages": [*BEGUN, ANSWER], "user": "me"}
    for messages in (BEGUN, [*BEGUN, ANSWER]):
        data = compact({name: {**fields, "messages": messages}[name] for name in order})
        assert read(data) == unknown(data)
    assert len(TALKS) == 1


def test_few_conversations_are_known_and_the_one_that_went_on_stays_longest():
    starts = [[{"role": "system", "content": str(each)}, *BEGUN] for each in range(MOST)]
    for begun in starts:
        parse(body(begun=begun), "id")
    assert continued(body(ANSWER, begun=starts[0]), "id") is not None
    parse(body(begun=[ANSWER, *BEGUN]), "id")  # the oldest makes room
    assert len(TALKS) == MOST
    assert continued(body(ANSWER, QUESTION, begun=starts[0]), "id") is not None
    assert continued(body(ANSWER, begun=starts[1]), "id") is None


@pytest.mark.parametrize(
    "data",
    [
        compact({"model": "auto", "messages": [QUESTION]}),
        compact({"model": "auto", "messages": [{"role": "user", "content": "a" * talks.LONGEST}, *BEGUN]}),
        compact({"model": "auto", "messages": [*[QUESTION] * FRAMED, {"role": "user", "content": LONG * 9}]}),
        compact({"model": "auto", "messages": BEGUN[1:]}),
        json.dumps({"model": "auto", "messages": BEGUN}).encode(),
        body(unheard=1),
    ],
    ids=["short", "too long", "short before its end", "few messages", "written in another way", "unusual"],
)
def test_what_is_short_too_long_or_unusual_is_not_remembered(data):
    parse(data, "id")
    assert not TALKS
    assert len(body()) > frames.LONG

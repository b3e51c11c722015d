"""The quick look at a body accepts nothing that the careful one refuses, and both read the same request."""

from __future__ import annotations

import json
from collections import deque
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from msgspec import ValidationError, convert
from msgspec.structs import replace

from experts.base import Body, Request
from gateway import body as bodies
from gateway import usual
from gateway.chat import careful, parse
from gateway.errors import APIError
from gateway.frames import FRAMES
from gateway.usual import NESTED, Plain, Usual

WEATHER = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TALK: list[Any] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "é"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "42"},
    {"role": "user", "content": 'she said "<b>"\n', "name": "me"},
]
OPTIONS: dict[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.7,
    "top_p": 1,
    "presence_penalty": -2,
    "max_tokens": 128,
    "max_completion_tokens": None,
    "n": 1,
    "stop": ["a", "b"],
    "seed": 7,
    "user": "u",
    "metadata": {"a": "b"},
    "tools": [WEATHER],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
}
EDGES: Any = some.sampled_from(
    [None, True, False, 0, 1, -1, 2, 2.5, -2.0, 1.0, 10_000_000, 10_000_001, 2**63, 2**64, 1e20, "", "x", [], {}]
)
JUNK = some.recursive(
    EDGES | some.text(max_size=4),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["role", "content", "type", "text", "x", "url"]), inner, max_size=3)
    ),
    max_leaves=6,
)
WRITERS = some.sampled_from(
    [
        lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
        lambda value: json.dumps(value).encode(),
        lambda value: json.dumps(value, indent=1, ensure_ascii=False).encode(),
    ]
)


@some.composite
def bent(draw: Any) -> bytes:
    """A usual body with some of its values replaced by others, put in or taken out, and perhaps a key that is there
    twice."""
    options = {name: value for name, value in OPTIONS.items() if draw(some.booleans())}
    body: Any = deepcopy({"model": "auto", "messages": TALK[: draw(some.integers(0, 5))], **options})
    for _ in range(draw(some.integers(0, 3))):
        place: Any = body
        while True:
            names: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = draw(some.sampled_from(names))
            if isinstance(place[name], dict | list) and draw(some.booleans()):
                place = place[name]
                continue
            if isinstance(place, dict) and draw(some.booleans()):
                name = draw(some.sampled_from([*names, "extra"]))
                place.pop(name, None)
            if draw(some.booleans()) or isinstance(place, list):
                place[name] = deepcopy(draw(JUNK))
            break
    written: bytes = draw(WRITERS)(body)
    if draw(some.integers(0, 9)) == 0:
        written = written[:-1] + draw(some.sampled_from([b',"model":"x"}', b',"n":1}', b',"n":"\\u0022"}', b"", b" }"]))
    return written


def read(body: bytes) -> Request | bytes:
    """What the quick look gives: a request, or the error's body."""
    FRAMES.clear()
    try:
        return parse(body, "id")
    except APIError as error:
        return error.encoded()


def looked(body: bytes) -> Request | bytes:
    """What the careful look alone gives."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return bodies.no_json(error).encoded()
    try:
        careful(fields, body)
    except APIError as error:
        return error.encoded()
    size = len(orjson.dumps(fields))
    messages, model = tuple(fields.pop("messages")), fields.pop("model")
    plain = "tools" not in fields and not any("tool_calls" in message for message in messages)
    return Request(messages, fields, model, "id", body=Body(body, messages, fields, size, plain))


@settings(max_examples=200, deadline=None)
@example(b'{"model":"auto","messages":[{"role":"user","content":"a","content":"b"}]}')
@example(b'{"model":"auto","messages":[{"role":"user","content":"\\u0022","content":"b"}]}')
@example(b'{"model":"auto","model":"auto","messages":[{"role":"user","content":"hi"}]}')
@example(b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":' + b"[" * 70 + b"]" * 70 + b"}")
@example(b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":' + b"[" * 63 + b"]" * 63 + b"}")
@given(bent())
def test_a_quick_look_and_a_careful_one_read_the_same(body):
    quick, slow = read(body), looked(body)
    if isinstance(quick, Request) and isinstance(slow, Request):
        assert quick.body is not None
        assert slow.body is not None
        assert slow.body.plain >= quick.body.plain, "what is called plain has no tools"
        slow = replace(slow, body=replace(slow.body, plain=quick.body.plain))
    assert quick == slow


def test_what_most_clients_send_is_looked_at_once():
    for count in range(1, 6):
        convert({"model": "auto", "messages": TALK[:count], **OPTIONS}, Usual)
    plain = {name: value for name, value in OPTIONS.items() if name not in NESTED}
    convert({"model": "auto", "messages": [*TALK[:2], *TALK[3:]], **plain}, Plain)


@pytest.mark.parametrize("name", sorted(NESTED - {"tools"}))
def test_a_field_of_any_depth_has_its_depth_looked_at(name):
    body = b'{"model":"a","messages":[{"role":"user","content":"hi"}],"%b":%b%b}'
    deep = body % (name.encode(), b"[" * 64, b"]" * 64)
    assert isinstance(read(body % (name.encode(), b"[" * 63, b"]" * 63)), Request)
    assert read(deep) == looked(deep)
    assert not isinstance(read(deep), Request)


def test_tools_that_come_again_are_looked_at_in_depth_once(monkeypatch):
    looked_at: list[Any] = []
    monkeypatch.setattr("gateway.chat.note", lambda *_: None)  # no frame spares the look
    monkeypatch.setattr(usual, "SHALLOW", deque(maxlen=2))
    monkeypatch.setattr(usual, "shallow", looked_at.append)
    for name in "aabcbcaa":
        tools = [{"type": "function", "function": {"name": name}}]
        parse(json.dumps({"model": "auto", "messages": TALK[:1], "tools": tools}).encode(), "id")
    assert [each["tools"][0]["function"]["name"] for each in looked_at] == ["a", "b", "c", "a"]
    monkeypatch.setattr(usual, "LARGEST", 10)
    for _ in range(2):
        parse(json.dumps({"model": "auto", "messages": TALK[:1], "tools": [{"type": "other"}]}).encode(), "id")
    assert len(looked_at) == 6


def test_a_field_that_nobody_looks_at_in_depth_cannot_be_deep():
    for name in Usual.__struct_fields__:
        if name in NESTED or name == "messages":
            continue
        with pytest.raises(ValidationError):
            convert({"model": "a", "messages": [{"role": "user"}], name: [[[]]]}, Usual)
        with pytest.raises(ValidationError):
            convert({"model": "a", "messages": [{"role": "user"}], name: {"a": {"b": {}}}}, Usual)
    assert set(Plain.__struct_fields__) <= set(Usual.__struct_fields__)

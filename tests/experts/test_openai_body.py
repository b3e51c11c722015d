"""What a server receives is what the client sent, but for the model, and the usage that we ask for."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from experts import openai_body
from experts.base import Request
from gateway.chat import parse
from gateway.errors import APIError

SPACE = st.sampled_from(["", " ", "\n\t "])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
)
VALUES = st.recursive(
    SCALARS, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS, inside, max_size=3), max_leaves=8
)
RESERVED = {"messages", "model", "stream", "stream_options", "tools"}
OTHERS = st.dictionaries(WORDS.filter(lambda name: name not in RESERVED).map("x-{}".format), VALUES, max_size=4)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": WORDS, "x": VALUES}),
    min_size=1,
    max_size=3,
)
STREAMS: Any = st.sampled_from([{}, {"stream": False}, {"stream": True}, {"stream": True, "stream_options": {"x": 1}}])


def written(request: Request, model: str) -> bytes:
    sent = openai_body.written(request, model)
    return sent if isinstance(sent, bytes) else b"".join(sent)


def served(body: bytes, model: str = "theirs") -> Any:
    return json.loads(written(parse(body, "id"), model))


@settings(deadline=None)
@given(MESSAGES, OTHERS, STREAMS, SPACE, st.booleans(), st.randoms())
def test_every_field_of_the_client_reaches_the_server_unchanged(messages, others, stream, space, escaped, random):
    fields = list({"messages": messages, "model": "auto", **stream, **others}.items())
    random.shuffle(fields)
    text = json.dumps(dict(fields), ensure_ascii=escaped, separators=(f",{space}", f":{space}"))
    expected = {**json.loads(text), "model": "theirs"}
    if stream.get("stream"):
        expected["stream_options"] = {**stream.get("stream_options", {}), "include_usage": True}
    assert served(f"{space}{text}{space}".encode()) == expected


def test_digits_and_escapes_are_copied_not_written_again():
    said = b'{"role":"user","content":"\\u0041\\/"}'
    body = b'{"messages":[%b],"model":"auto","x":1.10e2,"y":[12345678901234567890123]}' % said
    sent = written(parse(body, "id"), "theirs")
    assert b'"\\u0041\\/"' in sent
    assert b'"x":1.10e2,"y":[12345678901234567890123]' in sent


@pytest.mark.parametrize("size", [16 * 1024, 100_000])
@pytest.mark.parametrize("more", [{}, {"stream": True}])
@pytest.mark.parametrize("last", [False, True])
def test_a_long_prompt_is_not_copied(size, more, last):
    messages = [{"role": "user", "content": "é" * size}]
    fields = {"messages": messages, "temperature": 0.5, **more}
    body = orjson.dumps({**fields, "model": "auto"} if last else {"model": "auto", **fields})
    sent = openai_body.written(parse(body, "id"), "theirs")
    assert isinstance(sent, tuple)
    views = [part for part in sent if isinstance(part, memoryview)]
    assert len(b"".join(sent)) - sum(map(len, views)) < 100
    assert all(part.obj is body for part in views)
    expected = {**more, "stream_options": {"include_usage": True}} if more else {}
    assert served(body) == {"model": "theirs", "messages": messages, "temperature": 0.5, **expected}


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user","content":"a"}],"metadata":{"model":"x"},"mod\\u0065l":"auto"}',
        b'{"mod\\u0065l":"auto","messages":[{"role":"user","content":"a","model":"x"}]}',
        b'{"messages":[{"role":"user","content":"a"}],"model":"auto","user":"model"}',
        b'{"messages":[{"role":"user","content":"\\"model\\":\\"x\\""}],"model":"auto","x":{"model":"y"}}',
    ],
)
def test_only_the_models_own_name_is_another_wherever_else_one_stands(body):
    expected = {**json.loads(body), "model": "theirs"}
    assert served(body) == expected


def test_the_usage_is_asked_for_once_however_the_client_asked():
    for asked in (b"null", b"{}", b'{"include_usage":false}', b'{"include_usage":true}', b'{"include_usage":1,"x":2}'):
        body = b'{"model":"auto","messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":%b}' % asked
        sent = served(body)["stream_options"]
        assert sent == {**(json.loads(asked) or {}), "include_usage": True}
        assert sent["include_usage"] is True


def test_what_was_changed_since_is_written_and_what_was_taken_away_is_not():
    request = parse(b'{"model":"auto","messages":[{"role":"user","content":"a"}],"n":1,"user":"u","x":1.50}', "id")
    changed = replace(request, options={"n": 1, "max_tokens": 7, "x": request.options["x"]})
    sent = written(changed, "theirs")
    assert json.loads(sent) == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "a"}],
        "n": 1,
        "max_tokens": 7,
        "x": 1.5,
    }
    assert b"1.50" in sent
    other = replace(changed, messages=({"role": "user", "content": "b"},))
    assert json.loads(written(other, "theirs"))["messages"][0]["content"] == "b"


def test_a_key_that_stands_twice_never_gets_so_far():
    body = b'{"model" :"a","messages" :[],"messages":[{"role":"user","content":"hi"}],"model":"auto"}'
    with pytest.raises(APIError, match="messages stands twice"):
        parse(body, "id")


def test_a_request_without_a_body_of_its_own_is_written():
    sent = json.loads(written(Request(({"role": "user", "content": "x"},), {"stream": True}), "theirs"))
    assert sent["stream_options"] == {"include_usage": True}

"""A body whose frame is known is read as it would be without: what it says, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from experts.base import Request
from experts.openai_body import written
from experts.reading import look
from gateway import frames, talks
from gateway.chat import parse
from gateway.errors import APIError
from gateway.frames import LARGEST, LESSONS, MESSAGES, framed

SYSTEM = {"role": "system", "content": 'Say "yes" or "no".\n'}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPTIONS: dict[str, Any] = {"temperature": 0.7, "max_tokens": 128, "user": "ä"}


def spaced(value: Any) -> bytes:
    return json.dumps(value).encode()


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def last(value: Any) -> bytes:
    """As OpenAI's own library orders fields."""
    return compact({"messages": value["messages"], **{key: value[key] for key in value if key != "messages"}})


WRITERS = (compact, spaced, last)


def body(said: Any, write: Any = compact, earlier: Any = (SYSTEM,), **more: Any) -> bytes:
    messages = [*earlier, {"role": "user", "content": said}]
    return bytes(write({"model": "auto", "messages": messages, **OPTIONS, **more}))


@pytest.fixture(autouse=True)
def _nothing_known():
    forget()


def forget() -> None:
    frames.FRAMES.clear()
    frames.SEEN.clear()
    frames.MISSED[0] = 0
    talks.TALKS.clear()


def taught(write: Any, **more: Any) -> None:
    for said in ("What is the weather?", "Who was the first one on the moon?"):
        parse(body(said, write, **more), "id")
    assert len(frames.FRAMES) == 1


def read(data: bytes) -> Any:
    """What there is to know of a body."""
    try:
        request = parse(data, "id")
    except APIError as error:
        return error.encoded()
    assert request.body is not None
    found = look(request.messages)
    known = (request.messages, request.options, request.model, request.body.data, request.body.plain)
    sent = [whole(written(each, "theirs")) for each in (request, streamed(request))]
    return *known, found.roles, found.texts, found.letters, found.kinds, found.prompt, sent


def whole(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else b"".join(payload)


def streamed(request: Request) -> Request:
    return Request(request.messages, {**request.options, "stream": True}, body=request.body)


def unframed(data: bytes) -> Any:
    """The same without a frame."""
    known = list(frames.FRAMES)
    frames.FRAMES.clear()
    talks.TALKS.clear()
    try:
        return read(data)
    finally:
        frames.FRAMES.clear()
        frames.FRAMES.extend(known)


@settings(max_examples=200, deadline=None)
@example("", 0)
@example("a" * 40_000, 0)
@example("<task>\n" + "é" * 20_000 + "</task>", 1)
@example("\0", 2)
@given(some.text(), some.integers(0, 2))
def test_a_known_frame_changes_nothing_of_what_is_read(said, style):
    forget()
    taught(WRITERS[style])
    data = body(said, WRITERS[style])
    assert framed(data, "id") is not None
    assert read(data) == unframed(data)


@settings(max_examples=300, deadline=None)
@example(b'a","content":"b')
@example(b'a","role":"system')
@example(b'a"},{"role":"user","content":"b')
@example(b"a\\")
@example(b'"')
@example(b'a","name":"b')
@example(b'a"}],"model":"other","messages":[{"role":"user","content":"b')
@example(b"\xff")
@example(b"\n")
@example(b"\\ud800")
@example(b"\\u0041\\/")
@example(b"\\ud83d\\u0041")
@example(b"\\udc00")
@example(b"\\ud83d\\ude00\x7f\xc2\x80")
@example(b"\xed\xa0\x80")
@example(b"\xc0\x80")
@example(b"\xf5\x80\x80\x80")
@example(b"\\u00g0")
@example(b"\\u12")
@given(some.binary() | some.text(alphabet='"\\,:{}[]abdu0é\n', max_size=12).map(str.encode))
def test_what_stands_in_a_known_frame_is_one_text_or_read_without_it(within):
    forget()
    taught(compact)
    for more in (b"", b"a" * frames.LONG):
        data = body("@@", compact).replace(b"@@", within + more)
        assert read(data) == unframed(data)
        data = body("@@", compact).replace(b"@@", more + within)
        assert read(data) == unframed(data)


@pytest.mark.parametrize(
    ("earlier", "more"),
    [
        ((SYSTEM,), {"tools": [TOOL], "tool_choice": "auto"}),
        (({"role": "assistant", "content": None, "tool_calls": [CALL]},), {}),
        (({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},), {}),
        (({"role": "system", "content": "A long document.\n" * 5000},), {}),
        (({"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}), {}),
        ((), {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": TOOL}}}),
    ],
)
def test_tools_their_calls_and_images_are_framed_as_they_would_be_read(earlier, more):
    taught(compact, earlier=earlier, **more)
    for said in ("", "Why?", "[read] Result:\n42", "é" * 20_000):
        data = body(said, earlier=earlier, **more)
        assert framed(data, "id") is not None
        assert read(data) == unframed(data)


@pytest.mark.parametrize("write", WRITERS)
def test_the_size_of_a_framed_body_bounds_what_a_model_reads(write):
    taught(write)
    for said in ("hello", "line\nby line", "äöü", "日本" * 100, 'ä "said"\n' * 2000):
        request, data = parse(body(said, write), "id"), body(said)
        assert request.body is not None
        assert len(said.encode()) + len(SYSTEM["content"]) < request.body.size <= len(data)


def test_a_frame_is_known_from_the_second_time_on_and_few_are():
    for number in range(20):
        taught_before = len(frames.FRAMES)
        parse(body("hi there", model=f"auto:{number}"), "id")
        assert len(frames.FRAMES) == taught_before
        parse(body("hello again", model=f"auto:{number}"), "id")
        assert framed(body("once more", model=f"auto:{number}"), "id") is not None
    assert len(frames.FRAMES) == frames.MOST == len(frames.SEEN)


def test_where_no_two_bodies_are_alike_a_frame_is_looked_for_now_and_then():
    for number in range(LESSONS):
        parse(body("hi there", model=f"auto:{number}"), "id")
    taken = 0
    while not frames.FRAMES:
        parse(body("hi there"), "id")
        taken += 1
    assert LESSONS < taken <= 2 * LESSONS
    assert frames.MISSED == [0]


@pytest.mark.parametrize(
    ("earlier", "more"),
    [
        ([SYSTEM] * MESSAGES, {}),
        ([{"role": "system", "content": "a" * LARGEST}], {}),
        ([], {"tools": [TOOL] * LARGEST}),
        ([], {"unheard": 1}),
    ],
)
def test_what_is_long_or_unusual_without_its_last_text_has_no_frame(earlier, more):
    for said in ("What is the weather?", "Who was the first one on the moon?", "Why?"):
        parse(body(said, earlier=earlier, **more), "id")
    assert not frames.FRAMES


@pytest.mark.parametrize("write", WRITERS)
def test_a_long_frame_is_compared_to_its_end(write):
    """Its edges alone say nothing of what stands between."""
    earlier = ({"role": "system", "content": "a" * (2 * frames.EDGE)},)
    more = {"metadata": {"x": "b" * (2 * frames.EDGE)}}
    taught(write, earlier=earlier, **more)
    data = body("What is it?", write, earlier, **more)
    assert framed(data, "id") is not None
    for letter in (b"a", b"b"):
        place = data.find(letter * frames.EDGE) + frames.EDGE
        other = data[:place] + b"c" + data[place + 1 :]
        assert framed(other, "id") is None
        assert read(other) == unframed(other)


def test_a_last_message_that_is_no_text_has_no_frame():
    for _ in range(3):
        parse(body([{"type": "text", "text": "hi"}]), "id")
    assert not frames.FRAMES


def test_a_text_that_stood_elsewhere_before_is_not_taken_for_the_last_one():
    same = {"role": "user", "content": "What is the weather?"}
    for _ in range(3):
        parse(body("What is the weather?", earlier=[same], user="What is the weather?"), "id")
    parse(body("Who?", earlier=[same], user="What is the weather?"), "id")
    for said in ("What is the weather?", "", "Whom?"):
        data = body(said, earlier=[same], user="What is the weather?")
        assert read(data) == unframed(data)


def test_what_is_said_twice_or_no_usual_body_is_no_frame():
    assert frames.learned(b'{"model":"a","model":"b","messages":[{"role":"user","content":"', b'"}]}') is None
    assert frames.learned(b'{"model":"a","messages":[{"role":"user","content":"', b'"}]') is None
    assert frames.learned(b'{"model":"a","messages":[{"role":"user","content":"hi","name":"', b'"}]}') is None
    assert frames.learned(b'{"model":"a","messages":[{"role":"user","content":"', b'"}],"unheard":1}') is None
    deep = b"[" * 70 + b"]" * 70
    assert frames.learned(b'{"model":"a","tools":' + deep + b',"messages":[{"role":"user","content":"', b'"}]}') is None

"""Chunks that are passed on without being parsed are the same, word for word, as if they had been."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import Request
from experts.card import Price
from experts.openai_answer import Progress
from experts.openai_http import piece
from experts.sse import Event
from gateway.alike import LONGEST_FRAME, MOST_FRAMES, NO_FRAME, TRIES, Alike
from gateway.chat import Events

HEAD = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def event(content: Any, finish: str | None = None, delta: Any = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": content} if delta is None else delta, "finish_reason": finish}
    return json.dumps(HEAD | {"choices": [choice]} | more).encode()


def framed(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


class Heard:
    """Keeps account of what was said."""

    def __init__(self) -> None:
        self.chunks = self.letters = 0
        self.said: list[str] = []


class Stream:
    """What a stream of the gateway knows, without its connections."""

    def __init__(self) -> None:
        self.events = Events(Request((), {"stream": True}), "ours", 1)
        self.progress = Progress(Price())
        self.alike = Alike(chunked=False)

    def taken(self, data: bytes) -> tuple[bytes, list[str]] | None:
        heard = Heard()
        out = self.alike.taken(data, heard)
        assert (heard.chunks, heard.letters) == (len(heard.said), sum(map(len, heard.said)))
        assert out is not None or not heard.said
        return None if out is None else (out, heard.said)

    def long_way(self, data: bytes, end: bytes = b"\n\n") -> bytes:
        chunk = piece(Event(data), self.progress)
        out = self.events.of(chunk)
        self.alike.learn(b"data: " + data + end, chunk, out)
        return out


def said(data: bytes) -> list[Any]:
    return [json.loads(line.removeprefix(b"data: ")) for line in data.split(b"\n\n") if line]


@given(texts=st.lists(TEXTS, min_size=1, max_size=4), ascii=st.booleans(), usage=st.booleans())
def test_chunks_that_differ_in_words_alone_come_out_as_if_they_had_been_parsed(texts, ascii, usage):
    stream = Stream()
    more: dict[str, Any] = {"usage": None} if usage else {}
    stream.long_way(event("first", **more))
    datas = [
        json.dumps(json.loads(event(text, **more)), ensure_ascii=ascii).encode("utf-8", "surrogatepass")
        for text in texts
    ]
    taken = stream.taken(b"".join(map(framed, datas)))
    assert taken is not None
    assert taken[1] == texts
    assert said(taken[0]) == said(b"".join(map(stream.long_way, datas)))


@given(data=st.binary(max_size=60))
def test_what_is_no_string_of_json_is_never_passed_on(data):
    stream = Stream()
    stream.long_way(event("first"))
    before, after = framed(event("@")).split(b"@")
    read = before + data + after
    taken = stream.taken(read)
    try:
        whole = [json.loads(each.removeprefix(b"data: ")) for each in read.split(b"\n\n")[:-1]]
        fine = [each["choices"][0]["delta"]["content"] for each in whole]
    except (ValueError, KeyError):
        fine = None
    if taken is not None:
        assert taken[1] == fine


@pytest.mark.parametrize(
    "other",
    [
        framed(event("x", "stop")),
        framed(event("x", index=1)),
        framed(event("x", usage={"prompt_tokens": 1})),
        framed(event("x", created=2)),
        framed(event("x", error={"message": "broken"})),
        framed(event("x"))[:-1],
        framed(event("x"))[1:],
        framed(event("x")) + framed(event("", "stop")),
        framed(event("x")) + b": a comment\n\n" + framed(event("x")),
        framed(event("x")).replace(b'"x"', b'"x","name":"y"'),
        framed(event("x")).replace(b'"x"', b'"\xff"'),
        framed(event("x")).replace(b'"x"', b'"\\ud800"'),
        framed(event("x")).replace(b'"x"', b'"\n"'),
        framed(event("x")).replace(b'"x"', b'""x'),
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_whatever_differs_in_more_than_words_goes_the_long_way(other):
    stream = Stream()
    stream.long_way(event("first"))
    assert stream.taken(framed(event("x"))) is not None
    assert stream.taken(other) is None


@pytest.mark.parametrize(
    "first",
    [
        event("x", "stop"),
        event("x", index=1),
        event("x", usage={"prompt_tokens": 1, "completion_tokens": 1}),
        event("", delta={"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]}),
        event("", delta={"content": "x", "reasoning_content": "y"}),
        event("", delta={"reasoning": {"content": "x"}}),
        event(None),
    ],
)
def test_nothing_is_learned_from_a_chunk_that_says_more_than_words(first):
    stream = Stream()
    stream.long_way(first)
    assert stream.taken(framed(first)) is None


def test_the_last_event_of_a_read_teaches_as_well():
    stream = Stream()
    chunk = piece(Event(event("second")), stream.progress)
    stream.alike.learn(framed(event("first", "stop")) + framed(event("second")), chunk, stream.events.of(chunk))
    assert stream.taken(framed(event("x"))) is not None


def test_servers_that_end_their_lines_with_two_characters_are_learned_too():
    stream = Stream()
    stream.long_way(event("first"), b"\r\n\r\n")
    taken = stream.taken((b"data: " + event("x") + b"\r\n\r\n") * 2)
    assert taken is not None
    assert said(taken[0]) == said(framed(event("x", model="ours")) * 2)


def test_learning_is_given_up_where_every_chunk_differs():
    stream = Stream()
    for moment in range(TRIES + 1):
        stream.long_way(event("x", created=moment))
    assert stream.taken(framed(event("x", created=TRIES - 1))) is not None
    assert stream.taken(framed(event("x", created=TRIES))) is None


def test_a_client_that_is_sent_chunks_of_http_gets_a_read_as_one():
    stream = Stream()
    stream.alike = Alike(chunked=True)
    stream.long_way(event("first"))
    for number in (1, 2, 30):
        said = b"".join(framed(event("\u00e9" * place)) for place in range(number))
        ours = b"".join(framed(event("\u00e9" * place, model="ours")) for place in range(number))
        taken = stream.taken(said)
        assert taken is not None
        size, _, rest = taken[0].partition(b"\r\n")
        assert json.loads(rest[6:].split(b"\n\n")[0]) == json.loads(ours[6:].split(b"\n\n")[0])
        assert (int(size, 16), rest[-2:]) == (len(rest) - 2, b"\r\n")


@pytest.mark.parametrize("chunked", [True, False])
@given(text=TEXTS, times=st.sampled_from([1, 7, 50, 600]))
def test_a_chunk_of_http_as_it_came_is_framed_for_the_client_as_if_it_had_been_taken_apart(chunked, text, times):
    stream = Stream()
    stream.alike = alike = Alike(chunked)
    stream.long_way(event("first"))
    data = framed(event(text * times))
    read = b"%x\r\n%b\r\n" % (len(data), data)
    frame = alike.frame(len(read))
    taken = stream.taken(data)
    assert taken is not None
    if len(read) > LONGEST_FRAME:
        assert frame is NO_FRAME
    else:
        assert (read[frame.head], read[alike.end]) == (frame.theirs, alike.tail)
        assert json.loads(read[frame.words]) == text * times
        assert frame.ours + read[frame.words] + alike.our_tail == taken[0]
    assert alike.frames[len(read)] is frame


def test_a_read_too_short_for_a_chunk_has_no_frame_and_few_frames_are_kept():
    stream = Stream()
    stream.long_way(event("first"))
    least = len(framed(event("")))
    assert all(stream.alike.frame(size) is NO_FRAME for size in range(least))
    assert len(stream.alike.frames) <= MOST_FRAMES
    assert NO_FRAME.theirs != b""[NO_FRAME.head]


def test_an_event_among_others_is_taken_as_if_it_had_been_parsed():
    stream = Stream()
    heard = Heard()
    assert stream.alike.event(event("x"), heard) is None
    stream.long_way(event("first"))
    for text in ("", "x", "\u00e9\n", "x" * 5000):
        assert stream.alike.event(event(text), heard) == stream.long_way(event(text)).replace(b"\r", b"")
    assert (heard.said, heard.letters, heard.chunks) == (["", "x", "\u00e9\n", "x" * 5000], 5003, 4)
    for other in (event("x", "stop"), event("x").replace(b'"x"', b'"x","name":"y"'), event("x")[:-1], b"[DONE]", b""):
        assert stream.alike.event(other, heard) is None
    assert len(heard.said) == 4

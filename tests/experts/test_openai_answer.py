"""A plain answer that is read in one step is read as it would be key by key; what is unusual in any way is not."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import Answer, Chunk, ExpertError, Timing
from experts.card import Price, Usage
from experts.openai_answer import UNREAD, Progress, read, usual
from experts.openai_http import piece, whole
from experts.sse import Event

PRICE = Price(1.0, 2.0, cached=0.1, reasoning=4.0)
COUNTS = st.sampled_from([0, 1, 250, 10**9, 10**9 + 1, 2**70, -1, 1.0, 1.5, True, None, "1"])
DETAILS: st.SearchStrategy[Any] = (
    st.none() | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "x"]), COUNTS) | st.just([])
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
    },
)
MESSAGES: st.SearchStrategy[Any] = st.sampled_from(
    [{"role": "assistant", "content": "é"}, {}, None, "x", {"content": None, "tool_calls": [{}]}]
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, False, 0.0, None]),
        "message": MESSAGES,
        "finish_reason": st.sampled_from(["stop", None, 1]),
        "logprobs": st.none(),
    },
)
ANSWERS = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, max_size=3) | st.none()},
    optional={
        "usage": USAGES | st.none() | st.just(7),
        "object": st.sampled_from(["chat.completion", "error", None]),
        "error": st.sampled_from([None, {}, {"message": "no"}, "no", 0]),
        "detail": st.just("no"),
        "model": st.just("m"),
    },
)


@given(ANSWERS)
def test_an_answer_read_in_one_step_is_the_one_read_key_by_key(answer):
    body = orjson.dumps(answer) if fits(answer) else b"{}"
    for price in (PRICE, Price(), Price(reasoning=1.0)):
        answer = usual(body, price, "e", TIMING)
        assert answer is None or read(answer) == answered(whole(body, Progress(price)))


TIMING = Timing(0.25, 0.5)


def answered(chunk: Chunk) -> Answer:
    return Answer("e", chunk.delta, chunk.finish_reason, chunk.usage, chunk.cost, TIMING, chunk.data)


def fits(answer) -> bool:
    try:
        orjson.dumps(answer)
    except orjson.JSONEncodeError:
        return False
    return True


USUAL = b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],"usage":%b}'
COUNTED = USUAL % b'{"prompt_tokens":3,"completion_tokens":2}'


def test_usage_and_cost_are_read_with_their_details():
    detailed = b'{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1,"audio_tokens":0}}'
    for body, usage in ((COUNTED, Usage(3, 2)), (USUAL % detailed, Usage(3, 2, 1, audio_tokens=0))):
        answer = usual(body, PRICE, "e", TIMING)
        assert answer is not None
        assert read(answer) == Answer("e", {"content": "a"}, "stop", usage, PRICE.tokens(usage), TIMING, body)
    free = usual(COUNTED, Price(), "e", TIMING)
    assert free is not None
    assert free.cost == 0


def test_a_message_is_read_when_somebody_asks_for_it():
    answer = usual(COUNTED, PRICE, "e", TIMING)
    assert answer is not None
    assert answer.message is UNREAD
    assert read(read(answer)).message == {"content": "a"}
    huge = usual(COUNTED.replace(b'"a"', b'"a","x":1e999'), PRICE, "e", TIMING)
    assert huge is not None
    assert read(huge).message == {}
    spoken = Answer("e", {"content": "b"}, data=COUNTED)
    assert read(spoken) is spoken


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        COUNTED[:-1],
        COUNTED + b"x",
        COUNTED.replace(b'"a"', b'"\xff"'),
        COUNTED.replace(b"{", b'{"x":"\xff",', 1),
        COUNTED.replace(b"{", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b",", 1),
        USUAL % b"null",
        b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
        COUNTED.replace(b'"stop"', b'""'),
        COUNTED.replace(b'"index":0', b'"index":1'),
        COUNTED.replace(b"{", b'{"error":{},', 1),
        COUNTED.replace(b"{", b'{"object":"error",', 1),
    ],
)
def test_what_is_not_usual_is_left_to_a_closer_look(body):
    assert usual(body, PRICE, "e", TIMING) is None


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, False, 0.0, None]),
        "delta": MESSAGES,
        "finish_reason": st.sampled_from(["stop", "", None, 1]),
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(PARTS, max_size=2) | st.none(),
        "usage": USAGES | st.none() | st.just([]),
        "error": st.sampled_from([None, {}, {"message": "no"}]),
        "object": st.sampled_from(["chat.completion.chunk", "error", None]),
    },
)
STATE = ("begun", "whole", "_told", "_usage", "_open", "_finished")


@given(events=st.lists(EVENTS, max_size=5), counted=st.booleans())
def test_events_read_in_one_step_are_those_read_key_by_key(events, counted):
    quick, slow = Progress(PRICE, counted), Progress(PRICE, counted)
    for event in filter(fits, events):
        data = orjson.dumps(event)
        before = [str(getattr(quick, name)) for name in STATE]
        chunk = quick.quickly(data)
        if chunk is None:
            assert [str(getattr(quick, name)) for name in STATE] == before
            chunk = quick.take(orjson.loads(data), data)
        assert chunk == slow.take(orjson.loads(data), data)
        assert [getattr(quick, name) for name in STATE] == [getattr(slow, name) for name in STATE]
    assert quick.rest() == slow.rest()


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"delta":{"content":"x"}}],"id":"\xff"}',
        b'{"choices":[{"delta":{"content":"\\ud800"}}]}',
        b'{"choices":[{"delta":{"content":"x"}}]',
        b'{"choices":[{"delta":{"content":"x"}}]} x',
        b'{"choices":[{"delta":{"content":"x"}}],"error":{"message":"no"}}',
        b'{"object":"error","choices":[],"message":"no"}',
        b'{"detail":"no"}',
        b"[]",
        b"",
        b"[" * 100_000,
    ],
)
def test_an_event_that_is_not_usual_is_left_to_a_closer_look(data):
    progress = Progress(PRICE)
    assert progress.quickly(data) is None
    assert not progress.begun


def test_what_an_event_says_of_itself_is_looked_at_closely_where_it_has_a_name():
    progress = Progress(PRICE)
    with pytest.raises(ExpertError, match="the expert failed"):
        piece(Event(b'{"choices":[],"message":"no"}', b"error"), progress)

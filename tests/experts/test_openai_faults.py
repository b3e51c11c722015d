"""Servers that break off, stall or talk nonsense: the error is typed, and half an answer never looks whole."""

import time
from contextlib import aclosing, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experts.base import BrokenOff, ExpertError, Request, Unavailable
from experts.openai_http import Limits
from tests.experts.openai_server import (
    DONE,
    FIRST,
    GOOD,
    HEL,
    LO,
    STOP,
    USED,
    ask,
    chunks_of,
    event,
    expert_of,
    failure_of,
    piece,
    streaming,
)
from tests.experts.raw import STREAM_HEAD, Talk, chunked, none_open, serving, silent


@pytest.mark.parametrize("cut", range(1, sum(map(len, GOOD[:3])), 23))
@pytest.mark.parametrize("chunks", [True, False])
async def test_a_stream_cut_anywhere_before_its_end_is_never_taken_for_whole(cut, chunks):
    """Row 8: also when the connection's close is all that marks the end."""
    sent = b"".join(GOOD[:3])[:cut]
    head = STREAM_HEAD if chunks else b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.say(head, b"%x\r\n%b\r\n" % (len(sent), sent) if chunks else sent)

    error, seen = await failure_of(handler, stream=True)
    assert type(error) is (BrokenOff if seen else Unavailable)
    assert error.retryable


async def test_a_broken_answer_tells_what_it_has_cost_if_that_is_known():
    counted = piece({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 2})
    error, _ = await failure_of(streaming(counted, DONE), stream=True)
    assert isinstance(error, BrokenOff)
    assert error.about["cost"] == 7000
    error, _ = await failure_of(streaming(HEL, DONE), stream=True)
    assert "cost" not in error.about


async def test_a_connection_that_breaks_after_the_finish_reason_spoils_nothing():
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.say(STREAM_HEAD, *chunked(FIRST, HEL, STOP, USED)[:-1])

    got = await chunks_of(handler, stream=True)
    assert got[-1].cost == 7000


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        (b"data: {half\n\n", BrokenOff),
        (b"data: [1]\n\n", BrokenOff),
        (event({"error": {"message": "CUDA error", "code": 500}}), BrokenOff),
        (b'event: error\ndata: {"message": "boom"}\n\n', BrokenOff),
        (b"data: " + b"x" * 17_000_000 + b"\n\n", BrokenOff),
    ],
    ids=["half", "list", "error", "named", "long"],
)
async def test_nonsense_inside_a_stream_breaks_the_answer_off(odd, kind):
    """Row 9."""
    error, seen = await failure_of(streaming(FIRST, HEL, odd, LO, STOP, DONE), stream=True)
    assert (type(error), seen) == (kind, 2)
    error, seen = await failure_of(streaming(odd, LO, STOP, DONE), stream=True)
    assert (type(error), seen) == (Unavailable, 0)


async def stop_after_head(talk: Talk) -> None:
    await talk.request()
    await talk.say(STREAM_HEAD)
    await talk.closed()


async def stop_after_event(talk: Talk) -> None:
    await talk.request()
    await talk.say(STREAM_HEAD, chunked(FIRST)[0])
    await talk.closed()


@pytest.mark.parametrize(
    ("handler", "options", "kind"),
    [
        (silent, {}, Unavailable),
        (stop_after_head, {"stream": True}, Unavailable),
        (stop_after_event, {"stream": True}, BrokenOff),
    ],
)
async def test_silence_and_stalls_end_with_a_typed_error(handler, options, kind):
    """Row 5."""
    error, _ = await failure_of(handler, **options)
    assert type(error) is kind
    assert error.about["status"] in (502, 504)


async def test_the_caller_s_own_deadline_ends_the_request():
    async with serving(silent) as server:
        expert = expert_of(server)
        with pytest.raises(Unavailable) as caught:
            await ask(expert, deadline=time.monotonic() + 0.05)
        assert caught.value.about["code"] == "upstream_timeout"
        with pytest.raises(Unavailable, match="no time is left"):
            await ask(expert, deadline=time.monotonic() - 1)
        await expert.stop()


async def test_closing_the_iterator_early_closes_the_upstream_request():
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.say(STREAM_HEAD, *chunked(FIRST)[:1])
        await talk.closed()

    async with serving(handler) as server:
        expert = expert_of(server)
        stream = expert.stream(Request(({"role": "user", "content": "x"},), {"stream": True}))
        async with aclosing(stream) as chunks:  # type: ignore[type-var]  # an Expert's iterator is a generator
            async for _ in chunks:
                break
        await none_open(server)
        await expert.stop()


PARTS = st.sampled_from([*GOOD, b": ping\n\n", b"\n", b"data", b"data: {}\n\n", b"data: null\n\n", b"event: error\n"])
HEADS = st.sampled_from(
    [
        STREAM_HEAD,
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
        b"HTTP/1.1 500 X\r\n\r\n",
        b"HTTP/1.1 ",
    ]
    + [b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n", b""]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(head=HEADS, parts=st.lists(PARTS, max_size=9), whole=st.booleans(), stream=st.booleans())
async def test_whatever_a_server_sends_the_end_is_a_whole_answer_or_a_typed_error(head, parts, whole, stream):
    """Rows 9 to 12."""
    sent = chunked(*parts) if head == STREAM_HEAD else list(parts)

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.say(head, *sent[: None if whole else -1])

    async with serving(handler) as server:
        expert = expert_of(server, limits=Limits(1, 1, 1, 1))
        with suppress(ExpertError):
            got = await ask(expert, **({"stream": True} if stream else {}))
            assert any(chunk.finish_reason for chunk in got)
        assert expert._client.free_slots == 256 or stream
        await expert.stop()

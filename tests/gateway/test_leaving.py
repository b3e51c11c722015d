"""Answers whose client has left, where the expert is read on until it has said what it cost (row 21)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import gateway.leaving
from experts.http1_connection import Connection
from experts.openai_http import Limits, OpenAIHTTP
from tests.experts import raw
from tests.gateway.conftest import CARD, Served, make_door, serving
from tests.gateway.test_hot import DONE, ROLE, STOP, event, stream, whole

HEAD = b'"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m"'


def so_far(words: int) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words}
    return event({"content": f"word{words} "}, usage=usage)


def said(*events: bytes) -> list[bytes]:
    return [raw.STREAM_HEAD, *raw.chunked(*events)[:-1]]


@asynccontextmanager
async def left(tmp_path, handler: raw.Handler, until: bytes = b"", **about: Any) -> AsyncIterator[Served]:
    """A client has left a gateway in front of one expert, after it has read some bytes."""
    streaming = about.pop("streaming", True)
    about = {"when_left": "count", **about}
    async with asyncio.timeout(20), raw.serving(handler) as server:
        expert = OpenAIHTTP("e0", CARD, url=f"{server.url}/v1", **about)
        async with serving(make_door(tmp_path, [expert])) as served:
            host, port = served.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            body = json.dumps({"model": "e0", "stream": streaming, "messages": [{"role": "user", "content": "hi"}]})
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lyc-test-key\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await (reader.readuntil(until) if until else asyncio.sleep(0.2))
            writer.close()
            yield served


async def the_row(served: Served) -> dict[str, Any]:
    """The one outcome, once it is written."""
    while not (rows := served.ledger("outcomes")):
        await asyncio.sleep(0.02)
    assert len(rows) == 1
    assert (rows[0]["reason"], rows[0]["status"]) == ("client_left", 499)
    row: dict[str, Any] = rows[0]
    return row


async def test_words_on_their_way_are_paid_and_the_expert_stops(tmp_path):
    stopped = asyncio.Event()

    async def handler(talk: raw.Talk) -> None:
        _, body = await talk.request()
        assert json.loads(body)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
        await talk.say(*said(ROLE, so_far(1)))
        await talk.closed()  # half closed: what is said now still arrives
        stopped.set()
        await talk.say(*said(so_far(4))[1:])

    async with left(tmp_path, handler, b"word1") as served:
        await stopped.wait()
        row = await the_row(served)
    assert (row["completion_tokens"], row["cost"], row["estimated"]) == (4, 15_000, False)


async def test_an_expert_that_has_said_nothing_yet_is_heard_first(tmp_path):
    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await asyncio.sleep(0.5)
        await talk.say(*said(so_far(1)))
        await talk.closed()

    async with left(tmp_path, handler) as served:
        row = await the_row(served)
    assert (row["cost"], row["estimated"]) == (9_000, False)


@pytest.mark.parametrize("when_left", ["count", "finish"])
async def test_a_plain_answer_is_read_to_its_end(tmp_path, when_left):
    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await asyncio.sleep(0.5)
        await talk.say(whole())

    async with left(tmp_path, handler, streaming=False, when_left=when_left) as served:
        row = await the_row(served)
    assert (row["cost"], row["estimated"]) == (13_000, False)


async def test_a_stream_is_read_to_its_end_where_all_of_it_is_billed(tmp_path):
    async def handler(talk: raw.Talk) -> None:
        _, body = await talk.request()
        assert "continuous_usage_stats" not in json.loads(body)["stream_options"]
        await talk.say(*said(ROLE, event({"content": "one "})))
        await asyncio.sleep(0.3)
        await talk.say(*stream(event({"content": "two"}, usage=None), STOP, event({}, usage=None), DONE)[1:])

    async with left(tmp_path, handler, b"one", when_left="finish") as served:
        row = await the_row(served)
    assert row["estimated"], "this server tells no usage at all"


async def test_a_server_that_goes_on_all_the_same_is_cut_and_what_it_cost_is_a_guess(tmp_path, monkeypatch):
    monkeypatch.setattr(gateway.leaving, "SECONDS", 0.2)

    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await talk.say(raw.STREAM_HEAD)
        for word in range(1, 10_000):
            await talk.say(raw.chunked(so_far(word))[0], pause=0.01)

    async with left(tmp_path, handler, b"word1") as served:
        row = await the_row(served)
    assert row["estimated"]
    assert row["cost"] > 0


async def test_where_half_of_a_connection_cannot_be_closed_all_of_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(Connection, "hang_up", lambda self: False)

    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await talk.say(*said(so_far(1)))
        await talk.closed()

    async with left(tmp_path, handler, b"word1") as served:
        row = await the_row(served)
    assert (row["cost"], row["estimated"]) == (9_000, True)


WRONG = {
    "an error": raw.answer(b'{"error": {"message": "no"}}', b"500 No"),
    "noise": raw.answer(b"noise"),
    "too long": raw.answer(b"x" * 2_000_000),
    "a broken event": b"".join([raw.STREAM_HEAD, *raw.chunked(b"data: {broken\n\n")]),
    "an event without an end": b"".join([raw.STREAM_HEAD, *raw.chunked(b"data: " + b"x" * 2_000_000)]),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_expert_that_fails_after_its_client_has_left_is_one_row(tmp_path, wrong):
    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await asyncio.sleep(0.4)
        await talk.say(WRONG[wrong])
        await talk.closed()

    streaming = "event" in wrong
    async with left(tmp_path, handler, streaming=streaming, limits=Limits(answer_bytes=1_000_000)) as served:
        row = await the_row(served)
    assert row["kind"] == "failure"


async def test_clients_see_no_usage_that_only_we_asked_for(tmp_path):
    usage = b'{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}'
    count = b'data: {%b,"choices":[],"usage":%b}\n\n' % (HEAD, usage)
    answer = stream(so_far(1), so_far(2), STOP, count, DONE)
    async with raw.serving(raw.always(*answer)) as server:
        expert = OpenAIHTTP("e0", CARD, url=f"{server.url}/v1", when_left="count")
        async with serving(make_door(tmp_path, [expert])) as served:
            silent = await served.ask(stream=True)
            asking = await served.ask(stream=True, stream_options={"include_usage": True})
    assert "usage" not in silent.text
    assert asking.text.count("usage") == 1
    assert '"completion_tokens":2' in asking.text

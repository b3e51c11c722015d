"""Experts behind OpenAI's HTTP, answered in callbacks: bytes pass through, faults are replaced or told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from experts.openai_http import OpenAIHTTP
from policies.cascade import Cascade
from tests.experts import raw
from tests.gateway.conftest import CARD, Served, make_door, scripted, serving

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def whole(content: str = "hello", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    body = {"id": "up-1", "object": "chat.completion", "created": 1, "model": "theirs", "choices": [choice]}
    return raw.answer(json.dumps(body | {"usage": USAGE} | more).encode())


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs", "choices": [choice]}
    return b"data: " + json.dumps(body | more).encode() + b"\n\n"


ROLE, ONE, TWO = event({"role": "assistant", "content": None}), event({"content": "one "}), event({"content": "two"})
STOP = event({}, "stop")
LAST = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs", "choices": []}
COUNTED = b"data: %b\n\n" % json.dumps({**LAST, "usage": USAGE}).encode()
DONE = b"data: [DONE]\n\n"


def stream(*events: bytes) -> list[bytes]:
    return [raw.STREAM_HEAD, *raw.chunked(*events)]


def cut(*events: bytes) -> raw.Handler:
    """Says the events and closes inside the stream."""

    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await talk.say(raw.STREAM_HEAD, *raw.chunked(*events)[:-1], pause=0.1)

    return handler


@asynccontextmanager
async def behind(tmp_path, *handlers: raw.Handler, sound: bool = False, policy: Any = None) -> AsyncIterator[Served]:
    """A gateway in front of raw servers, named e0, e1, ...; `sound` adds a scripted expert after them."""
    async with asyncio.timeout(20):
        servers = [raw.serving(handler) for handler in handlers]
        opened = [await server.__aenter__() for server in servers]
        experts: list[Any] = [OpenAIHTTP(f"e{i}", CARD, url=f"{one.url}/v1") for i, one in enumerate(opened)]
        if sound:
            experts.append(scripted("sound", "all is well"))
        async with serving(make_door(tmp_path, experts, policy)) as served:
            served.clients.append(Servers(opened))
            yield served
        for server in reversed(servers):
            await server.__aexit__(None, None, None)


class Servers(list[raw.Server]):
    """The raw servers, kept beside the clients."""

    async def aclose(self) -> None:
        """They are closed by who opened them."""


def events_of(response: Any) -> list[str]:
    return [line.removeprefix("data: ") for line in response.text.splitlines() if line]


async def test_a_plain_answer_passes_through_with_our_name_and_all_its_fields(tmp_path):
    answer = whole(of_tomorrow={"kept": [1]}, system_fingerprint="fp")
    async with behind(tmp_path, raw.always(answer)) as served:
        response = await served.ask()
        outcomes = served.ledger("outcomes")

    body = response.json()
    assert (body["model"], body["of_tomorrow"], body["id"]) == ("e0", {"kept": [1]}, "up-1")
    assert response.headers["x-lyceum-cost"] == "0.000013000"
    assert outcomes[0]["cost"] == 13_000
    assert (outcomes[0]["prompt_tokens"], outcomes[0]["finish_reason"]) == (7, "stop")


@pytest.mark.parametrize(
    ("usage", "cost", "estimated"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, 0, False),
        ({"prompt_tokens": 7}, 13_000, True),
        (None, 6_000, True),
        ({"prompt_tokens": -7, "completion_tokens": 1e99}, 6_000, True),
    ],
)
async def test_tokens_that_nobody_counted_are_estimated_and_marked(tmp_path, usage, cost, estimated):
    """Row 10: an explicit 0 is kept; what is missing or absurd is counted by us."""
    async with behind(tmp_path, raw.always(whole("hello you", usage=usage))) as served:
        served.theirs = ("usage.",)
        await served.ask()
        row = served.ledger("outcomes")[0]

    assert (row["cost"], row["estimated"]) == (cost, estimated)


async def test_a_stream_passes_through_and_ends_once(tmp_path):
    sent = stream(ROLE, ONE, TWO, STOP, COUNTED, DONE)
    async with behind(tmp_path, raw.always(*sent)) as served:
        quiet = await served.ask(stream=True)
        told = await served.ask(stream=True, stream_options={"include_usage": True})
        outcomes = served.ledger("outcomes")

    assert quiet.text.count("[DONE]") == told.text.count("[DONE]") == 1
    assert "usage" not in quiet.text
    assert json.loads(events_of(told)[-2])["usage"] == USAGE
    assert "".join(json.loads(each)["choices"][0]["delta"].get("content") or "" for each in events_of(quiet)[:-1])
    assert {json.loads(each)["model"] for each in events_of(quiet)[:-1]} == {"e0"}
    assert [row["cost"] for row in outcomes] == [13_000, 13_000]


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_a_stream_survives_any_cutting_of_its_bytes(tmp_path, size):
    text = b"".join([ROLE, event({"content": "a\u2028b\u0085c \u00e9"}), STOP, DONE])
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    async with behind(tmp_path, raw.always(raw.STREAM_HEAD, *raw.chunked(*pieces))) as served:
        response = await served.ask(stream=True)

    said = [json.loads(each)["choices"][0]["delta"].get("content") for each in response.text.split("data: ")[1:-1]]
    assert said == [None, "a\u2028b\u0085c \u00e9", None]


ERRORS = {
    "503": raw.answer(b'{"object":"error","message":"busy","code":503}', b"503 Service Unavailable"),
    "flat error in a 200": raw.answer(b'{"object":"error","message":"The request queue is full.","code":503}'),
    "html": raw.answer(b"<html>", kind=b"text/html"),
    "empty": raw.answer(b""),
    "401": raw.answer(b'{"error":"Unauthorized"}', b"401 Unauthorized"),
    "no end": whole().replace(b'"stop"', b"null  "),
    "nonsense": b"SSH-2.0-OpenSSH\r\n",
}


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_failed_expert_is_replaced_without_a_trace(tmp_path, fault):
    """Rows 3, 11: the next expert answers, in whatever way it does."""
    async with behind(tmp_path, raw.always(ERRORS[fault]), sound=True) as served:
        response = await served.ask()
        outcomes = served.ledger("outcomes")

    assert response.status_code == 200
    assert response.headers["x-lyceum-expert"] == "sound"
    assert [row["kind"] for row in outcomes] == ["failure", "answer"]


FULL = b'data: {"error":{"object":"error","message":"The request queue is full.","code":503}}\n\n'


@pytest.mark.parametrize(
    "handler",
    [raw.always(*stream(FULL, DONE)), cut(), cut(ROLE), raw.always(*stream(DONE)), raw.always(ERRORS["503"])],
    ids=["an error event", "nothing", "a role and no word", "only done", "503"],
)
async def test_a_stream_that_fails_before_it_says_something_is_replaced(tmp_path, handler):
    """Rows 8, 11: SGLang answers a full queue with 200 and an error event."""
    async with behind(tmp_path, handler, sound=True) as served:
        response = await served.ask(stream=True)

    assert response.headers["x-lyceum-expert"] == "sound"
    assert events_of(response)[-1] == "[DONE]"


@pytest.mark.parametrize(
    "handler",
    [
        cut(ROLE, ONE),
        raw.always(*stream(ROLE, ONE, DONE), pause=0.2),
        raw.always(*stream(ROLE, ONE, FULL), pause=0.2),
        cut(ONE, b"data: {"),
    ],
    ids=["cut", "done without a reason", "an error event", "half an event"],
)
async def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(tmp_path, handler):
    """Row 8: never a truncated answer that looks complete."""
    async with behind(tmp_path, handler, sound=True) as served:
        response = await served.ask(stream=True)
        outcomes = served.ledger("outcomes")

    assert "[DONE]" not in response.text
    assert json.loads(events_of(response)[-1])["error"]["code"] == "upstream_error"
    assert [(row["kind"], row["reason"]) for row in outcomes] == [("failure", "broken_off")]


async def test_a_stream_without_done_but_with_a_reason_is_whole(tmp_path):
    """S11 of row 1."""
    async with behind(tmp_path, raw.always(*stream(ROLE, ONE, STOP))) as served:
        response = await served.ask(stream=True)

    assert events_of(response)[-1] == "[DONE]"


async def test_a_rejection_is_passed_on_without_paths_or_addresses(tmp_path):
    """Row 13."""
    body = b'{"error":{"message":"too long, see /srv/model/config.py at http://10.0.0.1:3000","code":"context_length_exceeded"}}'
    async with behind(tmp_path, raw.always(raw.answer(body, b"400 Bad Request")), sound=True) as served:
        response = await served.ask()

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "/srv" not in error["message"]
    assert "10.0.0.1" not in error["message"]


async def test_an_answer_that_is_no_json_where_nobody_looked_is_an_error_that_the_client_hears(tmp_path):
    """A number beyond all numbers: only who reads every field of it finds that."""
    body = whole(odd={"model": 0}).partition(b"\r\n\r\n")[2].replace(b'"model": 0', b'"model": 1e99999')
    async with behind(tmp_path, raw.always(raw.answer(body))) as served:
        response = await served.ask()

    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_leaves_frees_the_expert_and_is_written_down(tmp_path, streaming):
    """Row 21."""
    left = asyncio.Event()

    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        if streaming:
            await talk.say(raw.STREAM_HEAD, *raw.chunked(ROLE, ONE)[:-1])
        await talk.closed()
        left.set()

    async with behind(tmp_path, handler) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"model": "auto", "stream": streaming, "messages": [{"role": "user", "content": "hi"}]})
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lyc-test-key\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        if streaming:
            await reader.readuntil(b"one")
        else:
            await asyncio.sleep(0.2)
        writer.close()
        await left.wait()
    assert [(row["reason"], row["status"]) for row in served.ledger("outcomes")] == [("client_left", 499)]


async def test_a_policy_that_asks_first_and_looks_at_the_answer_works_on_the_same_experts(tmp_path):
    async with behind(tmp_path, raw.always(whole("good")), sound=True, policy=Cascade(threshold=0.5)) as served:
        plain = await served.ask()
        streamed = await served.ask(stream=True)

    assert plain.json()["choices"][0]["message"]["content"]
    assert events_of(streamed)[-1] == "[DONE]"


async def test_a_slow_client_slows_the_expert_down(tmp_path):
    """Row 22: what a client does not take is not piled up here."""
    written = 0

    async def handler(talk: raw.Talk) -> None:
        nonlocal written
        await talk.request()
        await talk.say(raw.STREAM_HEAD)
        for _ in range(2000):
            piece = raw.chunked(event({"content": "x" * 16_000}))[0]
            await talk.say(piece)
            written += len(piece)

    async with behind(tmp_path, handler) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        body = '{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lyc-test-key\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await reader.readexactly(1024)
        seen = -1
        while seen != written:
            seen = written
            await asyncio.sleep(0.3)
        writer.transport.abort()

    assert written < 24_000_000

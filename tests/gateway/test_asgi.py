"""The same handlers under plain ASGI: for tests, and for servers other than ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gateway.app import App
from tests.gateway.conftest import KEY, make_door, scripted
from tests.gateway.test_run import Endless

ASK = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def client(tmp_path) -> AsyncIterator[httpx2.AsyncClient]:
    door = make_door(tmp_path, [scripted("one", "one two")])
    transport = httpx2.ASGITransport(app=App(door, 1000))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client
    await door.school.stop()


async def test_answers_plain_and_streamed(client):
    plain = await client.post("/v1/chat/completions", json=ASK)
    streamed = await client.post("/v1/chat/completions", json=ASK | {"stream": True})

    assert plain.json()["choices"][0]["message"]["content"] == "one two"
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert plain.headers["x-request-id"] == plain.headers["x-lyceum-decision"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/nothing", b"", {}, 404),
        ("/healthz", b"", {}, 405),
        ("/v1/chat/completions", b"x" * 2000, {}, 413),
        ("/v1/chat/completions", b"x", {"content-encoding": "gzip"}, 415),
        ("/v1/chat/completions", b"x", {}, 400),
    ],
)
async def test_refuses_in_openais_form(client, path, body, headers, status):
    response = await client.post(path, content=body, headers=headers)

    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}


async def test_a_client_that_leaves_cancels_the_expert(tmp_path):
    """Row 21, by ASGI's own message."""
    expert = Endless()
    door = make_door(tmp_path, [expert])
    sent = asyncio.Event()
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}'}
    ]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await sent.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if b"more" in message.get("body", b""):
            sent.set()

    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    await asyncio.wait_for(App(door, 1000)(scope, receive, send), 5)
    await door.school.stop()  # nobody waits for the row of a client that left; closing writes it
    rows = door.school.books.ledger.rows("outcomes")

    assert expert.cancelled.is_set()
    assert [(row["reason"], row["status"]) for row in rows] == [("client_left", 499)]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/chat/completions", b'"messages":[{"role":"user","content":"hi"}]'),
        ("/v1/messages", b'"max_tokens":9,"messages":[{"role":"user","content":"hi"}]'),
        ("/v1/responses", b'"input":"hi"'),
    ],
)
async def test_a_client_that_leaves_before_the_first_chunk_ends_the_expert(tmp_path, path, said):
    """Row 21: the head is on its way when the client goes, and nobody has read a chunk yet."""
    expert = Endless()
    door = make_door(tmp_path, [expert])
    begun, messages = (
        asyncio.Event(),
        [{"type": "http.request", "body": b'{"model":"auto","stream":true,' + said + b"}"}],
    )

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await asyncio.wait_for(App(door, 1000)(scope, receive, send), 5)
    await door.school.stop()
    rows = door.school.books.ledger.rows("outcomes")

    assert expert.cancelled.is_set()
    assert [(row["reason"], row["status"]) for row in rows] == [("client_left", 499)]


async def test_the_lifespan_is_answered(tmp_path):
    door = make_door(tmp_path, [scripted("one")])
    told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[str] = []

    async def receive() -> dict[str, Any]:
        return next(told)

    async def send(message: Any) -> None:
        said.append(message["type"])

    await App(door, 1000)({"type": "lifespan"}, receive, send)
    await door.school.stop()

    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

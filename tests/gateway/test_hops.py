"""Gateways that ask each other in a circle: a request comes to its end, clearly and soon (row 20)."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from experts.openai_http import OpenAIHTTP
from gateway.hops import MOST
from tests.experts import raw
from tests.gateway.conftest import CARD, Served, make_door, serving


async def ask(served: Served, hops: str | None) -> httpx2.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    headers = {} if hops is None else {"x-lyceum-hops": hops}
    return await served.http().post("/v1/chat/completions", json=body, headers=headers)


class Circle:
    """A gateway whose one expert is itself."""

    def __init__(self, tmp_path, **about):
        self.expert = OpenAIHTTP("me", CARD, url="http://127.0.0.1:1/v1", key="lyc-test-key", model="me", **about)
        self.door = make_door(tmp_path, [self.expert])

    def closes(self, url: str) -> None:
        """The expert's address is the gateway's own."""
        url_of = OpenAIHTTP("me", CARD, url=f"{url}/v1")
        self.expert._client, self.expert._path = url_of._client, url_of._path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "stream": True}),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/completions", {"prompt": "hi"}),
        ("/v1/embeddings", {"input": "hi"}),
        ("/v1/rerank", {"query": "hi", "documents": ["hello"]}),
    ],
)
async def test_a_circle_of_gateways_ends_as_an_error_of_its_own(tmp_path, path, body):
    circle = Circle(tmp_path, paths=["/embeddings", "/rerank"])
    async with asyncio.timeout(20), serving(circle.door) as served:
        circle.closes(served.url)
        response = await served.http().post(path, json={"model": "me", **body})
        decisions = served.ledger("decisions")

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "delegation_depth_exceeded"
    assert len(decisions) <= 2 * MOST


@pytest.mark.parametrize("hops", ["8", "999", "1000000", "-1", "x", ""])
async def test_a_request_that_came_too_far_asks_nobody(tmp_path, hops):
    circle = Circle(tmp_path)
    async with serving(circle.door) as served:
        response = await ask(served, hops)
        assert served.ledger("decisions") == []
    assert response.status_code == 400


async def test_an_expert_hears_how_many_gateways_have_passed_a_request_on(tmp_path):
    heads: list[bytes] = []
    about = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}

    async def handler(talk: raw.Talk) -> None:
        while True:
            heads.append((await talk.request())[0])
            choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            await talk.say(raw.answer(json.dumps({**about, "choices": [choice]}).encode()))

    async with raw.serving(handler) as server:
        door = make_door(tmp_path, [OpenAIHTTP("one", CARD, url=f"{server.url}/v1")])
        async with serving(door) as served:
            for hops in (None, "4", None):
                await ask(served, hops)
    told = [line for head in heads for line in head.split(b"\r\n") if line.startswith(b"x-lyceum-hops")]
    assert told == [b"x-lyceum-hops: 1", b"x-lyceum-hops: 5", b"x-lyceum-hops: 1"]

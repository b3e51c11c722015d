"""A server with every endpoint beside chat, real on loopback, that keeps what it was sent; and a gateway before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from experts.card import Card
from experts.openai_http import OpenAIHTTP
from policies.base import Policy
from tests.experts.raw import STREAM_HEAD, Handler, Talk, answer, chunked
from tests.experts.raw import serving as raw_serving
from tests.gateway.conftest import CARD, Served, make_door, scripted, serving

ALL = ("/completions", "/embeddings", "/rerank", "/moderations", "/audio", "/images", "/files", "/batches")
Told = tuple[str, str, dict[str, str], bytes]
"""Method, path, headers, body."""


def replying(seen: list[Told], replies: dict[str, bytes]) -> Handler:
    """A handler that answers by the beginning of the path, and keeps what came."""

    async def handler(talk: Talk) -> None:
        while True:
            head, body = await talk.request()
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            method, path, _ = first.split(" ")
            headers = dict(line.split(": ", 1) for line in lines)
            seen.append((method, path, headers, body))
            key = max((key for key in replies if path.startswith(key)), key=len)
            await talk.say(replies[key])
            if b"connection: close" in replies[key]:
                talk.writer.close()
                return

    return handler


def json_reply(payload: Any, status: bytes = b"200 OK") -> bytes:
    return answer(orjson.dumps(payload), status)


def stream_reply(*events: bytes) -> bytes:
    return STREAM_HEAD + b"".join(chunked(*events))


@asynccontextmanager
async def gateway(
    folder: Path,
    replies: dict[str, bytes],
    paths: tuple[str, ...] = ALL,
    policy: Policy | None = None,
    change: Callable[[Any], None] = lambda door: None,
    card: Card = CARD,
) -> AsyncIterator[tuple[Served, list[Told]]]:
    """A gateway in front of `talker`, who only chats, and `server`, which has the paths."""
    seen: list[Told] = []
    async with raw_serving(replying(seen, replies)) as upstream:
        able = OpenAIHTTP("server", card, url=upstream.url + "/v1", model="their-model", key="ours", paths=paths)
        door = make_door(folder, [scripted("talker"), able], policy)
        change(door)
        async with serving(door) as served:
            yield served, seen

"""Another endpoint of an expert's server, asked as an expert: bytes go there as they are, and come back as they are."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from msgspec import Struct

from experts import sse
from experts.base import BrokenOff, Chunk, Expert, Request
from experts.card import Card, Price, Usage
from experts.http1_exchange import HTTPError
from experts.http1_response import Response
from experts.openai_answer import count
from experts.openai_errors import of_payload, of_status, of_transport
from experts.openai_http import ERROR_BYTES, EVENTS, OpenAIHTTP

MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')
"""Inside a JSON string a quotation mark is escaped, so this can only be a key and its value."""


class Passed(Struct, frozen=True):
    """What goes to the server. `path` is below its URL, with the query; `model` is where its name stands in `body`,
    as (start, end) of the bytes to replace, `quoted` if they are JSON. `free` is what costs nothing."""

    method: str
    path: str
    kind: str
    body: bytes
    model: tuple[int, int] | None = None
    quoted: bool = True
    free: bool = False

    def addressed(self, name: str) -> bytes:
        """The body with the server's name for the model; every other byte is as it came."""
        if self.model is None:
            return self.body
        start, end = self.model
        return self.body[:start] + (orjson.dumps(name) if self.quoted else name.encode()) + self.body[end:]


def has(expert: Expert, path: str) -> bool:
    """Whether an expert's configuration says that its server has this endpoint, such as /audio/speech."""
    paths: Sequence[str] = getattr(expert, "paths", ())
    return any(path == own or path.startswith(own.rstrip("/") + "/") for own in paths)


class Endpoint:
    """Passes `request.options["passed"]` on. The first chunk's delta has the `content_type`, and `headers` beside it;
    what comes is one whole chunk, or pieces as they come if the request streams."""

    def __init__(self, server: OpenAIHTTP) -> None:
        self.server = server

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def card(self) -> Card:
        return self.server.card

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        passed: Passed = request.options["passed"]
        body, begun = passed.addressed(self.server.served), False
        try:
            async with self.server.forward(passed.method, passed.path, passed.kind, body, request) as response:
                if not 200 <= response.status < 300:
                    raise of_status(response.status, response.headers, await response.read(ERROR_BYTES), time.time())
                answer = self._pieces(response) if request.stream else self._whole(response, passed.free)
                async with aclosing(answer):
                    async for chunk in answer:
                        begun = True
                        yield chunk
        except HTTPError as error:
            if begun:
                raise BrokenOff(f"the answer broke off: {error}", status=502, code="upstream_broken_off") from error
            raise of_transport(error) from error

    async def _whole(self, response: Response, free: bool) -> AsyncGenerator[Chunk]:
        body = await response.read(self.server.limits.answer_bytes)
        payload = parsed(body) if is_json(response) else {}
        if error := of_payload(payload):
            raise error
        usage = usage_of(payload)
        yield Chunk(head(response), "stop", usage, 0 if free else cost(self.card.price, usage), body)

    async def _pieces(self, response: Response) -> AsyncGenerator[Chunk]:
        usage: Usage | None = None
        reader = sse.Reader(self.server.limits.answer_bytes) if _kind(response) == EVENTS else None
        first = head(response)
        async for piece in response:
            for event in reader.feed(piece) if reader else ():
                usage = usage_of(parsed(event.data)) or usage
            yield Chunk(first, data=piece)
            first = {}
        yield Chunk(first, "stop", usage, cost(self.card.price, usage), b"")


def _kind(response: Response) -> bytes:
    return dict(response.headers).get(b"content-type", b"").split(b";")[0].strip().lower()


def is_json(response: Response) -> bool:
    """Whether the answer says that it is JSON."""
    return _kind(response) in (b"application/json", b"")


def head(response: Response) -> dict[str, Any]:
    """What the client must know of the answer's headers; no other of the server's ever reaches it."""
    headers = dict(response.headers)
    kind = headers.get(b"content-type", b"application/octet-stream")
    told: dict[str, Any] = {"content_type": kind, "headers": [(b"content-type", kind)], "status": response.status}
    if b"content-disposition" in headers:
        told["headers"].append((b"content-disposition", headers[b"content-disposition"]))
    return told


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object; empty if it is none."""
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return payload if isinstance(payload, dict) else {}


def usage_of(payload: dict[str, Any]) -> Usage | None:
    """The usage of an answer under any of its names: prompt or input, completion or output, or only a total. What an
    endpoint without an answer in tokens does not count is 0."""
    told = payload.get("usage")
    if not isinstance(told, dict) and isinstance(response := payload.get("response"), dict):
        told = response.get("usage")
    if not isinstance(told, dict):
        return None
    prompt = _first(told, "prompt_tokens", "input_tokens", "total_tokens")
    if prompt is None:
        return None
    return Usage(prompt, _first(told, "completion_tokens", "output_tokens") or 0)


def _first(told: dict[str, Any], *names: str) -> int | None:
    counts = (count(told.get(name)) for name in names)
    return next((each for each in counts if each is not None), None)


def cost(price: Price, usage: Usage | None) -> int | None:
    """Nano-dollars, or None if they cannot be known."""
    if not (price.prompt or price.completion):
        return 0
    return None if usage is None else price.tokens(usage)

"""An expert behind an OpenAI-compatible HTTP server: the client's fields go there untouched, its bytes come back."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from experts import native, sse
from experts.base import CHAT as CHAT_DIALECT
from experts.base import Chunk, ExpertError, Request, SetupError, Unavailable
from experts.card import Card
from experts.completions_answer import CompletionsReading
from experts.continuation import Manner, prefilled
from experts.http1 import LENGTHS, Client, length_of
from experts.http1_exchange import Deadlines, Exchange, HTTPError, Sink
from experts.http1_response import Response
from experts.messages_answer import MessagesReading
from experts.openai_answer import Progress, first_choice, parse_usage
from experts.openai_body import LONG, written
from experts.openai_errors import broken, of_payload, of_status, of_transport
from experts.responses_answer import ResponsesReading

JSON, EVENTS = b"application/json", b"text/event-stream"
ERROR_BYTES = 1024 * 1024
HOPS = "x-lyceum-hops"
"""Tells a gateway behind us how many have passed a request on: a circle of gateways ends."""
READINGS: Mapping[str, type[native.Reading]] = {
    "responses": ResponsesReading,
    "messages": MessagesReading,
    "completions": CompletionsReading,
}
CHAT = "/chat/completions"
WhenLeft = Literal["cancel", "count", "finish"]
SECONDS_TO_END = 1.0
"""How long the rest of an answer may take after `[DONE]` for its connection to be used again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a server: seconds to connect, to the first byte, between bytes, for all; connections at once; requests
    that may wait for one; bytes of a whole answer, or of one event."""

    connect_seconds: float = 5.0
    first_seconds: float = 120.0
    idle_seconds: float = 60.0
    total_seconds: float = 600.0
    connections: int = 256
    waiting: int = 4096
    answer_bytes: int = 16 * 1024 * 1024

    def deadlines(self, deadline: float | None) -> Deadlines:
        """The deadlines of one request; `deadline` is its own, in monotonic seconds. Raises Unavailable."""
        total = self.total_seconds
        if deadline is not None:
            total = min(total, deadline - time.monotonic())
            if total <= 0:
                raise Unavailable("no time is left for the expert", status=504, code="upstream_timeout")
        return Deadlines(self.connect_seconds, self.first_seconds, self.idle_seconds, total)


@dataclass(slots=True, eq=False)
class OpenAIHTTP:
    """Speaks /chat/completions of the server at `url` (it ends in /v1, as a rule).

    `model` is the server's name for the model, by default the expert's. `api_key_env` names the environment
    variable that holds the key; `key` is for servers that we start ourselves. `headers` are sent along; those of
    the client never are. `paths` are the endpoints that the server has besides: `paths = ["/embeddings", "/audio"]`.
    `continues` says how the server goes on with an answer that another expert began: `prefill` (llama.cpp and
    others), `sglang`, `vllm`. A server that has /completions, /responses or /messages is asked there by clients that
    speak so: `dialects = ["chat", "completions", "responses"]`.
    `when_left` says what becomes of an answer whose client has left: `cancel` ends it at once, and its cost is our
    estimate; `count` is for servers that can say the usage with every event (`continuous_usage_stats`: SGLang, vLLM):
    it ends there with nothing unpaid or guessed; `finish` reads it to its end, for servers that bill all of it anyway.
    """

    name: str
    card: Card
    _: KW_ONLY
    url: str
    model: str | None = None
    api_key_env: str | None = None
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = Limits()
    paths: Sequence[str] = ()
    continues: Manner = "no"
    when_left: WhenLeft = "cancel"
    _client: Client = field(init=False, repr=False)
    _path: str = field(init=False, repr=False)
    _head: bytes = field(default=b"", init=False, repr=False)
    _deadlines: Deadlines = field(init=False, repr=False)
    served: str = field(init=False)
    """What the server calls the model."""
    counts: bool = field(init=False)
    """Whether the server is asked for the usage with every event."""
    _style: str = field(init=False, repr=False)
    """Names the way in which bodies are written: experts of the same style write the same."""

    def __post_init__(self) -> None:
        """Raises ValueError for a bad URL or an unknown dialect."""
        if unknown := self.card.dialects - native.PATHS.keys():
            raise ValueError(f"dialects: there is no {sorted(unknown)[0]!r}; known: {', '.join(native.PATHS)}")
        parts = urlsplit(self.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        self._client = Client(origin, connections=self.limits.connections, waiting=self.limits.waiting)
        self._path = parts.path.rstrip("/") + CHAT
        self._deadlines = self.limits.deadlines(None)
        self.served = self.name if self.model is None else self.model
        self.counts = self.when_left == "count"
        self._style = f"{self.counts} {self.served}"

    async def start(self) -> None:
        """Raises SetupError if the key is not set."""
        self._head = self._make_head()

    async def stop(self) -> None:
        await self._client.aclose()

    def _make_head(self, spoken: str = CHAT_DIALECT, hops: int = 0) -> bytes:
        path = self._path.removesuffix(CHAT) + native.PATHS[spoken]
        return self._client.head("POST", path, {**native.headers(spoken, self._headers()), HOPS: str(hops + 1)})

    def _headers(self) -> dict[str, str]:
        """Raises SetupError if the key is not set."""
        headers = {"content-type": "application/json", "accept-encoding": "identity", **self.headers}
        key = self.key
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env)
            if not key:
                raise SetupError(f"experts.{self.name}.api_key_env: set the environment variable {self.api_key_env}")
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return headers

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        spoken = native.dialect(request, self.card.dialects)
        progress = self.progress() if spoken == CHAT_DIALECT else READINGS[spoken](self.card.price)
        try:
            async with self._ask(request, spoken) as response:
                if response.status != 200:
                    raise of_status(response.status, response.headers, await response.read(ERROR_BYTES), time.time())
                answer = self._events(response, progress) if request.stream else self._whole(response, progress)
                async with aclosing(answer):
                    async for chunk in answer:
                        yield chunk
        except HTTPError as error:
            if not progress.begun:
                raise of_transport(error) from error
            if not progress.whole:
                raise progress.broken_off(str(error)) from error
        if progress.begun and (rest := progress.rest()):
            yield rest

    def _ask(self, request: Request, spoken: str) -> Response:
        chat = spoken == CHAT_DIALECT
        body = written(request, self.served, self.counts) if chat else orjson.dumps(native.body(request, self.served))
        return Response(self._client, self._ready_head(spoken, request.hops), body, self._until(request))

    def _until(self, request: Request) -> Deadlines:
        return self._deadlines if request.deadline is None else self.limits.deadlines(request.deadline)

    def send(self, request: Request, sink: Sink) -> Exchange:
        """Asks without a coroutine: the answer comes to `sink` in callbacks, to be read with `progress`, `whole`
        and `piece`. Raises ExpertError."""
        body, head = request.body, self._head
        if request.hops or not head:
            head = self._ready_head(hops=request.hops)
        until = self._deadlines if request.deadline is None else self.limits.deadlines(request.deadline)
        try:
            if body is not None and (known := body.splices) and request.options is body.options:
                splice = known.get(self._style) if request.messages is body.messages else None
                if splice is not None and len(data := body.data) < LONG:
                    before, stays, after, more = splice
                    length = LENGTHS.get(len(data) + more) or length_of(len(data) + more)
                    return self._client.submit(b"".join((head, length, before, data[stays], after)), until, sink)
            whole = written(request, self.served, self.counts, self._style)
            return self._client.send(head, whole, until, sink)
        except HTTPError as error:
            raise of_transport(error) from error

    def forward(self, method: str, path: str, kind: str, body: bytes, request: Request) -> Response:
        """Asks another endpoint, `path` below the URL's own: bytes go there as they are, and come back.
        Raises ExpertError."""
        try:
            spoken = "messages" if path.startswith(native.PATHS["messages"]) else CHAT_DIALECT
            headers = {**native.headers(spoken, self._headers()), "content-type": kind, HOPS: str(request.hops + 1)}
        except SetupError as error:
            raise Unavailable("our key for the expert is not set") from error
        until = self._until(request)
        return self._client.request(method, self._path.removesuffix(CHAT) + path, headers, body, until)

    def continuation(self, request: Request, said: str) -> Request | None:
        """The request for the rest of an answer that broke off after `said`, if the server can give it."""
        return prefilled(request, said, self.continues)

    def progress(self) -> Progress:
        """How far an answer has come, at the beginning."""
        return Progress(self.card.price, self.counts)

    def _ready_head(self, spoken: str = CHAT_DIALECT, hops: int = 0) -> bytes:
        if self._head and spoken == CHAT_DIALECT and not hops:
            return self._head
        try:
            head = self._make_head(spoken, hops)
        except SetupError as error:
            raise Unavailable("our key for the expert is not set") from error
        if spoken == CHAT_DIALECT and not hops:
            self._head = head
        return head

    async def _whole(self, response: Response, progress: Progress) -> AsyncGenerator[Chunk, None]:
        yield whole(await response.read(self.limits.answer_bytes), progress)

    async def _events(self, response: Response, progress: Progress) -> AsyncGenerator[Chunk, None]:
        if dict(response.headers).get(b"content-type", b"").split(b";")[0].strip().lower() != EVENTS:
            raise no_stream(await response.read(ERROR_BYTES))
        reader = sse.Reader(self.limits.answer_bytes)
        async for data in response:
            try:
                events = reader.feed(data)
            except sse.TooLong as error:
                raise progress.failed(broken(str(error))) from error
            for event in events:
                if event.data == b"[DONE]":
                    response.let_end(SECONDS_TO_END)
                    progress.end()
                    return
                yield piece(event, progress)
                if progress.over:
                    response.let_end(SECONDS_TO_END)
                    return
        progress.end()


def whole(body: bytes, progress: Progress) -> Chunk:
    """The one chunk of a plain answer. Raises ExpertError if it is none."""
    payload = _parsed(body)
    if error := of_payload(payload):
        raise error
    if isinstance(progress, native.Reading):
        return progress.answer(payload, body)
    choice = first_choice(payload)
    message = choice.get("message") if choice else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise broken("it answered 200 without a message")
    usage = parse_usage(payload.get("usage"))
    return Chunk(message, choice.get("finish_reason"), usage, progress.cost(usage), body)


def piece(event: sse.Event, progress: Progress) -> Chunk:
    """The chunk of one event of a stream. Raises ExpertError."""
    if type(progress) is Progress and not event.name and (chunk := progress.quickly(event.data)) is not None:
        return chunk
    return progress.take(_event(event, progress), event.data)


def _event(event: sse.Event, progress: Progress) -> dict[str, Any]:
    """The object of one event. Raises ExpertError if it is none, or an error."""
    try:
        payload = _parsed(event.data)
    except ExpertError as no_json:
        raise progress.failed(no_json) from no_json
    if event.name == b"error" and "error" not in payload:
        payload = {"error": payload}
    if error := of_payload(payload):
        raise progress.failed(error)
    return payload


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise broken("it sent what is not JSON" if data else "it answered nothing") from error
    if not isinstance(payload, dict):
        raise broken("it sent JSON that is no object")
    return payload


def no_stream(body: bytes) -> ExpertError:
    """What a 200 without a stream means that was to stream."""
    try:
        return of_payload(_parsed(body)) or broken("it did not stream")
    except ExpertError as no_json:
        return no_json

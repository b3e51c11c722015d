"""An HTTP exchange as the handlers see it, whatever server carries it: a call that came, a reply that goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from msgspec import Struct

from gateway.errors import APIError

Headers = list[tuple[bytes, bytes]]


class HTTPCall(Struct, frozen=True):
    """One request, its body read whole and under the cap. Header names are lower-case."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes
    id: str
    query: str = ""
    """What follows the `?`, as it came."""


class Reply(Protocol):
    """Where an answer goes. `write` waits while the client is slow; a client that leaves cancels the handler."""

    @property
    def started(self) -> bool:
        """Whether the status line has gone."""
        ...

    async def start(self, status: int, headers: Headers) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def end(self) -> None: ...

    def abort(self) -> None:
        """Breaks the connection, so that nobody takes for whole what was sent."""
        ...


Handler = Callable[[HTTPCall, Reply], Awaitable[None]]


async def send_json(reply: Reply, value: Any, status: int = 200, headers: Headers | None = None) -> None:
    """Sends one JSON body; `value` may be bytes that are JSON already."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    length = (b"content-length", str(len(body)).encode())
    await reply.start(status, [(b"content-type", b"application/json"), length, *(headers or [])])
    await reply.write(body)
    await reply.end()


async def send_error(reply: Reply, error: APIError, headers: Headers | None = None) -> None:
    """Sends an error in OpenAI's form."""
    await send_json(reply, error.encoded(), error.http_status, [*error.all_headers(), *(headers or [])])

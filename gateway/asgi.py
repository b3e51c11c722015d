"""The ASGI adapter: reads a body under the cap, runs a handler, and cancels it when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.errors import APIError
from gateway.http import Handler, Headers, HTTPCall, send_error
from gateway.messages_errors import formed

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


LEFT = 499


class ASGIReply:
    """A reply by ASGI's `send`."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.send, self.request_id = send, request_id.encode()
        self.status = LEFT
        """The status that was sent; 499 while none was: the client left before."""

    @property
    def started(self) -> bool:
        return self.status != LEFT

    async def start(self, status: int, headers: Headers) -> None:
        self.status = status
        headers = [*headers, (b"x-request-id", self.request_id)]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    def abort(self) -> None:
        """A server of ASGI breaks the connection when the application ends before its answer does."""


async def serve(handler: Handler, scope: Scope, receive: Receive, reply: ASGIReply, cap: int) -> None:
    """Runs `handler` on one exchange; errors before the body is read are answered here."""
    headers = dict(scope["headers"])
    try:
        body = await _body(headers, receive, cap)
    except APIError as error:
        call = HTTPCall(scope["method"], scope["path"], headers, b"", reply.request_id.decode())
        await send_error(reply, formed(error, call.path, call.id))
        return
    if body is None:
        return
    query = scope.get("query_string", b"").decode("latin-1")
    call = HTTPCall(scope["method"], scope["path"], headers, body, reply.request_id.decode(), query)
    await _until_gone(handler(call, reply), receive)


async def _body(headers: dict[bytes, bytes], receive: Receive, cap: int) -> bytes | None:
    """The whole body, or `None` if the client left. Raises APIError above the cap, reading no further."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise APIError("unsupported_media_type", param="content-encoding")
    if int(headers.get(b"content-length", b"0")) > cap:
        raise APIError("request_too_large")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > cap:
            raise APIError("request_too_large")
        if not message.get("more_body"):
            return b"".join(parts)


async def _until_gone(work: Awaitable[None], receive: Receive) -> None:
    """Waits for the work, and cancels it as soon as the client disconnects."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()
    finally:
        watch.cancel()
        task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

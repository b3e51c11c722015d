"""A server of raw sockets, each test says byte by byte how it answers; and the client that asks it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from experts.http1 import Client
from experts.http1_exchange import Deadlines


class Talk:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def request(self) -> tuple[bytes, bytes]:
        """The head and the body of the next request; raises EOFError when the client is gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return head, await self.reader.readexactly(int(length.split(b":")[1]))

    async def say(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            if self.writer.is_closing():
                raise ConnectionResetError
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def closed(self) -> None:
        """Returns when the client has closed."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Closes with RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Talk], Awaitable[None]]


class Server:
    """What a test may ask of the server: its address, and how many connections it has seen and has open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = 0
        self.open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[Server]:
    """A server on loopback whose connections are all served by `handler`, once each."""
    server = Server(0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.seen += 1
        server.open += 1
        try:
            with suppress(EOFError, ConnectionError, asyncio.CancelledError):
                await handler(Talk(reader, writer, server.seen))
        finally:
            server.open -= 1
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1024, **options)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answer(body: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json", more: bytes = b"") -> bytes:
    """A whole answer with a content-length. `more` holds further header lines, each with its CRLF."""
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n" % (status, kind, len(body), more)
    return head + body


def always(*pieces: bytes, pause: float = 0.0) -> Handler:
    """A handler that answers every request of a connection with the same bytes."""

    async def handler(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(*pieces, pause=pause)

    return handler


def chunked(*pieces: bytes) -> list[bytes]:
    """The pieces in chunked coding, with the end."""
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def none_open(server: Server) -> None:
    while server.open:
        await asyncio.sleep(0.001)


def client_of(server: Server, **options: Any) -> Client:
    return Client(server.url, **options)


async def get(client: Client, body: bytes = b"", **seconds: float) -> bytes:
    async with client.request("POST", "/x", {"accept": "*/*"}, body, Deadlines(**seconds)) as response:
        return await response.read()


async def silent(talk: Talk) -> None:
    await talk.closed()


async def stall(talk: Talk) -> None:
    await talk.request()
    await talk.say(STREAM_HEAD, b"1\r\na\r\n")
    await talk.closed()

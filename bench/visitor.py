"""A client that trusts nobody: keeps connections, tries nothing twice, and takes an answer only if it is whole."""

from __future__ import annotations

import asyncio

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
END = b"data: [DONE]\n\n\r\n0\r\n\r\n"


class Broken(Exception):
    """The answer is no whole 200."""


class Visitor:
    """Asks one gateway."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self.idle: list[Pair] = []

    async def ask(self, body: bytes, new: bool = False) -> str:
        """The name of the answered request. `new`: on a connection of its own, which ends with the answer. Raises
        Broken, OSError, EOFError."""
        pair = await self.connection(new)
        reader, writer = pair
        kept = False
        try:
            writer.write(self.head(len(body), new) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            await whole(head, reader)
            kept = not new and b"\r\nconnection: close" not in head
        finally:
            self.idle.append(pair) if kept else writer.transport.abort()
        return field(head, b"x-request-id").decode()

    async def connection(self, new: bool) -> Pair:
        """One that was kept and is still open, or a new one."""
        while self.idle and not new:
            reader, writer = self.idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        return await asyncio.open_connection("127.0.0.1", self.port)

    def head(self, length: int, new: bool) -> bytes:
        close = "connection: close\r\n" if new else ""
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\n{close}content-length: {length}\r\n\r\n"
        ).encode()

    def close(self) -> None:
        """Leaves."""
        for _, writer in self.idle:
            writer.transport.abort()


async def whole(head: bytes, reader: asyncio.StreamReader) -> None:
    """Reads an answer to its end. Raises Broken."""
    length = field(head, b"content-length")
    body = await (reader.readexactly(int(length)) if length else reader.readuntil(b"\r\n0\r\n\r\n"))
    if not head.startswith(b"HTTP/1.1 200"):
        raise Broken((head.splitlines()[0] + b" " + body[:200]).decode(errors="replace"))
    if not length and not body.endswith(END):
        raise Broken("a stream that ends without [DONE]")


def field(head: bytes, name: bytes) -> bytes:
    """A header's value; empty if there is none."""
    return next((line[len(name) + 2 :] for line in head.split(b"\r\n") if line.startswith(name + b": ")), b"")

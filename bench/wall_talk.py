"""What the fault expert says on a socket when nothing is wrong: sixty words, whole or streamed, and what they cost."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

import orjson

ANSWER = (
    "a gateway earns trust only when the provider behind it misbehaves and nobody notices since every caller still "
    "reads the whole answer once no word is lost none comes twice money is counted to the last unit errors are told "
    "as errors in plain words and what has been cut is never shown as though it were complete anywhere else"
)
PIECES = [word if place == 0 else " " + word for place, word in enumerate(ANSWER.split())]
PROMPT_PRICE, COMPLETION_PRICE = 1_000, 2_000
"""Nano-dollars a token: 1 and 2 dollars a million. A word is a token."""

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


class Talk:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> tuple[str, bytes]:
        """The path and the body of the next request. Raises EOFError when there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode("latin-1")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return path, await self.reader.readexactly(int(length.split(b":")[1]))

    async def say(self, data: bytes) -> None:
        """Raises ConnectionError once the other side is gone."""
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, value: Any, status: str = "200 OK", more: str = "") -> None:
        await self.say(plain(orjson.dumps(value), status, more=more))

    @property
    def gone(self) -> bool:
        """Whether the other side has hung up."""
        return self.reader.at_eof() or self.writer.is_closing()

    def reset(self) -> None:
        """Closes with RST."""
        taken: socket.socket = self.writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(slots=True)
class Call:
    """One request under way; `cost` is what the expert will charge for what it has made."""

    talk: Talk
    body: dict[str, Any]
    prompt: str
    tries: int
    """How often this prompt has come to this model, this time included."""
    second: float
    scale: float
    number: int = 1
    """How many calls have come to this model, this one included."""
    cost: int = 0
    keeps: bool = True
    """Whether the connection may carry another request."""

    @property
    def argument(self) -> int:
        return int(self.prompt.rsplit(" ", 1)[1])

    @property
    def prompt_tokens(self) -> int:
        return sum(len(str(message["content"]).split()) for message in self.body["messages"])

    @property
    def pieces(self) -> list[str]:
        """What is left to say after a beginning that the caller gives."""
        last = self.body["messages"][-1]
        begun = str(last["content"]) if last["role"] == "assistant" else ""
        return PIECES[len(begun.split()) :][: self.body.get("max_tokens")]

    def made(self, words: int) -> None:
        """So many words exist now, whether they reach anybody or not."""
        self.cost = self.prompt_tokens * PROMPT_PRICE + words * COMPLETION_PRICE

    def usage(self, words: int) -> dict[str, int]:
        prompt = self.prompt_tokens
        return {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words}

    def close(self) -> None:
        self.keeps = False

    async def sleep(self, seconds: float) -> None:
        """Waits as long as the scale says, but not longer than the caller stays."""
        waiting = asyncio.create_task(self.talk.reader.read(1))
        done, _ = await asyncio.wait({waiting}, timeout=seconds * self.scale)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)  # the next request is read by another
        if done:
            raise ConnectionResetError


def plain(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """A whole answer. `more` holds further header lines, each with its CRLF."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def event(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    about = {"id": "wall-1", "object": "chat.completion.chunk", "created": 1, "model": "wall", "choices": [choice]}
    return b"data: " + orjson.dumps(about | more) + b"\n\n"


def events(call: Call) -> list[bytes]:
    """A whole stream: a role, a word an event, the reason, the usage, the end."""
    words = [event({"content": piece}) for piece in call.pieces]
    used = event({}, usage=call.usage(len(words)), choices=[])
    return [event({"role": "assistant", "content": ""}), *words, event({}, "stop"), used, DONE]


def whole(call: Call, **more: Any) -> dict[str, Any]:
    """A plain answer."""
    message = {"role": "assistant", "content": "".join(call.pieces)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    about = {"id": "wall-1", "object": "chat.completion", "created": 1, "model": "wall", "choices": choices}
    return {**about, "usage": call.usage(len(call.pieces)), **more}

"""A fake expert behind HTTP that keeps its own bill: what calls really cost, told by nobody's accounts."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from bench.wall_talk import COMPLETION_PRICE, PROMPT_PRICE, Talk, plain

READ = 48
"""Tokens that it may charge for a prompt beside one a byte, as chat templates do."""


@dataclass(slots=True)
class Bill:
    """Works for a moment, costs up to what it was allowed, writes that down by the prompt, and says how much.

    A call whose caller dies meanwhile is billed all the same, as providers do."""

    seed: int
    seconds: float
    costs: dict[str, int] = field(default_factory=dict)
    """In nano-dollars."""
    twice: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens on loopback; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        with suppress(EOFError, ConnectionError):
            while True:
                _, body = await talk.request()
                await talk.say(await self._answer(orjson.loads(body)))
        writer.transport.abort()

    async def _answer(self, body: dict[str, object]) -> bytes:
        messages, cap = body["messages"], body["max_tokens"]
        assert isinstance(messages, list)
        assert isinstance(cap, int)
        prompt = str(messages[-1]["content"])
        chance = random.Random(f"{self.seed} {prompt}")
        dear = chance.random() < 0.2
        read = len(prompt) + READ if dear else chance.randint(1, len(prompt))
        said = cap if dear else chance.randint(1, cap)
        self.twice += prompt in self.costs
        self.costs[prompt] = read * PROMPT_PRICE + said * COMPLETION_PRICE
        await asyncio.sleep(chance.random() * 2 * self.seconds)
        message = {"role": "assistant", "content": " ".join(["word"] * said)}
        choices = [{"index": 0, "message": message, "finish_reason": "length" if said == cap else "stop"}]
        usage = {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}
        about = {"id": "bill", "object": "chat.completion", "created": 1, "model": "billed"}
        return plain(orjson.dumps({**about, "choices": choices, "usage": usage}))

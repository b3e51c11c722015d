"""The fault expert: a server on raw sockets whose model name picks how it fails, and which keeps its own bill.

`python -m bench.wall SCALE` prints its port. POST /v1/chat/completions answers with sixty words, or as the fault has
it; the last word of the prompt is the fault's argument where it takes one. GET /bill tells every call that came: its
model, prompt, the second it came at and what it costs; POST /reset forgets them and starts the clock of outages.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from bench import wall_faults, wall_times
from bench.wall_talk import Call, Talk

FAULTS = {**wall_faults.FAULTS, **wall_times.FAULTS}


@dataclass(slots=True)
class Entry:
    """One call on the bill. Cost in nano-dollars."""

    model: str
    prompt: str
    second: float
    cost: int = 0
    ended: float = 0.0


@dataclass(slots=True)
class Wall:
    """All calls so far. `scale` multiplies the seconds of faults that wait."""

    scale: float
    began: float = field(default_factory=time.monotonic)
    bill: list[Entry] = field(default_factory=list)
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until a side ends it."""
        talk = Talk(reader, writer)
        with suppress(EOFError, ConnectionError, asyncio.IncompleteReadError):
            while await self.exchange(talk):
                pass
        writer.transport.abort()

    async def exchange(self, talk: Talk) -> bool:
        """One request; whether the connection goes on."""
        path, body = await talk.request()
        if path == "/bill":
            await talk.json([asdict(entry) for entry in self.bill])
        elif path == "/reset":
            self.bill.clear()
            self.tries.clear()
            self.calls.clear()
            self.began = time.monotonic()
            await talk.json({})
        else:
            return await self.answer(talk, orjson.loads(body))
        return True

    async def answer(self, talk: Talk, body: dict[str, Any]) -> bool:
        """A chat completion, or its fault."""
        model, messages = str(body["model"]), body["messages"]
        prompt = next(str(each["content"]) for each in reversed(messages) if each["role"] == "user")
        self.tries[model, prompt] += 1
        self.calls[model] += 1
        entry = Entry(model, prompt, time.monotonic() - self.began)
        self.bill.append(entry)
        call = Call(talk, body, prompt, self.tries[model, prompt], entry.second, self.scale, self.calls[model])
        fault: Callable[[Call], Awaitable[None]] = FAULTS[model]
        try:
            await fault(call)
        finally:
            entry.cost, entry.ended = call.cost, time.monotonic() - self.began
        return call.keeps

    async def run(self) -> None:
        """Listens until it is killed or its parent is gone."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - what the parent waits for
        stdin = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        await stdin.read()


if __name__ == "__main__":
    asyncio.run(Wall(float(sys.argv[1])).run())

"""The clients of one gateway of `lyceum bench budgets`, in a process of their own: each request on a new connection.

What breaks off is asked again under another name, until as many as the plan says were answered, with whatever status.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

PATIENCE = 300.0
"""Seconds: thousands come at once, and their order is not what is measured."""
KEYS = 8
WORDS = 12
WIDTH = 24
"""All prompts are as long, so that all calls may cost as much."""
AGAIN_SECONDS = 0.2
KNOCKING = 512
"""How many connect at a time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients of a gateway are to do."""

    name: str
    port: int
    requests: int
    flight: int
    secret: str
    """What all keys begin with; their number follows."""
    seed: int
    spender: int | None = None
    """The number of a key that asks alone until it is refused; `None`: all ask, whatever they hear."""


@dataclass(slots=True)
class Clients:
    """`answered` tells of each prompt that was answered well the request's name. Not all who are to wait for an answer
    knock at the same moment: that would be the kernel's queue that is measured."""

    plan: Plan
    knocking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(KNOCKING))
    ended: Counter[str] = field(default_factory=Counter)
    answered: dict[str, str] = field(default_factory=dict)
    begun: int = 0

    async def run(self) -> None:
        """All requests, as many at once as the plan allows; a dot for each that ended."""
        numbers = iter(range(self.plan.requests))

        async def several() -> None:
            for number in numbers:
                key = number % KEYS if self.plan.spender is None else self.plan.spender
                while (status := await self.ask(key)) == "broken":
                    await asyncio.sleep(AGAIN_SECONDS * (0.5 + random.random()))
                sys.stdout.write(".")
                sys.stdout.flush()
                if status != "200" and self.plan.spender is not None:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.plan.flight, self.plan.requests)):
                group.create_task(several())

    async def ask(self, key: int) -> str:
        """One request; its status, or `broken`."""
        self.begun += 1
        prompt = f"{self.plan.seed}-{self.plan.name}-{self.begun}".rjust(WIDTH)
        reader, writer = await self.connected()
        try:
            writer.write(request(prompt, f"{self.plan.secret}{key}"))
            async with asyncio.timeout(PATIENCE):
                status, code, name = read(await reader.read())
        except (ConnectionError, TimeoutError):
            status = code = "broken"
        finally:
            writer.transport.abort()
        if status == "200":
            self.answered[prompt] = name
        self.ended[code] += 1
        return status

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, once there is a gateway."""
        async with self.knocking, asyncio.timeout(PATIENCE):
            while True:
                with suppress(OSError):  # nobody there, or too busy to say so
                    return await asyncio.open_connection("127.0.0.1", self.plan.port)
                await asyncio.sleep(AGAIN_SECONDS * (0.5 + random.random()))


def request(prompt: str, key: str) -> bytes:
    """A whole request."""
    body = {"model": "billed", "messages": [{"role": "user", "content": prompt}], "max_tokens": WORDS}
    data = orjson.dumps(body)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def read(data: bytes) -> tuple[str, str, str]:
    """Status, how it ended, and the request's name; `broken` if the answer is not whole."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
    if int(headers.get(b"content-length", b"-1")) != len(body):
        return "broken", "broken", ""
    status = lines[0].split(b" ")[1].decode()
    if status == "200":
        return status, "answered", headers[b"x-request-id"].decode()
    return status, str(orjson.loads(body)["error"]["code"]), ""


async def main(plan: Plan) -> None:
    """Runs, and tells how it ended."""
    clients = Clients(plan)
    await clients.run()
    report = {"ended": clients.ended, "answered": clients.answered}
    sys.stdout.write("\n" + orjson.dumps(report).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(main(Plan(**orjson.loads(sys.argv[1]))))

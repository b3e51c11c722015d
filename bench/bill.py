"""A fake expert that keeps its own bill: what calls really cost, told by nobody's accounts."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bill:
    """Answers `NAME MOST SLICE` on a socket: works for a moment, costs up to MOST, writes it down, says how much.

    A call whose caller dies meanwhile is billed all the same, as providers do."""

    seed: int
    seconds: float
    costs: dict[str, int] = field(default_factory=dict)
    slices: dict[str, str] = field(default_factory=dict)
    """Out of which slice each call was granted, as its caller says."""
    twice: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens on loopback; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.TaskGroup() as calls:
            try:
                while line := await reader.readline():
                    name, most, *granted = line.decode().split()
                    self.slices[name] = "".join(granted)
                    calls.create_task(self._answer(name, int(most), writer))
            except ConnectionError:
                pass  # the replica was killed
        writer.close()

    async def _answer(self, name: str, most: int, writer: asyncio.StreamWriter) -> None:
        chance = random.Random(f"{self.seed} {name}")
        cost = most if chance.random() < 0.2 else chance.randint(0, most)
        self.twice += name in self.costs
        self.costs[name] = cost
        await asyncio.sleep(chance.random() * 2 * self.seconds)
        if not writer.is_closing():
            writer.write(f"{name} {cost}\n".encode())

"""One worker of several: serves on the parent's socket, with the parent's local models and encoder, until it drains.

Parent and worker speak in JSON lines over a socket pair; a parent that is gone is an order to drain.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import orjson
import uvloop

from experts.base import SetupError
from experts.child import Address
from experts.cpu import Crowd
from gateway import compose, config
from gateway.config import Config
from gateway.encoder import EncoderClient
from gateway.heirs import Heirs
from gateway.host import ENCODER, Crowds, Sharable, sharable
from gateway.metrics import Metrics
from gateway.server import Server, settled
from gateway.shelf import Shelf
from gateway.spread import Spread

LINE_BYTES = 1 << 26
"""The longest line: a configuration, or all figures."""
REPORT_SECONDS = 1.0
PAGE_SECONDS = 2.0
"""How long the page of figures waits for the parent; then it shows this worker's own."""


def say(writer: asyncio.StreamWriter, **line: Any) -> None:
    """Sends one line, to whoever still listens."""
    if not writer.is_closing():
        writer.write(orjson.dumps(line) + b"\n")


class Worker:
    """The gateway behind the parent's socket. `shared` names what the parent has started for all; `heirs` are all of
    its workers, `spread` is how those of one configuration share new connections."""

    def __init__(
        self, settings: Config, shared: Iterable[str], heirs: Heirs, spread: Spread, writer: asyncio.StreamWriter
    ) -> None:
        self.heirs, self.spread, self.writer = heirs, spread, writer
        self.door = compose.door(settings)
        self.door.everyone = self.everyone
        self.server = Server(settings, self.door, spread)
        self.missing = set(shared)
        self.attended = asyncio.Event()
        self.pages: list[asyncio.Future[dict[str, Any]]] = []

    async def run(self, reader: asyncio.StreamReader, listener: socket.socket) -> None:
        """Serves until it is told to leave. Raises SetupError if an expert of its own cannot start."""
        starting = asyncio.create_task(self.start())
        others = [starting, *map(asyncio.create_task, (self.hear(reader), self.report()))]
        serving = asyncio.create_task(self.server.serve(sockets=[listener]))
        try:
            await asyncio.wait((starting, serving), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                starting.result()
            await serving
        finally:
            self.server.should_exit = True
            await serving
            for task in others:
                task.cancel()
            await asyncio.wait(others)
            await self.door.stop()
            say(self.writer, metrics=self.door.metrics.state())

    async def start(self) -> None:
        """Starts what is this worker's own, and waits for what is shared."""
        own = [expert for expert in self.door.school.experts.values() if not sharable(expert)]
        await self.door.school.books.start()
        await asyncio.gather(*(expert.start() for expert in own if hasattr(expert, "start")))
        await self.door.school.books.start()
        if self.missing:
            await self.attended.wait()
        settled()
        self.door.ready = not self.door.leaving
        while not (self.server.started or self.door.leaving):
            await asyncio.sleep(0.01)
        if not self.door.leaving:
            self.heirs.listen(self.server.adopt)
            self.spread.open(self.server.adopt, len(self.server.server_state.connections))
        say(self.writer, ready=True)

    async def hear(self, reader: asyncio.StreamReader) -> None:
        """Does what the parent says."""
        async for line in reader:
            match orjson.loads(line):
                case {"at": [name, address]}:
                    await self.attend(name, None if address is None else Address(*address))
                case {"drain": seconds, "heirs": heirs}:
                    self.leave(seconds, heirs)
                case {"metrics": state} if self.pages:
                    self.pages.pop(0).set_result(state)
        if not self.door.leaving:
            self.leave(0.0, heirs=False)

    def leave(self, seconds: float, heirs: bool) -> None:
        """Takes nothing new after so many seconds; what is idle goes to the heirs, if there are any."""
        self.heirs.ignore()
        self.spread.leave()
        if heirs:
            self.server.app.heirs = self.heirs
        self.server.leave(seconds)

    async def attend(self, name: str, address: Address | None) -> None:
        """A part of the parent's answers there from now on."""
        school = self.door.school
        part: Any = school.encoder if name == ENCODER else school.experts.get(name)
        assert isinstance(part, EncoderClient) or sharable(part)
        await part.attend(address)
        if address is not None:
            self.missing.discard(name)
        if not self.missing:
            self.attended.set()

    async def report(self) -> None:
        """Tells the parent what was counted, when that has changed."""
        before = None
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            state = self.door.metrics.state()
            if state != before:
                say(self.writer, metrics=state)
                before = orjson.loads(orjson.dumps(state))  # a copy: lists of buckets go on being counted in

    async def everyone(self) -> Metrics:
        """What all workers have counted together."""
        page: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.pages.append(page)
        say(self.writer, metrics=self.door.metrics.state(), ask=True)
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                state = await asyncio.shield(page)
        except TimeoutError:
            return self.door.metrics
        whole = Metrics()
        whole.add(state)
        return whole


async def work(
    control: socket.socket, listener: socket.socket, crowds: Crowds, shelf: Shelf, heirs: Heirs, spread: Spread
) -> int:
    """The exit code: 2 for what the operator must mend, which the parent is told."""
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=LINE_BYTES)
    told = orjson.loads(await reader.readline())
    try:
        worker = Worker(config.of(told["config"]), told["shared"], heirs, spread, writer)
        worker.door.school.retries.join(shelf)
        for name, row in told["shared"].items():
            if name != ENCODER:
                cast(Sharable, worker.door.school.experts[name]).join(Crowd(crowds.row(row), told["place"]))
        await worker.run(reader, listener)
    except SetupError as error:
        say(writer, error=str(error))
        return 2
    finally:
        with contextlib.suppress(ConnectionError):  # the parent was killed
            await writer.drain()
        writer.close()
    return 0


def main() -> int:
    sys.path.append(str(Path.cwd()))  # `use` may name a file of the operator's; it comes last and hides nothing
    numbers = [int(number) for number in sys.argv[1:]]
    control, listener = (socket.socket(fileno=number) for number in numbers[:2])
    common = Crowds(numbers[2]), Shelf(numbers[3]), Heirs.of(*numbers[4:6])
    return int(uvloop.run(work(control, listener, *common, Spread.of(*numbers[6:]))))


if __name__ == "__main__":
    sys.exit(main())

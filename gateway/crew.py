"""The workers of one configuration, as their parent keeps them: started, told where to ask, restarted, drained."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Console

from experts.base import SetupError
from experts.child import Address
from gateway.config import Config
from gateway.figures import Figures
from gateway.heirs import Heirs
from gateway.host import PLACES, Crowds, Part
from gateway.server import GRACE_SECONDS, ROWS_SECONDS
from gateway.shelf import SIZE, unnamed
from gateway.spread import Spread
from gateway.worker import LINE_BYTES, say

RESTART_SECONDS = (0.2, 10.0)
"""The first pause before a restart and the longest; each is twice the one before."""
HEALTHY_SECONDS = 2.0
"""A worker that was ready for so long is restarted with the first pause again."""


@dataclass(eq=False, slots=True)
class Member:
    """One worker's process."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    place: int
    ready: bool = False
    since: float = 0.0
    """When it became ready, on the monotonic clock."""
    error: str = ""


class Common:
    """What the crews of one parent have in common, the old and the new one."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.crowds = Crowds.new()
        self.heirs = Heirs.new()
        self.shelf = unnamed(SIZE)
        """Where answers wait for their retries."""
        self.free = list(range(PLACES))


class Crew:
    """`settings.server.workers` processes on one listening socket."""

    def __init__(self, settings: Config, parts: Mapping[str, Part], listener: socket.socket, common: Common) -> None:
        self.settings, self.parts, self.listener, self.common = settings, parts, listener, common
        self.size = max(1, settings.server.workers)
        self.spread = Spread.new(self.size)
        self.console = Console()
        self.members: set[Member] = set()
        self.left = asyncio.Event()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Waits until every worker and every part is ready. Raises SetupError."""
        for part in self.parts.values():
            part.hearers.add(self.tell)
        self.keepers = [asyncio.create_task(self.keep(place)) for place in range(self.size)]
        starting = asyncio.gather(*(part.start() for part in self.parts.values()))
        try:
            done, _ = await asyncio.wait((starting, self.ready), return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        except BaseException:
            starting.cancel()
            await self.end(0.0, 0.0)
            raise

    def tell(self, name: str, address: Address | None) -> None:
        """Every worker hears where a part answers."""
        for member in self.members:
            say(member.writer, at=_at(name, address))

    async def keep(self, place: int) -> None:
        """Keeps one worker running until the crew leaves."""
        pause = 0.0
        while not self.left.is_set():
            member = await self.launch(place)
            code = await self.live(member)
            self.spread.gone(place)
            if self.left.is_set():
                return
            if member.ready and time.monotonic() - member.since > HEALTHY_SECONDS:
                pause = 0.0
            pause = min(2 * pause, RESTART_SECONDS[1]) or RESTART_SECONDS[0]
            if self.ready.done():
                self.console.print(f"worker {place + 1} ended with {code}; another starts in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.left.wait(), pause)

    async def launch(self, number: int) -> Member:
        """A new worker, told all that it must know; `number` is which of ours."""
        ours, theirs = socket.socketpair()
        with theirs:
            common = (self.common.crowds.file, self.common.shelf, *self.common.heirs.files)
            files = (theirs.fileno(), self.listener.fileno(), *common, *self.spread.files)
            words = map(str, (*files, number))
            # A session of its own: Ctrl-C ends us first, and we tell the workers.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gateway.worker", *words),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=files,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_BYTES)
        tables = {key: value for key, value in dataclasses.asdict(self.settings).items() if value is not None}
        place = self.common.free.pop(0)
        say(writer, config=tables, shared={name: part.row for name, part in self.parts.items()}, place=place)
        for name, part in self.parts.items():
            if part.address is not None:
                say(writer, at=_at(name, part.address))
        member = Member(process, reader, writer, place)
        self.members.add(member)
        return member

    async def live(self, member: Member) -> int:
        """Hears a worker until it ends; its exit code."""
        try:
            async for line in member.reader:
                self.hear(member, orjson.loads(line))
        except (ConnectionError, ValueError):  # killed in the middle of a line
            pass
        code = await member.process.wait()
        member.writer.close()
        self.members.discard(member)
        self.common.figures.retire(member)
        self.common.crowds.leave(member.place)
        self.common.free.append(member.place)
        if not self.ready.done():
            error = member.error or f"a worker ended with {code} before it was ready"
            self.ready.set_exception(SetupError(error))
        return code

    def hear(self, member: Member, line: dict[str, Any]) -> None:
        """What a worker says."""
        if "ready" in line:
            member.ready, member.since = True, time.monotonic()
        member.error = line.get("error", member.error)
        if "metrics" in line:
            self.common.figures.tell(member, line["metrics"])
        if "ask" in line:
            say(member.writer, metrics=self.common.figures.total())
        if sum(member.ready for member in self.members) == self.size and not self.ready.done():
            self.ready.set_result(None)

    async def end(self, drain: float, grace: float = GRACE_SECONDS + ROWS_SECONDS, heirs: bool = False) -> None:
        """Drains the workers: `drain` seconds with readiness 503, `grace` for answers under way, then the rest is
        killed. With `heirs` idle connections go on in another crew. Parts that nobody needs any more end after them."""
        self.left.set()
        for member in self.members:
            say(member.writer, drain=drain, heirs=heirs)
        if self.keepers:
            _, late = await asyncio.wait(self.keepers, timeout=drain + grace)
            self.kill()
            if late:
                await asyncio.wait(late)
        self.spread.close()
        if self.ready.done() and not self.ready.cancelled():
            self.ready.exception()  # whoever ends a crew knows why
        for part in self.parts.values():
            part.hearers.discard(self.tell)
        await asyncio.gather(*(part.stop() for part in self.parts.values() if not part.hearers))

    def kill(self) -> None:
        """Ends every worker at once."""
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                member.process.kill()


def _at(name: str, address: Address | None) -> list[Any]:
    return [name, None if address is None else dataclasses.astuple(address)]

"""The parent of several workers: keeps the socket, the local models and the encoder; reloads on SIGHUP.

A changed file is checked and its workers are ready before the old ones drain; a wrong one changes nothing.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

from rich.console import Console

from experts.base import SetupError
from gateway import compose
from gateway.check import check
from gateway.config import Config
from gateway.crew import Common, Crew
from gateway.host import parts

BACKLOG = 2048


class Parent:
    """`read` gives the configuration as it is now, or raises SetupError."""

    def __init__(self, read: Callable[[], Config], listener: socket.socket, console: Console) -> None:
        self.read, self.listener, self.console = read, listener, console
        self.common = Common()
        self.crew: Crew | None = None
        self.under_way: asyncio.Task[None] | None = None
        self.again = False
        self.leaving = asyncio.Event()

    async def run(self, settings: Config, ready: Callable[[], None]) -> None:
        """Serves until a signal comes; calls `ready` when all workers are. Raises SetupError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.leave)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        self.listener.listen(BACKLOG)
        starting = asyncio.create_task(self.replace(settings))
        leaving = asyncio.create_task(self.leaving.wait())
        await asyncio.wait((starting, leaving), return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                starting.result()
                ready()
                await leaving
        finally:
            for task in (starting, leaving, self.under_way):
                if task is not None and not task.done():
                    task.cancel()
                    await asyncio.wait([task])
            if self.crew is not None:
                await self.crew.end(self.crew.settings.server.drain_seconds)

    def leave(self) -> None:
        """The first signal drains, the second does not wait."""
        if self.leaving.is_set() and self.crew is not None:
            self.crew.kill()
        self.leaving.set()

    def reload(self) -> None:
        """Takes the file as it is now; a signal that comes meanwhile means once more."""
        self.again = True
        if self.crew is not None and (self.under_way is None or self.under_way.done()):
            self.under_way = asyncio.create_task(self.reloaded())

    async def reloaded(self) -> None:
        """The new configuration, or the old one and why."""
        while self.again:
            self.again = False
            try:
                settings = self.read()
                await self.replace(settings)
            except SetupError as error:
                self.console.print(f"not reloaded, nothing changes: {error}", markup=False, soft_wrap=True)
            else:
                self.console.print("reloaded; a changed host or port needs a new start")

    async def replace(self, settings: Config) -> None:
        """New workers first, then the old ones drain. Raises SetupError and leaves all as it was."""
        check(settings)
        await asyncio.to_thread(compose.prepare, settings)
        old = self.crew
        crew = Crew(settings, parts(settings, {} if old is None else old.parts), self.listener, self.common)
        await crew.start()
        self.crew = crew
        if old is not None:
            await old.end(0.0, heirs=True)

"""The HTTP server of one process: uvicorn with our own protocol, which drains in our own order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import uvicorn

from gateway.app import App
from gateway.config import Config
from gateway.handlers import Door
from gateway.heap import keep_freed
from gateway.protocol import Connection
from gateway.slices import SHORT, ask
from gateway.spread import Shared, Spread

GRACE_SECONDS = 30
"""How long answers under way may take to finish after a signal; a second signal ends them."""
ROWS_SECONDS = 5
"""How long what was cut off may take to write its rows."""
GARBAGE = (20_000, 20, 20)
"""How many new objects start a search for garbage: requests leave hardly any cycles."""


def settled() -> None:
    """What lives as long as the process is not searched for garbage again and again; and the loop, whose thread this
    is, does not wait behind others of the machine when something comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    ask(SHORT)


class Server(uvicorn.Server):
    """uvicorn, whose signals end in our own order: answers first, then experts, then the ledger."""

    def __init__(self, settings: Config, door: Door, spread: Spread | None = None) -> None:
        """`spread` is how several workers share new connections."""
        self.adopted: Callable[..., Connection] = Connection if spread is None else partial(Shared, spread, stays=True)
        new: Callable[..., Connection] = Connection if spread is None else partial(Shared, spread)
        self.app = App(door, int(settings.server.body_mb * 1024 * 1024))
        super().__init__(
            uvicorn.Config(
                self.app,
                http=cast(type[Connection], new),  # all that uvicorn does is call it
                loop="uvloop",
                ws="none",
                lifespan="off",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                log_level="warning",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.door = door
        keep_freed()
        self.drain_seconds = settings.server.drain_seconds

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals set flags here and are not raised again afterwards, as uvicorn would."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.leave)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def leave(self, seconds: float | None = None) -> None:
        """The first signal drains, after `seconds` in which connections are still taken; the second does not wait."""
        if self.door.leaving:
            self.force_exit = self.should_exit = True
            return
        self.door.ready, self.door.leaving = False, True
        asyncio.get_running_loop().call_later(self.drain_seconds if seconds is None else seconds, self.close)

    def adopt(self, taken: socket.socket) -> None:
        """Goes on with a connection of a worker that leaves."""
        adopting = asyncio.create_task(self._adopt(taken))
        self.server_state.tasks.add(adopting)
        adopting.add_done_callback(self.server_state.tasks.discard)

    async def _adopt(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError):  # its client has gone
            made = partial(self.adopted, self.config, self.server_state, self.lifespan.state)
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(made, taken)
            if self.door.leaving:
                connection.shutdown()

    def close(self) -> None:
        """Takes no new connection; ends when those that are open have ended."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cuts off what is not over after the grace, so that its rows are written too."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=ROWS_SECONDS)

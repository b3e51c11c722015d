"""Idle connections of a worker that leaves go on in one that stays, so that no request meets a connection being closed.

All workers of a parent have the same two ends of a socket pair: who leaves puts connections in at one, and who stays
takes them out at the other. What a client has sent meanwhile waits in the connection itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


class Heirs:
    """Both ends, which are never closed: as long as the parent lives there is somebody to take what was put in."""

    def __init__(self, entry: socket.socket, exit: socket.socket) -> None:
        for end in (entry, exit):
            end.setblocking(False)
        self._entry, self._exit = entry, exit

    @classmethod
    def new(cls) -> Heirs:
        """A new pair, of the parent."""
        return cls(*socket.socketpair())

    @classmethod
    def of(cls, entry: int, exit: int) -> Heirs:
        """Those that the parent left open for this process, by their file numbers."""
        return cls(socket.socket(fileno=entry), socket.socket(fileno=exit))

    @property
    def files(self) -> tuple[int, int]:
        """What `of` takes, for the parent to leave open."""
        return self._entry.fileno(), self._exit.fileno()

    def give(self, transport: asyncio.Transport) -> bool:
        """Passes a connection on, of which nothing is left to send; whether that was so. Then this process is to let
        go of it: the client sees nothing of that."""
        if transport.get_write_buffer_size():
            return False
        transport.pause_reading()
        try:
            socket.send_fds(self._entry, [b"."], [transport.get_extra_info("socket").fileno()])
        except OSError:  # many leave at once, and nobody has taken them yet
            transport.resume_reading()
            return False
        return True

    def listen(self, adopt: Callable[[socket.socket], None]) -> None:
        """Takes connections from now on."""
        asyncio.get_running_loop().add_reader(self._exit, self._come, adopt)

    def ignore(self) -> None:
        """Takes no more."""
        asyncio.get_running_loop().remove_reader(self._exit)

    def _come(self, adopt: Callable[[socket.socket], None]) -> None:
        try:
            _, numbers, _, _ = socket.recv_fds(self._exit, 1, 1)
        except BlockingIOError:
            return  # another worker was quicker
        for number in numbers:
            adopt(socket.socket(fileno=number))

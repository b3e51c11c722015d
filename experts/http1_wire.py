"""The sending side of an HTTP/1.1 client connection: requests go out as fast as the server takes them."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

SLICE = 256 * 1024
"""Bytes of a request that are handed to the transport at once."""
UNHEARD_MILLISECONDS = 20_000
"""How long the other host may leave what we sent unacknowledged."""


class Wire(asyncio.Protocol):
    """A connection on which requests are sent, and reading may be paused."""

    def __init__(self) -> None:
        self.made = self.open = False
        self.transport: asyncio.Transport
        self._unsent: list[memoryview] = []
        """Parts of the request that wait, the next one last."""
        self._writable = True
        self._busy = self._hung = False
        """Whether something is going on beside the answer (a long request, a pause, a hang-up); whether that."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.made = self.open = True
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a host that vanished is noticed before the first deadline
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MILLISECONDS)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    # uvloop's transport raises RuntimeError at almost every call once it is closed

    def pause(self) -> None:
        self._busy = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def hang_up(self) -> bool:
        """Closes our direction alone."""
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        self._hung = self._busy = True
        self.transport.write_eof()
        return True

    def push(self, parts: tuple[bytes | memoryview, ...]) -> None:
        """Sends a request in parts, which are not copied; a long one as fast as the server takes it."""
        if sum(map(len, parts)) <= SLICE:
            self.transport.writelines(parts)
        else:
            self._busy = True
            self._unsent = [memoryview(part) for part in reversed(parts)]
            self._pump()

    def _pump(self) -> None:
        unsent = self._unsent
        while unsent and self._writable and not self.transport.is_closing():
            part = unsent.pop()
            self.transport.write(part[:SLICE])
            if len(part) > SLICE:
                unsent.append(part[SLICE:])

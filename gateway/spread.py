"""New connections go to the worker that has the fewest: the kernel gives them to whichever wakes first, often to one.

All workers of a crew see in one memory how many connections each has. One that takes another and has more than the
least passes it on before anything of it was read: into the inbox of that one, of which all have both ends. What is not
fetched from there soon is taken back, so nobody waits for a worker that stands still.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from gateway.protocol import Connection
from gateway.shelf import unnamed

AWAY = 2**31 - 1
"""The number of connections of a worker that is to get none."""
BYTES = 4
SPARED = 8
"""Nothing is passed on for a difference of one, or of one in so many."""
FETCHED_SECONDS = 0.05
"""How long a connection may lie in an inbox."""
Adopt = Callable[[socket.socket], None]


class Spread:
    """What the workers of a crew know of each other. `place` is this one's; the parent has none."""

    def __init__(self, file: int, inboxes: Sequence[tuple[socket.socket, socket.socket]], place: int = -1) -> None:
        """`file` is an open one of BYTES for each inbox, which has an entry and an exit."""
        self.file, self.inboxes, self.place = file, inboxes, place
        self.numbers = memoryview(mmap.mmap(file, BYTES * len(inboxes))).cast("i")
        self.adopt: Adopt | None = None
        self.leaving = False
        for end in (end for inbox in inboxes for end in inbox):
            end.setblocking(False)

    @classmethod
    def new(cls, size: int) -> Spread:
        """That of the parent, for so many workers, of which none is there yet."""
        spread = cls(unnamed(BYTES * size), [socket.socketpair() for _ in range(size)])
        for place in range(size):
            spread.gone(place)
        return spread

    @classmethod
    def of(cls, file: int, *numbers: int) -> Spread:
        """That of a worker, by the numbers of the files that its parent left open for it; the last is its place."""
        *ends, place = numbers
        sockets = [socket.socket(fileno=end) for end in ends]
        return cls(file, list(zip(sockets[::2], sockets[1::2], strict=True)), place)

    @property
    def files(self) -> tuple[int, ...]:
        """What `of` takes before the place, for the parent to leave open."""
        return self.file, *(end.fileno() for inbox in self.inboxes for end in inbox)

    def gone(self, place: int) -> None:
        """A worker is not there, or leaves; what lies in its inbox waits for the next one at its place."""
        self.numbers[place] = AWAY

    def close(self) -> None:
        """The parent needs it no longer."""
        os.close(self.file)
        for end in (end for inbox in self.inboxes for end in inbox):
            end.close()

    # what a worker does

    def open(self, adopt: Adopt, connections: int) -> None:
        """Takes connections from now on."""
        self.adopt = adopt
        self.has(connections)
        asyncio.get_running_loop().add_reader(self.inboxes[self.place][1], self._fetch, self.place)

    def leave(self) -> None:
        """Is to get no more. What comes all the same is still fetched."""
        self.leaving = True
        self.gone(self.place)

    def has(self, connections: int) -> None:
        """Tells the others how many there are here."""
        if self.adopt is not None and not self.leaving:
            self.numbers[self.place] = connections

    def pass_on(self, transport: asyncio.Transport, connections: int) -> bool:
        """Gives a new connection, which makes so many here, to the worker that has the fewest; whether that was so.
        Then this process is to let go of it."""
        numbers = self.numbers.tolist()  # as they are now: others write meanwhile
        least = min(numbers)
        place = numbers.index(least)
        if self.adopt is None or place == self.place or connections <= least + 1 + least // SPARED:
            return False
        try:
            socket.send_fds(self.inboxes[place][0], [b"."], [transport.get_extra_info("socket").fileno()])
        except OSError:  # the inbox is full
            return False
        self.numbers[place] = least + 1
        asyncio.get_running_loop().call_later(FETCHED_SECONDS, self._take_back, place)
        return True

    def _fetch(self, place: int) -> bool:
        try:
            _, numbers, _, _ = socket.recv_fds(self.inboxes[place][1], 1, 1)
        except BlockingIOError:
            return False
        for number in numbers:
            assert self.adopt is not None
            self.adopt(socket.socket(fileno=number))
        return True

    def _take_back(self, place: int) -> None:
        if self._fetch(place):
            self.gone(place)  # until it says again what it has


class Shared(Connection):
    """A client of one of several workers; one that was passed on to this one `stays`."""

    __slots__ = ("spread", "stays")

    def __init__(self, spread: Spread, *args: Any, stays: bool = False, **keys: Any) -> None:
        self.spread, self.stays = spread, stays
        super().__init__(*args, **keys)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        new = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        if not self.stays and self.spread.pass_on(new, len(self.connections) + 1):
            new.abort()
            return
        super().connection_made(transport)
        self.spread.has(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.spread.has(len(self.connections))

"""Requests that come all at once wait in a row: between a few and the next, what experts have sent goes on."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from gateway.turn import Turn

if TYPE_CHECKING:
    from gateway.protocol import Connection

AT_ONCE = 4
"""Requests that are begun before the loop looks again at what has come."""


class Row:
    """The row of one loop."""

    _all: WeakKeyDictionary[asyncio.AbstractEventLoop, Row] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.soon, self.time = loop.call_soon, loop.time
        self.waiting: deque[tuple[Connection, Turn]] = deque()
        self.moment, self.begun = 0.0, 0

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Row:
        """The row of a loop."""
        if loop not in cls._all:
            cls._all[loop] = cls(loop)
        return cls._all[loop]

    def begin(self, line: Connection, turn: Turn) -> None:
        """Begins a request, or lets it wait: where others wait, or as many as may be have been begun since the loop's
        clock went on, as it does between two looks at what has come."""
        if not self.waiting:
            time = self.time  # called as a method it would be looked for in the class each time
            now = time()
            if now != self.moment:
                self.moment, self.begun = now, 0
            self.begun = begun = self.begun + 1
            if begun <= AT_ONCE:
                if not line.door.now(turn):
                    line.spawn(turn, turn.head.handler)
                return
            self.soon(self.next)
        self.waiting.append((line, turn))

    def next(self) -> None:
        """Begins a few, but for those whose client has gone."""
        waiting = self.waiting
        try:
            for _ in range(min(AT_ONCE, len(waiting))):
                line, turn = waiting.popleft()
                if line.turn is turn and not line.transport.is_closing() and not line.door.now(turn):
                    line.spawn(turn, turn.head.handler)
        finally:  # whatever happens to one, the others get their turn
            if waiting:
                self.soon(self.next)

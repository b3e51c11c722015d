"""An expert that breaks the gateway's own disk when it is asked to: for tests of what is answered then."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from experts.base import Chunk, Request
from experts.card import Card
from experts.scripted import Scripted
from tests.policies.disk_faults import failing


class DiskBreaker(Scripted):
    """`calls` of the system fail with `error` from the first request that says "break". `bill` is a file with a line
    for each request: the process that has asked."""

    def __init__(self, name: str, card: Card, *, calls: Sequence[str], error: str, bill: str = "") -> None:
        super().__init__(name, card, answer="done")
        self.calls, self.error, self.bill = calls, error, bill

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        if self.bill:
            with Path(self.bill).open("a") as bill:
                bill.write(f"{os.getpid()}\n")
        if request.prompt == "break":
            failing(self.calls, getattr(errno, self.error))
        async for chunk in super().stream(request):
            yield chunk

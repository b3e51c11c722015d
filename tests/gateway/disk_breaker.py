"""An expert that breaks the gateway's own disk when it is asked to: for tests of what is answered then."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Sequence

from experts.base import Chunk, Request
from experts.card import Card
from experts.scripted import Scripted
from tests.policies.disk_faults import failing


class DiskBreaker(Scripted):
    """`calls` of the system fail with `error` from the first request that says "break"."""

    def __init__(self, name: str, card: Card, *, calls: Sequence[str], error: str) -> None:
        super().__init__(name, card, answer="done")
        self.calls, self.error = calls, error

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        if request.prompt == "break":
            failing(self.calls, getattr(errno, self.error))
        async for chunk in super().stream(request):
            yield chunk

"""An expert that takes its time between the words of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from experts.base import Chunk, Request
from experts.card import Card
from experts.scripted import Scripted


class Drip(Scripted):
    """`delay` seconds pass before each chunk."""

    def __init__(self, name: str, card: Card, *, answer: str, delay: float) -> None:
        super().__init__(name, card, answer=answer)
        self.delay = delay

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        async for chunk in super().stream(request):
            await asyncio.sleep(self.delay)
            yield chunk

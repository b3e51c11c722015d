"""An expert that begins an answer, and goes on when a file is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from experts.base import Chunk, Request
from experts.card import Card
from experts.scripted import Scripted


class Gated(Scripted):
    """`gate` is the file; only streams wait for it, after their first word."""

    def __init__(self, name: str, card: Card, *, answer: str, gate: str) -> None:
        super().__init__(name, card, answer=answer)
        self.gate = Path(gate)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        async for chunk in super().stream(request):
            yield chunk
            while request.stream and chunk.delta.get("content") and not self.gate.exists():
                await asyncio.sleep(0.01)

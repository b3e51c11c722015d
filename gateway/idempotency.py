"""One run for each Idempotency-Key: it goes on when its client leaves, and who asks again gets the same bytes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.errors import APIError
from gateway.http import Handler, Headers, HTTPCall, Reply
from gateway.replays import Name, Replays, Saved, name_of
from policies.batches import StoreUnavailable

MOST = 16 * 1024 * 1024
"""Bytes of an answer that are kept; a longer one is sent, but cannot be had again."""


class Recorder:
    """A reply that is kept and passed on for as long as its client is there."""

    def __init__(self, reply: Reply) -> None:
        self.reply: Reply | None = reply
        self.status = 0
        self.headers: Headers = []
        self.parts: list[bytes] = []
        self.size = 0
        self.broken = False

    @property
    def started(self) -> bool:
        return self.status != 0

    @property
    def held(self) -> bool:
        """A whole answer is passed on once it is kept, a stream at once."""
        return any(name == b"content-length" for name, _ in self.headers)

    @property
    def lost(self) -> bool:
        """Whether there is nothing to keep: it was refused before anybody was asked, or is too long."""
        return self.broken or self.size > MOST or not self.started or 400 <= self.status < 500

    async def start(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        if self.reply is not None and not self.held:
            await self.reply.start(status, headers)

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= MOST or self.held:
            self.parts.append(data)
        if self.reply is not None and not self.held:
            await self.reply.write(data)

    async def end(self) -> None:
        """The reply is ended by `last`, once the answer is kept."""

    def abort(self) -> None:
        self.broken = True

    async def last(self, reply: Reply) -> None:
        """What is still owed to the client."""
        if self.broken:
            reply.abort()
        elif self.held:
            await send(reply, self.saved())
        else:
            await reply.end()

    def saved(self) -> Saved:
        """What was sent."""
        return Saved(self.status, self.headers, b"".join(self.parts))


class Idempotency:
    """Runs handlers so that each name is run once."""

    def __init__(self, replays: Replays) -> None:
        self.replays = replays
        self.running: set[asyncio.Task[Saved | None]] = set()

    async def run(self, handler: Handler, call: HTTPCall, reply: Reply, key: str) -> None:
        """Answers a call that carries the header. `handler` must turn errors into bodies. Raises APIError."""
        name, recorder = name_of(call, key), Recorder(reply)
        task = asyncio.create_task(self._once(handler, call, recorder, name))
        self.running.add(task)
        task.add_done_callback(self._ended)
        try:
            found = await asyncio.shield(task)
        except asyncio.CancelledError:
            recorder.reply = None  # the client left; its answer is finished and kept all the same
            raise
        if found is not None:
            await send(reply, found, [(b"idempotent-replayed", b"true")])
        else:
            await recorder.last(reply)

    def _ended(self, task: asyncio.Task[Saved | None]) -> None:
        self.running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever was to hear of it may have left

    async def _once(self, handler: Handler, call: HTTPCall, recorder: Recorder, name: Name) -> Saved | None:
        """What was answered before; else runs the handler. A client that leaves interrupts neither: a name that is
        taken is always run."""
        try:
            found = await self.replays.claim(name)
        except StoreUnavailable as error:
            raise APIError("idempotency_store_unavailable") from error
        if found is not None:
            return found
        await handler(call, recorder)
        with suppress(StoreUnavailable):  # the client gets what it has paid for; only, it cannot be had again
            if recorder.lost:
                await self.replays.release(name)
            else:
                await self.replays.save(name, recorder.saved())
        return None

    async def close(self) -> None:
        """Waits for what still runs."""
        await self.drained()
        await self.replays.close()

    async def drained(self) -> None:
        """Waits until nothing runs."""
        while self.running:
            await asyncio.wait(self.running)


async def send(reply: Reply, answer: Saved, more: Headers | None = None) -> None:
    """Sends what was kept."""
    await reply.start(answer.status, [*answer.headers, *(more or [])])
    await reply.write(answer.body)
    await reply.end()

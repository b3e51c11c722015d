"""The encoder's own process, one a host: texts come over a Unix socket from every worker, their vectors go back.

It is nice to everybody else, so that no stream waits for it, and holds the only copy of the model. A request that
was not begun at its deadline is not begun at all: whoever asked has gone on without a vector.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any, cast

from experts.base import SetupError
from experts.build import build
from experts.child_side import die_with_parent, own_stdout, say
from gateway.slices import LONG, ask
from routers.base import Encoder

ASKED = Struct("<IQd")
"""Bytes of the text that follows, number of the request, monotonic second at which it is too late."""
ANSWERED = Struct("<IQ")
"""Bytes of the vector that follows (float32; none if there is none), number of the request."""

NICENESS = 15
HEALTH = b"GET "
"""How a probe begins; no text is so long that its head looks like this."""


@dataclass(slots=True)
class Job:
    """One text that waits."""

    line: Line
    number: int
    until: float
    text: str


class Desk:
    """The queue: first come, first served, one by one, since on a CPU a batch takes as long as its texts."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.waiting: deque[Job] = deque()
        self.filled = asyncio.Event()

    def put(self, job: Job) -> None:
        """Takes a job in."""
        self.waiting.append(job)
        self.filled.set()

    async def work(self) -> None:
        """Encodes for ever. The loop stands still meanwhile: what comes waits in the sockets. What came too late is
        answered with nothing."""
        while True:
            await self.filled.wait()
            job = self.waiting.popleft()
            if not self.waiting:
                self.filled.clear()
            late = job.until < time.monotonic()
            job.line.answer(job.number, b"" if late else self.encoder.encode([job.text])[0].tobytes())
            await asyncio.sleep(0)


class Line(asyncio.Protocol):
    """One worker of the gateway, or a probe."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.buffer.startswith(HEALTH):
            self.transport.write(b"HTTP/1.0 200 OK\r\n\r\n")
            self.transport.close()
            return
        while len(self.buffer) >= ASKED.size:
            size, number, until = ASKED.unpack_from(self.buffer)
            end = ASKED.size + size
            if len(self.buffer) < end:
                return
            text = self.buffer[ASKED.size : end].decode("utf-8", "replace")
            del self.buffer[:end]
            self.desk.put(Job(self, number, until, text))

    def answer(self, number: int, vector: bytes) -> None:
        """Sends a vector; to nobody, if the worker is gone."""
        if not self.transport.is_closing():
            self.transport.write(ANSWERED.pack(len(vector), number) + vector)


async def serve(encoder: Encoder, path: str, ready: Any) -> None:
    """Listens at `path`, for this user alone, and never ends; `ready` is called when it does."""
    desk = Desk(encoder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of the process before this one
    before = os.umask(0o177)
    await asyncio.get_running_loop().create_unix_server(lambda: Line(desk), path)
    os.umask(before)
    ready()
    await desk.work()


def let_others_first() -> None:
    """Nice by itself, and with the session that it is the first process of: many a Linux weighs sessions against each
    other, and niceness only within one. Who wakes while it runs need not wait until its turn is over."""
    os.nice(NICENESS)
    ask(LONG, alone=False)
    with contextlib.suppress(OSError):  # where there is no such thing
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def give_back() -> None:
    """What reading the model took and no longer needs: a third of the process's memory, if the C library is glibc."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.encoder_process")
    parser.add_argument("--table", required=True, help="the table [encoder] as JSON")
    parser.add_argument("--socket", type=Path, required=True)
    args = parser.parse_args()
    out = own_stdout()
    die_with_parent()
    sys.path.append(str(Path.cwd()))  # an encoder may be a file of the operator's; it comes last and hides nothing
    let_others_first()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        encoder: Encoder = build(json.loads(args.table), "encoder")
        encoder.encode(["so that the first request does not wait for what is loaded late"])
    except SetupError as error:
        say(out, {"error": str(error)})
        return 1
    give_back()
    asyncio.run(serve(encoder, str(args.socket), lambda: say(out, {"url": f"unix://{args.socket}"})))
    return 0


if __name__ == "__main__":
    sys.exit(main())

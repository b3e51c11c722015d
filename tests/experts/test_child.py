"""A child process that crashes, hangs, fails to start or talks too much."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from experts.base import SetupError
from experts.child import Address, Child

SERVER = """
import json, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

server = HTTPServer(("127.0.0.1", 0), Handler)
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}/v1"}), flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""


class Watched:
    """A child with a note of every address it had and of every pause before a restart."""

    def __init__(self, program: str = SERVER, **about: float) -> None:
        self.addresses: list[Address | None] = []
        self.pauses: list[float] = []
        self.news = asyncio.Event()
        self.child = Child(
            "x",
            [sys.executable, "-c", program],
            self.changed,
            sleep=self.sleep,
            **about,  # type: ignore[arg-type]  # only the fields that are numbers are given
        )

    async def changed(self, address: Address | None) -> None:
        self.addresses.append(address)
        self.news.set()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def until(self, count: int) -> None:
        while len(self.addresses) < count:
            self.news.clear()
            await self.news.wait()

    def pid(self) -> int:
        address = self.addresses[-1]
        assert address is not None
        return address.pid


async def test_a_crashed_child_is_restarted_with_a_new_key_ever_more_slowly() -> None:
    watched = Watched()
    await watched.child.start()
    for crash in range(1, 4):
        os.kill(watched.pid(), signal.SIGKILL)
        await watched.until(1 + 2 * crash)
    await watched.child.stop()
    assert watched.addresses[1::2] == [None] * 3
    assert len({address.key for address in watched.addresses if address}) == 4
    assert watched.pauses == [1.0, 2.0, 4.0]


async def test_the_pause_never_grows_beyond_its_longest(tmp_path: Path) -> None:
    dies_when_told = f"import os\nif os.path.exists({str(tmp_path / 'stop')!r}): raise SystemExit(3)\n" + SERVER
    watched = Watched(dies_when_told)
    await watched.child.start()
    (tmp_path / "stop").touch()
    os.kill(watched.pid(), signal.SIGKILL)
    while len(watched.pauses) < 7:
        await asyncio.sleep(0.01)
    (tmp_path / "stop").unlink()
    await watched.until(3)
    await watched.child.stop()
    assert watched.pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


async def test_a_child_that_hangs_is_killed_and_restarted() -> None:
    """Row 5: silence."""
    watched = Watched(probe_seconds=0.05)
    await watched.child.start()
    first = watched.pid()
    os.kill(first, signal.SIGSTOP)
    await watched.until(3)
    assert watched.pid() != first
    await watched.child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_a_first_start_that_fails_says_why_in_one_line() -> None:
    program = "import sys\nsys.stderr.write('one\\n\\ntwo\\n')\nraise SystemExit(1)"
    with pytest.raises(SetupError, match="^x: the local server did not start: two$"):
        await Watched(program).child.start()
    with pytest.raises(SetupError, match="it ended without a word"):
        await Watched("").child.start()
    with pytest.raises(SetupError, match="did not start: no model$"):
        await Watched('print(\'{"error": "no model"}\')').child.start()


async def test_a_child_that_is_not_ready_in_time_is_ended() -> None:
    watched = Watched("import time; time.sleep(600)", start_seconds=0.2)
    with pytest.raises(SetupError, match="raise start_seconds"):
        await watched.child.start()
    await watched.child.stop()


async def test_much_on_standard_error_does_not_stop_a_child() -> None:
    watched = Watched("import sys; sys.stderr.write('x' * 5_000_000)\n" + SERVER)
    await watched.child.start()
    await watched.child.stop()


async def test_a_program_that_cannot_be_run_is_one_line() -> None:
    watched = Watched()
    watched.child.command = ["/nowhere/at/all"]
    with pytest.raises(SetupError, match="x: cannot start a process: No such file"):
        await watched.child.start()

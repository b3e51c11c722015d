"""One gateway of `lyceum bench budgets`: a process of its own that is killed, started again, and ended at last."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.billed import configuration
from experts.base import SetupError

TRIES = 20
MORE = """
[accounts]
{store}
[budgets.key]
usd = {usd_of_key:.9f}
scope = ["key:*"]
period = "total"
"""


@dataclass(frozen=True, slots=True)
class About:
    """What all gateways of a run have in common."""

    expert: int
    """Its port."""
    store: str
    """The line of the configuration that names it."""
    usd: float
    usd_of_key: float


@dataclass(slots=True)
class Replica:
    """`about` is what the configuration says; `secrets` are the environment: keys, and the address of a store."""

    folder: Path
    about: About
    secrets: Mapping[str, str]
    port: int = 0
    killed: int = 0
    late: int = 0
    """How often it could not start again at once."""
    log: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    keeping: asyncio.Task[None] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    async def start(self) -> None:
        """Serves, and again whenever it was killed. Raises SetupError if it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.serve()
        self.keeping = asyncio.create_task(self.keep())

    async def serve(self) -> None:
        """One process, until it is ready; on the port that it had before."""
        self.ready.clear()
        keys = "".join(f'[keys.{name.lower()}]\nenv = "{name}"\n' for name in self.secrets if name.startswith("K"))
        about = self.about
        text = configuration("billed", about.expert, self.port, usd=about.usd)
        more = MORE.format(store=about.store, usd_of_key=about.usd_of_key)
        (self.folder / "lyceum.toml").write_text(text + more + keys)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve"),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.secrets, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.log.append(line.decode(errors="replace").rstrip())
            if "listening on" in self.log[-1]:
                self.port = int(self.log[-1].rsplit(":", 1)[1])
            if self.log[-1].startswith("Ready"):
                self.ready.set()
                return
        if await self.process.wait() != -signal.SIGKILL:
            raise SetupError(f"a gateway did not start: {self.log[-1:]}")

    async def keep(self) -> None:
        """Starts it again after each kill."""
        while not self.over:
            assert self.process is not None
            assert self.process.stdout is not None
            async for line in self.process.stdout:
                self.log.append(line.decode(errors="replace").rstrip())
            ended = await self.process.wait()
            if ended not in (0, -signal.SIGKILL):
                raise SetupError(f"a gateway ended with {ended}: {self.log[-1:]}")
            if not self.over:
                await self.again()

    async def again(self) -> None:
        """As a supervisor does: tried until it comes up, since a store may be too busy to answer it."""
        for _ in range(TRIES):
            with suppress(SetupError):
                return await self.serve()
            self.late += 1
        return await self.serve()

    def kill(self) -> bool:
        """SIGKILL; whether it lived."""
        if self.process is None or self.process.returncode is not None:
            return False
        self.process.kill()
        self.killed += 1
        return True

    async def stop(self) -> None:
        """Drains it: what it has granted is settled, what it has not goes back."""
        if self.keeping is None or self.process is None:
            return
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait((ready, self.keeping), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        self.over = True
        if self.process.returncode is None:
            self.process.terminate()
        await self.keeping

"""A gateway that lives as long as a measurement: started as a process of its own, ended by its own signal."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from experts.base import SetupError

READY_SECONDS = 600.0
END_SECONDS = 40.0
PIPE = asyncio.subprocess.PIPE


@contextlib.asynccontextmanager
async def served(config: str | None) -> AsyncIterator[str]:
    """Starts `lyceum serve` on a free port; yields its address once every expert is ready. Raises SetupError."""
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", *(["--config", config] if config else [])]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    gateway = Served(process, asyncio.create_task(_all(process.stderr)))
    try:
        async with asyncio.timeout(READY_SECONDS):
            url = await gateway.address()
            await gateway.ready(url)
    except TimeoutError as error:
        await gateway.end()
        raise SetupError("the gateway was not ready in time: start `lyceum serve` and give --url") from error
    except BaseException:
        await gateway.end()
        raise
    said = asyncio.create_task(_all(process.stdout))  # an unread pipe would stop the gateway one day
    try:
        yield url
    finally:
        await gateway.end()
        await said


async def _all(lines: asyncio.StreamReader | None) -> bytes:
    return b"" if lines is None else await lines.read()


@dataclass(frozen=True, slots=True)
class Served:
    """The process of a gateway, and what it complains of."""

    process: asyncio.subprocess.Process
    complaints: asyncio.Task[bytes]

    async def address(self) -> str:
        """The address that it says it listens on. Raises SetupError with the gateway's own words."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            found = re.search(rb"https?://[\w.:\[\]-]+", line)
            if found:
                return found[0].decode()
        raise await self.failure()

    async def ready(self, url: str) -> None:
        """Waits until every expert is ready. Raises SetupError if the gateway ends before."""
        import httpx2

        async with httpx2.AsyncClient(base_url=url) as client:
            while self.process.returncode is None:
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.2)
        raise await self.failure()

    async def failure(self) -> SetupError:
        """Why it ended: its last words."""
        words = (await self.complaints).decode(errors="replace").strip().rpartition("\n")[2]
        return SetupError(words.removeprefix("lyceum serve: ") or "the gateway ended: `lyceum check` may tell why")

    async def end(self) -> None:
        """Asks it to end, and makes it if it does not."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), END_SECONDS)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await self.complaints

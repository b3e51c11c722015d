"""A gateway that lives as long as a measurement: started as a process of its own, ended by its own signal."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator

from experts.base import SetupError

READY_SECONDS = 600.0
END_SECONDS = 40.0


@contextlib.asynccontextmanager
async def served(config: str | None) -> AsyncIterator[str]:
    """Starts `lyceum serve` on a free port; yields its address once every expert is ready. Raises SetupError."""
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", *(["--config", config] if config else [])]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(READY_SECONDS):
            url = await _address(process.stdout)
            drain = asyncio.create_task(process.stdout.read())
            await _ready(url, process)
        yield url
    except TimeoutError as error:
        raise SetupError("the gateway was not ready in time: start `lyceum serve` and give --url") from error
    finally:
        await _end(process)
        if drain is not None:
            await drain


async def _address(lines: asyncio.StreamReader) -> str:
    async for line in lines:
        found = re.search(rb"https?://\S+", line)
        if found:
            return found[0].decode().rstrip("/")
    raise SetupError("the gateway could not start: `lyceum check` tells what is wrong")


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    import httpx2

    async with httpx2.AsyncClient(base_url=url) as client:
        while process.returncode is None:
            with contextlib.suppress(httpx2.HTTPError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.5)
    raise SetupError("the gateway ended before it was ready: `lyceum check` tells what is wrong")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()

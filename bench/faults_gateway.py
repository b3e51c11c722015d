"""Starts what `lyceum bench faults` needs: the fault expert and, for each case, a gateway of its own in front of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults_caller import Caller
from bench.faults_cases import Case
from experts.base import SetupError

LIMITS = {"connect_seconds": 1.0, "first_seconds": 1.0, "idle_seconds": 1.0, "total_seconds": 4.0}
"""Of an expert whose fault is that it takes too long, at scale 1."""
PATIENCE = 20.0
"""Times these, for all others."""


@asynccontextmanager
async def child(*words: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of ours, ended by its own signal."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@asynccontextmanager
async def wall(scale: float, folder: Path) -> AsyncIterator[int]:
    """The fault expert; its port."""
    async with child("bench.wall", str(scale), folder=folder) as process:
        assert process.stdout is not None
        yield int(await process.stdout.readline())


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that serves: where, and for which key."""

    port: int
    key: str
    process: asyncio.subprocess.Process
    log: list[str]
    """What it has said since it was ready."""


@asynccontextmanager
async def serving(text: str, folder: Path) -> AsyncIterator[Serving]:
    """A gateway of this configuration. Raises SetupError if it does not come up."""
    folder.mkdir(exist_ok=True)
    (folder / "lyceum.toml").write_text(text)
    async with child("gateway", "serve", folder=folder) as process:
        assert process.stdout is not None
        port, line = 0, ""
        while not line.startswith("Ready"):
            if not (line := (await process.stdout.readline()).decode()):
                raise SetupError("the gateway ended before it was ready")
            port = int(line.rsplit(":", 1)[1]) if "listening on" in line else port
        log: list[str] = []
        reading = asyncio.create_task(_read(process.stdout, log))
        try:
            yield Serving(port, (folder / "state" / "key").read_text().strip(), process, log)
        finally:
            reading.cancel()


async def _read(output: asyncio.StreamReader, log: list[str]) -> None:
    async for line in output:
        log.append(line.decode(errors="replace").rstrip())


@asynccontextmanager
async def gateway(case: Case, port: int, scale: float, folder: Path) -> AsyncIterator[Caller]:
    """A gateway in front of the faulty expert and a sound one, asked in the order of their names."""
    async with serving(configuration(case, port, scale), folder) as served:
        caller = Caller(served.port, served.key, 30.0 * max(1.0, scale))
        try:
            yield caller
        finally:
            await caller.client.aclose()


def configuration(case: Case, port: int, scale: float) -> str:
    """The operator's file of a case."""
    patient = PATIENCE * scale
    policy = POLICY.format(failures=case.health, policy=case.policy or UTILITY.format(explore=case.explore))
    tables = [expert("faulty", case.fault, port, scale if case.timed else patient, case.experts), policy, case.tiers]
    more = {"continues": "prefill", **case.experts.get("sound", {})}
    for number in range(case.others):
        name = f"sound{number or ''}"
        tables.append(expert(name, case.fallback, port, patient, {name: more}))
    return "\n".join(tables)


def expert(name: str, model: str, port: int, scale: float, more: dict[str, dict[str, Any]]) -> str:
    """The table of one expert."""
    keys = dict(more.get(name, {}))
    limits = {**{key: value * scale for key, value in LIMITS.items()}, **keys.pop("limits", {})}
    pairs = {"use": "experts.openai_http:OpenAIHTTP", "url": f"http://127.0.0.1:{port}/v1", "model": model, **keys}
    lines = [f"{key} = {toml(value)}" for key, value in pairs.items()]
    lines.append("price = { prompt = 1.0, completion = 2.0 }")
    lines.append("limits = { " + ", ".join(f"{key} = {toml(value)}" for key, value in limits.items()) + " }")
    return "\n".join([f"[experts.{name}]", *lines])


def toml(value: str | float) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


POLICY = """
[server]
port = 0
failures_in_a_row = {failures}
[router]
use = "routers.simple:Cards"
[policy]
{policy}
"""
UTILITY = """
use = "policies.pick:Utility"
usd_per_quality = 0.01
explore = {explore}
"""

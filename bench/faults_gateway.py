"""Starts what `lyceum bench faults` needs: the fault expert and, for each case, a gateway of its own in front of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.faults_caller import Caller
from bench.faults_cases import Case

LIMITS = {"connect_seconds": 1.0, "first_seconds": 1.0, "idle_seconds": 1.0, "total_seconds": 4.0}
"""Of every expert, at scale 1."""


@asynccontextmanager
async def process(*words: str, folder: Path) -> AsyncIterator[asyncio.StreamReader]:
    """A child of ours; its output."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    assert child.stdout is not None
    try:
        yield child.stdout
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await child.communicate()


@asynccontextmanager
async def wall(scale: float, folder: Path) -> AsyncIterator[int]:
    """The fault expert; its port."""
    async with process("bench.wall", str(scale), folder=folder) as output:
        yield int(await output.readline())


@asynccontextmanager
async def gateway(case: Case, port: int, scale: float, folder: Path) -> AsyncIterator[Caller]:
    """A gateway in front of the faulty expert and a sound one, asked in the order of their names."""
    folder.mkdir()
    (folder / "lyceum.toml").write_text(configuration(case, port, scale))
    async with process("gateway", "serve", folder=folder) as output:
        listening = 0
        while line := (await output.readline()).decode():
            if "listening on" in line:
                listening = int(line.rsplit(":", 1)[1])
            if line.startswith("Ready"):
                break
        caller = Caller(listening, (folder / "state" / "key").read_text().strip(), 30.0 * max(1.0, scale))
        rest = asyncio.create_task(output.read())
        try:
            yield caller
        finally:
            await caller.client.aclose()
            rest.cancel()


def configuration(case: Case, port: int, scale: float) -> str:
    """The operator's file of a case."""
    tables = [expert("faulty", case.fault, port, scale, case.experts), POLICY.format(failures=case.health)]
    continues = {"sound": {"continues": "prefill", **case.experts.get("sound", {})}}
    tables.append(expert("sound", case.fallback, port, scale, {**case.experts, **continues}))
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
use = "policies.pick:Utility"
usd_per_quality = 0.01
"""

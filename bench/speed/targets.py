"""What is measured: the upstream itself, and our own gateway in front of it with key, budget, policy and ledger on."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.speed.processes import end, last_words, line_of, python, start
from bench.speed.upstream import MODEL
from experts.base import SetupError

HOST = "127.0.0.1"
PATH = "/v1/chat/completions"
KEY = "lyc-bench-0123456789abcdef0123456789abcdef"
START_SECONDS = 60.0
CONNECTIONS = 20_000
ALONE = 0
"""What `--workers` calls one process without a parent."""

CONFIG = """
[server]
port = {port}

[state]
folder = "state"

[keys.bench]
sha256 = "{digest}"

[experts.large]
use = "experts.openai_http:OpenAIHTTP"
url = "http://{host}:{upstream}/v1"
model = "{model}"
context = 1000000
tools = true
price = {{ prompt = 0.4, completion = 1.6 }}
limits = {{ connections = {connections}, waiting = {connections} }}

[experts.small]
use = "experts.openai_http:OpenAIHTTP"
url = "http://{host}:{upstream}/v1"
model = "{model}"
context = 1000000
tools = true
price = {{ prompt = 0.04, completion = 0.16 }}
limits = {{ connections = {connections}, waiting = {connections} }}

[router]
use = "routers.simple:Cards"

[policy]
use = "policies.budget:Budget"
usd_per_day = 1000000.0
usd_per_request = 10.0
inner = {{ use = "policies.pick:Utility", usd_per_quality = 0.01 }}
"""
"""Two experts so that there is something to decide, a router that costs little, a budget that never ends."""

ENCODER = """
[encoder]
use = "routers.encoders:MiniLM"
folder = "{folder}/encoder"
weights = "{folder}/weights"
precision = "int8"
tokens = 64
"""


@dataclass(frozen=True)
class Target:
    """Where requests go, and the process tree that is charged for them."""

    name: str
    port: int
    model: str = MODEL
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = PATH
    pid: int | None = None
    start_seconds: float | None = None
    host: str = HOST

    def wire(self) -> dict[str, Any]:
        """As the load generator takes it."""
        names = ("host", "port", "model", "headers", "path")
        return {name: getattr(self, name) for name in names}


@contextlib.contextmanager
def upstream(on: Iterable[int] = ()) -> Iterator[Target]:
    """The mock upstream in a process of its own."""
    process = start(python("bench.speed.upstream"), on, stdout=subprocess.PIPE)
    try:
        said = line_of(process.stdout)
        if not said.startswith("port "):
            raise SetupError("the mock upstream ended: run `python -m bench.speed.upstream` to see why")
        yield Target("direct", int(said.split()[1]), pid=process.pid)
    finally:
        end(process)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gateway(
    behind: Target,
    on: Iterable[int] = (),
    workers: int = 1,
    more: str = "",
    runner: tuple[str, ...] = (sys.executable,),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Target]:
    """`lyceum serve` in a folder of its own; `more` is added to its configuration, `runner` is the Python that runs it,
    or what runs a Python (valgrind)."""
    with tempfile.TemporaryDirectory(prefix="lyceum-bench-") as name:
        folder, port = Path(name), free_port()
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        (folder / "lyceum.toml").write_text(
            CONFIG.format(
                port=port, digest=digest, host=HOST, upstream=behind.port, model=MODEL, connections=CONNECTIONS
            )
            + more
        )
        command = [*runner, "-m", "gateway", "serve", "--config", "lyceum.toml"]
        command += ["--workers", str(workers if workers > 1 else ALONE)]
        target = Target("lyceum", port, "auto", {"authorization": f"Bearer {KEY}"})
        with running(target, command, folder, on, environment) as started:
            yield started


@contextlib.contextmanager
def running(
    target: Target,
    command: list[str],
    folder: Path,
    on: Iterable[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Target]:
    """A server as a process of its own until its first answer and beyond. Raises SetupError with its last words."""
    log = folder / "log"
    with log.open("wb") as file:
        began = time.monotonic()
        process = start(command, on, cwd=folder, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment)
        try:
            answered = first_answer(target, process, log)
            yield Target(**{**vars(target), "pid": process.pid, "start_seconds": answered - began})
        finally:
            end(process)


def first_answer(target: Target, process: subprocess.Popen[bytes], log: Path) -> float:
    """When the first request was answered, in monotonic seconds. Raises SetupError."""
    until = time.monotonic() + START_SECONDS
    said = ""
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SetupError(f"{target.name} ended at its start: {last_words(log)}")
        try:
            status, said = asked(target)
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
            continue
        if status == 200:
            return time.monotonic()
        time.sleep(0.05)
    raise SetupError(f"{target.name} gave no answer within {START_SECONDS:.0f} s: {said[:200] or last_words(log)}")


def asked(target: Target, content: str = "hello") -> tuple[int, str]:
    """The status and body of one plain request."""
    body = json.dumps({"model": target.model, "messages": [{"role": "user", "content": content}]})
    connection = http.client.HTTPConnection(target.host, target.port, timeout=60)
    try:
        connection.request("POST", target.path, body, {"content-type": "application/json", **target.headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()

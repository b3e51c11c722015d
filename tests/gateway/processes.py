"""A gateway of several processes for tests: started, asked under load, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from policies.record import Record

CONFIG = """
[server]
port = {port}
workers = {workers}
encoder_seconds = 5.0
[experts.one]
use = "experts.scripted:Scripted"
answer = "hello from one"
[experts.slow]
use = "tests.gateway.drip:Drip"
answer = "a b c d e f g h"
delay = 0.1
[router]
use = "routers.simple:Cards"
[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.01
"""
ENCODER = """
[encoder]
use = "tests.gateway.slow_encoder:Slow"
"""


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return found


class Gateway:
    """`lyceum serve --workers N` as processes of its own."""

    def __init__(self, folder: Path, more: str = "", workers: int = 2) -> None:
        self.folder = folder
        self.file = folder / "lyceum.toml"
        self.text = CONFIG.format(port=0, workers=workers) + more
        self.file.write_text(self.text)
        self.log = folder / "out.txt"
        command = [sys.executable, "-m", "gateway", "serve"]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=environment)
        until(lambda: "Ready" in self.log.read_text() or self.process.poll() is not None)
        self.url = self.log.read_text().splitlines()[0].removeprefix("listening on ")
        self.key = (folder / "state" / "key").read_text().strip()

    def client(self, **about: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=30, **about)

    def ask(self, client: httpx2.Client, model: str = "one", text: str = "hi", **more: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return client.post("/v1/chat/completions", json=body)

    def children(self, word: str) -> list[int]:
        """Process ids of the children whose command has this word."""
        found = psutil.Process(self.process.pid).children()
        return [child.pid for child in found if word in " ".join(_command(child))]

    def workers(self) -> list[int]:
        return self.children("gateway.worker")

    def rows(self) -> tuple[int, int]:
        record = Record(self.folder / "state" / "ledger.sqlite")
        return len(list(record.rows("decisions"))), len(list(record.rows("outcomes")))

    def reload(self) -> None:
        said = self.log.read_text().count("reloaded;")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.read_text().count("reloaded;") > said)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@contextmanager
def running(folder: Path, more: str = "", workers: int = 2) -> Iterator[Gateway]:
    gateway = Gateway(folder, more, workers)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.end()


class Load:
    """Clients that keep their connections and ask without a pause; every failure is kept."""

    def __init__(self, gateway: Gateway, clients: int = 3) -> None:
        self.gateway, self.over = gateway, threading.Event()
        self.answered, self.streamed = 0, 0
        self.failed: list[str] = []
        self.threads = [threading.Thread(target=self.run, args=(place,)) for place in range(clients)]

    def run(self, place: int) -> None:
        with self.gateway.client() as client:
            while not self.over.is_set():
                try:
                    if place == 0:
                        self.stream(client)
                    else:
                        answer = self.gateway.ask(client)
                        self.answered += 1
                        if answer.status_code != 200:
                            self.failed.append(answer.text)
                except httpx2.HTTPError as error:
                    self.failed.append(repr(error))

    def more(self, count: int) -> None:
        """Waits until so many more were answered."""
        before = self.answered
        until(lambda: self.answered > before + count)

    def stream(self, client: httpx2.Client) -> None:
        answer = self.gateway.ask(client, "slow", stream=True)
        self.streamed += 1
        if answer.status_code != 200 or not answer.text.endswith("data: [DONE]\n\n"):
            self.failed.append(answer.text)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

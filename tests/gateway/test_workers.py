"""Several workers under a parent: one door, one ledger, one page of figures; deaths and reloads that nobody notices."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

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
        with closing(sqlite3.connect(self.folder / "state" / "ledger.sqlite")) as ledger:
            counts = [
                ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("decisions", "outcomes")
            ]
        return counts[0], counts[1]

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


def pages(gateway: Gateway) -> int:
    """How many plain requests all workers say that they served."""
    with gateway.client() as client:
        text = client.get("/metrics").text
    name = 'lyceum_requests_total{route="/v1/chat/completions",status="200"}'
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines() if line.startswith(name))


def test_every_worker_answers_into_one_ledger_and_one_page_of_figures(tmp_path):
    with running(tmp_path) as gateway:
        assert len(gateway.workers()) == 2
        ids = set()
        for _ in range(60):
            with gateway.client() as client:
                ids.add(gateway.ask(client).headers["x-lyceum-decision"])
        rows = gateway.rows()
        until(lambda: pages(gateway) == 60)
        served = [psutil.Process(pid).cpu_times().user for pid in gateway.workers()]
        with gateway.client() as client:
            stories = {client.get(f"/v1/decisions/{decision}").status_code for decision in ids}

    assert len(ids) == 60
    assert rows == (60, 60)
    assert stories == {200}
    assert min(served) > 0


def test_a_killed_worker_is_replaced_while_the_other_serves_and_the_ledger_is_whole(tmp_path):
    """Row 46 with several workers."""
    with running(tmp_path) as gateway:
        before = gateway.workers()
        acknowledged = set()
        with Load(gateway, 1):
            os.kill(before[0], signal.SIGKILL)
            for _ in range(50):
                with gateway.client() as client:
                    acknowledged.add(gateway.ask(client).headers["x-lyceum-decision"])
            until(lambda: len(set(gateway.workers()) | set(before)) == 3)
        until(lambda: "another starts" in gateway.log.read_text())
        after = gateway.workers()
        with gateway.client() as client:
            stories = {client.get(f"/v1/decisions/{decision}").status_code for decision in acknowledged}

    assert before[1] in after
    assert before[0] not in after
    assert stories == {200}


def test_a_reload_under_load_fails_no_request(tmp_path):
    with running(tmp_path) as gateway:
        before = gateway.workers()
        with Load(gateway) as load:
            for turn in range(3):
                gateway.file.write_text(gateway.text.replace("hello from one", f"hello again {turn}"))
                gateway.reload()
                load.more(20)
        with gateway.client() as client:
            answer = gateway.ask(client).json()["choices"][0]["message"]["content"]
        until(lambda: len(gateway.workers()) == 2)
        total = load.answered + load.streamed + 1
        until(lambda: pages(gateway) == total)
        after = gateway.workers()

    assert load.failed == []
    assert load.streamed > 0
    assert answer == "hello again 2"
    assert not set(before) & set(after)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("answer =", "anwser =", "did you mean 'answer'?"),
        ("[policy]", "[policy", "not valid TOML"),
        ('"experts.scripted:Scripted"', '"broken:Broken"', "cannot import"),
        ("[experts.one]", '[keys.me]\nenv = "NO_SUCH_VARIABLE"\n[experts.one]', "NO_SUCH_VARIABLE"),
    ],
)
def test_a_wrong_file_changes_nothing_and_is_told(tmp_path, old, new, why):
    with running(tmp_path) as gateway:
        before = gateway.workers()
        gateway.file.write_text(gateway.text.replace(old, new, 1))
        with Load(gateway) as load:
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: "nothing changes" in gateway.log.read_text())
            load.more(20)

        assert why in gateway.log.read_text()
        assert load.failed == []
        assert gateway.workers() == before


def test_a_worker_that_cannot_start_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "broken.py").write_text(
        "from experts.base import SetupError\nfrom experts.scripted import Scripted\n"
        "class Broken(Scripted):\n    async def start(self):\n        raise SetupError('broken: mend it')\n"
    )
    gateway = Gateway(tmp_path, '[experts.broken]\nuse = "broken:Broken"\nanswer = "x"\n')

    assert gateway.process.wait(30) == 2
    assert "broken: mend it" in gateway.log.read_text()


def test_all_workers_share_one_encoder_and_nobody_fails_when_it_dies(tmp_path):
    with running(tmp_path, ENCODER) as gateway:
        (encoder,) = gateway.children("gateway.encoder_process")
        answers = []
        for place in range(10):
            with gateway.client() as client:
                answers.append(gateway.ask(client, "auto", f"prompt {place}").status_code)
        os.kill(encoder, signal.SIGKILL)
        for place in range(10, 20):
            with gateway.client() as client:
                answers.append(gateway.ask(client, "auto", f"prompt {place}").status_code)
        until(lambda: gateway.children("gateway.encoder_process") not in ([], [encoder]))
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as ledger:
            whys = [row[0] for row in ledger.execute("SELECT why FROM decisions ORDER BY row")]

    assert answers == [200] * 20
    assert not any("too late" in why for why in whys[:10])
    assert any("too late" in why for why in whys[10:])


def test_all_workers_ask_one_local_model_and_a_reload_keeps_it(tmp_path, small_weights):
    model = f'[experts.local]\nuse = "experts.llamacpp:LlamaCppExpert"\nweights = "{small_weights}"\n'
    price = "context = 2048\nprice = { cpu_hour = 0.05 }\n"
    with running(tmp_path, model + price) as gateway:
        (server,) = gateway.children("experts.llamacpp_server")
        began = sum(psutil.Process(server).cpu_times()[:2])
        answers = []
        for _ in range(2):
            for _ in range(6):
                with gateway.client() as client:
                    answers.append(gateway.ask(client, "local", max_tokens=4, temperature=0))
            gateway.reload()
        burnt = sum(psutil.Process(server).cpu_times()[:2]) - began
        kept = gateway.children("experts.llamacpp_server")
        os.kill(server, signal.SIGKILL)
        until(lambda: gateway.children("experts.llamacpp_server") not in ([], [server]))
        with gateway.client() as client:
            until(lambda: gateway.ask(client, "local", max_tokens=4).status_code == 200)
        (last,) = gateway.children("experts.llamacpp_server")
        gateway.end(signal.SIGKILL)
        until(lambda: not psutil.pid_exists(last))

    cost = sum(float(answer.headers["x-lyceum-cost"]) for answer in answers)
    assert [answer.status_code for answer in answers] == [200] * 12
    assert kept == [server]
    assert 0 < cost <= (burnt + 0.1) * 0.05 / 3600


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    with running(tmp_path, ENCODER) as gateway:
        everybody = [process.pid for process in psutil.Process(gateway.process.pid).children(recursive=True)]
        gateway.end(signal.SIGKILL)

        assert len(everybody) == 3
        until(lambda: not any(psutil.pid_exists(pid) for pid in everybody))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_all_workers_and_streams_are_finished(tmp_path, number):
    with running(tmp_path, ENCODER) as gateway:
        everybody = [process.pid for process in psutil.Process(gateway.process.pid).children(recursive=True)]
        with gateway.client() as client:
            body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                events = answer.iter_lines()
                next(events)
                gateway.process.send_signal(number)
                rest = list(events)

        assert gateway.process.wait(30) == 0
        assert "data: [DONE]" in rest
        assert gateway.rows() == (1, 1)
        assert not any(psutil.pid_exists(pid) for pid in everybody)


def test_readiness_ends_before_connections_do(tmp_path):
    with running(tmp_path, workers=1) as gateway:
        gateway.file.write_text(gateway.text.replace("[server]", "[server]\ndrain_seconds = 2.0"))
        gateway.reload()
        gateway.process.send_signal(signal.SIGTERM)

        def leaving() -> httpx2.Response | None:
            with gateway.client() as client:
                answer = client.get("/readyz")
            return answer if answer.status_code == 503 else None

        said = until(leaving)
        with gateway.client() as client:
            answer = gateway.ask(client)

        assert said.headers["connection"] == "close"
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        assert gateway.process.wait(30) == 0


def test_one_process_alone_says_that_it_cannot_reload(tmp_path):
    with running(tmp_path, workers=0) as gateway:
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "--workers 1" in gateway.log.read_text())
        with gateway.client() as client:
            assert gateway.ask(client).status_code == 200


def test_a_request_on_an_idle_connection_is_answered_while_the_gateway_drains(tmp_path):
    with running(tmp_path, workers=1) as gateway:
        with gateway.client() as client:
            assert gateway.ask(client).headers.get("connection") is None
            gateway.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            answer = gateway.ask(client)

        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"

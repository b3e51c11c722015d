"""Several workers under a parent: one door, one ledger, one page of figures; deaths and reloads that nobody notices."""

from __future__ import annotations

import os
import signal
import socket
import time
from types import SimpleNamespace

import httpx2
import psutil
import pytest

from gateway.protocol import Connection
from policies.record import Record
from tests.gateway.processes import ENCODER, Gateway, Load, running, until


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
        rows = Record(tmp_path / "state" / "ledger.sqlite").rows("decisions")
        whys = [row["why"] for row in sorted(rows, key=lambda row: row["time"])]

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


def test_what_came_unread_is_seen_before_an_idle_connection_is_closed():
    """Row 52: a busy loop looks at its timers before it reads."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = SimpleNamespace(transport=SimpleNamespace(get_extra_info=lambda name: ours))
        assert not Connection.unread(connection)  # type: ignore[arg-type] # all that it looks at
        theirs.send(b"POST")
        assert Connection.unread(connection)  # type: ignore[arg-type] # all that it looks at

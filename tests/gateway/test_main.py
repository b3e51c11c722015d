"""The command line: what the operator must mend is one line and exit code 2; signals end everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from gateway.__main__ import COMMANDS, main

SCRIPTED = """
[server]
port = {port}
[experts.one]
use = "experts.scripted:Scripted"
answer = "hello from one"
[experts.two]
use = "experts.scripted:Scripted"
answer = "hello from two"
[router]
use = "routers.simple:Cards"
[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.01
"""


def lyceum(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "lyceum.toml").write_text(SCRIPTED.format(port=port))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])

    assert caught.value.code == 0
    assert f"example: lyceum {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[experts.one]", "[experts.one", "not valid TOML"),
        ("answer", "anwser", "experts.one.anwser: unknown key; did you mean 'answer'?"),
        ('"experts.scripted:Scripted"', '"experts.scripted:Missing"', "cannot import"),
        ('"routers.simple:Cards"', '"routers.simple:Crads"', "router.use: cannot import"),
        ('"routers.simple:Cards"', '"routers.knn:Nearest"\nkk = 3', "router.kk: unknown key"),
    ],
)
def test_a_broken_configuration_is_one_line_and_exit_code_2(folder, old, new, said):
    path = folder / "lyceum.toml"
    path.write_text(path.read_text().replace(old, new, 1))

    for command in ("check", "serve"):
        ended = lyceum(folder, command)

        assert ended.returncode == 2
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_missing_model_file_is_one_line_and_exit_code_2(folder):
    path = folder / "lyceum.toml"
    expert = 'use = "experts.llamacpp:LlamaCppExpert"\nweights = "none.gguf"'
    path.write_text(path.read_text().replace('use = "experts.scripted:Scripted"\nanswer = "hello from one"', expert))

    ended = lyceum(folder, "serve")

    assert ended.returncode == 2
    assert "none.gguf" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line_and_exit_code_2(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = lyceum(folder, "serve", "--port", str(taken.getsockname()[1]))

    assert ended.returncode == 2
    assert "server.port: cannot listen" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_state_folder_that_cannot_be_written_is_one_line_and_exit_code_2(folder):
    (folder / "state").write_text("a file where a folder must be")

    ended = lyceum(folder, "serve")

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


def test_check_shows_the_experts(folder):
    ended = lyceum(folder, "check")

    assert ended.returncode == 0
    assert "all is well" in ended.stdout


def test_asking_without_a_gateway_says_how_to_start_one(folder):
    ended = lyceum(folder, "ask", "hi")

    assert ended.returncode == 2
    assert "lyceum serve" in ended.stderr


class Running:
    """`lyceum serve` as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "gateway", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()
        key = (folder / "state" / "key").read_text().strip()
        self.client = httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"})
        self.wait(200)

    def wait(self, status: int) -> None:
        while self.client.get("/readyz").status_code != status:
            time.sleep(0.02)

    def ask(self, model: str = "auto") -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return self.client.post("/v1/chat/completions", json=body)

    def end(self, number: int) -> int:
        self.client.close()
        os.kill(self.process.pid, number)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_gateway_cleanly(folder, number):
    running = Running(folder)
    assert running.ask("two").json()["choices"][0]["message"]["content"] == "hello from two"

    assert running.end(number) == 0


def test_ask_answers_in_the_terminal_and_says_who_and_at_what_cost(folder):
    running = Running(folder)
    ended = lyceum(folder, "ask", "hi", "--model", "two", "--url", running.url)
    running.end(signal.SIGTERM)

    assert ended.returncode == 0
    assert "hello from two" in ended.stdout
    assert "cost $" in ended.stdout


def test_no_acknowledged_answer_is_lost_by_kill_9(folder):
    """Row 46, through the whole gateway: every answer that a client saw is in the ledger after the kill."""
    acknowledged: set[str] = set()
    for round_ in range(5):
        running = Running(folder)
        acknowledged |= {running.ask().headers["x-lyceum-decision"] for _ in range(5 + round_)}
        running.end(signal.SIGKILL)
    running = Running(folder)
    stories = [running.client.get(f"/v1/decisions/{decision}") for decision in acknowledged]
    running.end(signal.SIGTERM)

    assert len(acknowledged) == 35
    assert {story.status_code for story in stories} == {200}
    assert all(len(story.json()["outcomes"]) == 1 for story in stories)

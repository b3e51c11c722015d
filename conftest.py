"""Runs what README and docs show: TOML goes through `lyceum check`, Python meets a real gateway with real experts."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from sybil.region import Lexeme

REPOSITORY = Path(__file__).parent
WEIGHTS = REPOSITORY / "state" / "weights"
SMALL = "qwen2.5-coder-0.5b-instruct-q4_k_m"
LYCEUM = str(Path(sys.executable).with_name("lyceum"))
ADDRESS = "http://127.0.0.1:8000"

SCHOOL = f"""
[experts.small]
use = "experts.llamacpp:LlamaCppExpert"
weights = "{SMALL}"
folder = "{WEIGHTS}"
context = 2048
price = {{ cpu_hour = 0.05 }}

[experts.algebra]
use = "experts.algebra:AlgebraExpert"
helper = "small"

[experts.logic]
use = "experts.logic:LogicExpert"
helper = "small"

[router]
use = "routers.simple:Cards"

[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.001
"""
"""The embedded school less its larger model and its trained router, so that it starts in seconds."""


@dataclass
class Reader:
    """Somebody who follows the documents in a folder of their own."""

    folder: Path
    gateway: subprocess.Popen[str] | None = None
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def keep(self, name: str, text: str) -> None:
        """Saves a file that a document shows."""
        (self.folder / name).write_text(text)

    def check(self, toml: str) -> None:
        """Puts a piece of configuration into lyceum.toml, in place of the tables it names, and has it checked."""
        new, kept = tomllib.loads(toml), ""
        for part in re.split(r"\n(?=\[)", SCHOOL):
            title = re.match(r"\[([\w.]+)\]", part)
            kept += "" if title and title[1] in new else part + "\n"
        self.keep("lyceum.toml", kept + "\n" + toml)
        done = subprocess.run([LYCEUM, "check"], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def serve(self) -> str:
        """The address of a gateway, started on first need."""
        if self.gateway is None:
            fetch = ["-m", "experts.weights", "fetch", SMALL, "--folder", str(WEIGHTS)]
            subprocess.run([sys.executable, *fetch], check=True)
            self.keep("school.toml", SCHOOL)
            command = [LYCEUM, "serve", "--config", "school.toml", "--port", "0"]
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            self.gateway = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            self.url = self._wait()
        return self.url

    def _wait(self) -> str:
        assert self.gateway is not None
        assert self.gateway.stdout is not None
        url = ""
        for line in self.gateway.stdout:
            self.lines.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                url = found[1]
            if line.startswith("Ready"):
                return url
        raise AssertionError("the gateway ended: " + "".join(self.lines))

    def leave(self) -> None:
        """Stops the gateway, which must end its children and itself."""
        if self.gateway is not None and self.gateway.poll() is None:
            self.gateway.terminate()
            self.gateway.communicate(timeout=60)
            assert self.gateway.returncode == 0


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """One reader for all documents, working in a folder of their own."""
    folder = tmp_path_factory.mktemp("reader")
    sys.path.insert(0, str(folder))
    someone = Reader(folder)
    yield someone
    someone.leave()
    sys.path.remove(str(folder))


def run_python(example: Example) -> None:
    """A block that opens with `# name.py` is a file; any other runs, against the reader's gateway if it names one."""
    someone: Reader = example.namespace["reader"]
    source = example.parsed
    if name := re.match(r"# (\w+\.py)\n", source):
        someone.keep(name[1], source)
    if ADDRESS in source:
        moved = source.replace(ADDRESS, someone.serve())
        example.parsed = Lexeme(moved, source.offset, source.line_offset)
    with contextlib.chdir(someone.folder):
        PythonEvaluator()(example)


def run_toml(example: Example) -> None:
    """A piece of configuration must pass `lyceum check`."""
    someone: Reader = example.namespace["reader"]
    someone.check(str(example.parsed))


pytest_collect_file: Any = Sybil(
    parsers=[CodeBlockParser("python", run_python), CodeBlockParser("toml", run_toml)],
    patterns=["README.md", "docs/*.md"],
    fixtures=["reader"],
).pytest()

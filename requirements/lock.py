"""Writes the lock files: every package pinned with its hashes, for Linux and macOS on Python 3.11 to 3.13.

A release must be two weeks old before it is locked: a poisoned one is mostly found and withdrawn sooner.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
COOLDOWN = timedelta(days=14)

LOCKS = {
    "aider": ["--group", "pyproject.toml:aider"],
    "build": ["--group", "pyproject.toml:build"],
    "clients": ["--group", "pyproject.toml:clients"],
    "clients-openai2": ["--group", "pyproject.toml:clients-openai2"],
    "default": ["pyproject.toml"],
    "dev": ["pyproject.toml", "--group", "dev"],
    "litellm": ["pyproject.toml", "--extra", "litellm"],
    "litellm-test": ["pyproject.toml", "--extra", "litellm", "--group", "test"],
    "postgres": ["pyproject.toml", "--extra", "postgres"],
    "routellm": ["pyproject.toml", "--extra", "routellm"],
    "routellm-test": ["pyproject.toml", "--extra", "routellm", "--group", "test"],
    "schemathesis": ["--group", "pyproject.toml:schemathesis"],
    "sentence-transformers": ["pyproject.toml", "--extra", "sentence-transformers"],
}
"""What each file locks."""

UNCONSTRAINED = frozenset({"aider"})
"""They pin what we pin, but otherwise; and run in an environment of their own, when somebody asks for it."""

CPU = {"sentence-transformers-cpu": "sentence-transformers", "routellm-cpu": "routellm-test"}
"""Locks less what only a GPU needs, and the lock each is made of."""

CPU_NOTE = """\
# {source}.txt less PyTorch and its CUDA companions (several GB), for a machine without a GPU.
# Install a CPU build of torch=={version} first, from wherever this machine has one, then this file with --no-deps.
"""
CUDA = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==([\w.]+)")


def main() -> int:
    """Rewrites every lock file; returns the exit code."""
    newest = (datetime.now(UTC) - COOLDOWN).date().isoformat()
    for name, sources in LOCKS.items():
        compile_lock(name, sources, newest)
    for name, source in CPU.items():
        (HERE / f"{name}.txt").write_text(without_cuda(source))
    return 0


def compile_lock(name: str, sources: list[str], newest: str) -> None:
    """Resolves one lock; the file's first lines repeat the command, so its date can be checked."""
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
    options += ["--exclude-newer", newest]
    if name not in UNCONSTRAINED:
        options += ["--constraints", "requirements/constraints.txt"]
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", *sources, *options, "--quiet", "--upgrade"]
    subprocess.run([*command, "--output-file", f"requirements/{name}.txt"], cwd=HERE.parent, check=True)


def without_cuda(source: str) -> str:
    """The lock of that name without the packages that only a GPU needs."""
    entries = re.split(r"\n(?=\S)", (HERE / f"{source}.txt").read_text().strip())
    torch = next(match[2] for entry in entries if (match := CUDA.match(entry)) and match[1] == "torch")
    kept = [entry for entry in entries if not CUDA.match(entry)]
    return CPU_NOTE.format(source=source, version=torch) + "\n".join(kept) + "\n"


if __name__ == "__main__":
    sys.exit(main())

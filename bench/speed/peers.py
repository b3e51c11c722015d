"""Other gateways in front of the same upstream, as `peers.toml` starts them; one that is missing says why."""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.speed.targets import Target, free_port, running
from experts.base import SetupError

FOLDER = Path(".peers")
"""Where `lyceum bench peers` installs them, each in a folder of its own."""
DONE = "installed"
"""The file in a peer's folder that says it is whole."""


class Absent(SetupError):
    """A peer is not installed."""


@dataclass(frozen=True)
class Peer:
    """How one of them is installed and started."""

    run: list[str]
    debian: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    npm: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def pins(self) -> str:
        """What exactly is installed."""
        packages = [f"{name}=={version}" for name, version in self.npm.get("dependencies", {}).items()]
        return ", ".join([*self.debian, *self.pip, *packages])


PEERS = {
    name: Peer(**table) for name, table in tomllib.loads(Path(__file__).with_name("peers.toml").read_text()).items()
}


def home(name: str, folder: Path | None = None) -> Path:
    """Where a peer is installed. Raises Absent."""
    found = (folder or FOLDER).absolute() / name
    mark = found / DONE
    if not mark.exists():
        raise Absent(f"not installed: `lyceum bench peers {name}`")
    if mark.read_text() != PEERS[name].pins():
        raise Absent(f"installed is {mark.read_text()}, wanted {PEERS[name].pins()}: `lyceum bench peers {name}`")
    return found


@contextlib.contextmanager
def peer(name: str, behind: Target, on: Iterable[int] = ()) -> Iterator[Target]:
    """A peer that forwards to the upstream. Raises Absent, or SetupError with its last words if it does not start."""
    about, installed, port = PEERS[name], home(name), free_port()
    with tempfile.TemporaryDirectory(prefix="lyceum-peer-") as folder:
        places = {
            "@port@": str(port),
            "@spare@": str(free_port()),
            "@upstream@": str(behind.port),
            "@home@": str(installed),
            "@folder@": folder,
        }
        for file, text in about.files.items():
            (Path(folder) / file).write_text(filled(text, places))
        headers = {key: filled(value, places) for key, value in about.headers.items()}
        environment = os.environ | {key: filled(value, places) for key, value in about.environment.items()}
        command = [filled(word, places) for word in about.run]
        with running(Target(name, port, headers=headers), command, Path(folder), on, environment) as target:
            yield target


def filled(text: str, places: Mapping[str, str]) -> str:
    """Text with its places filled."""
    for place, value in places.items():
        text = text.replace(place, value)
    return text

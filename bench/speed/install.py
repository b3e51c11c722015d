"""`lyceum bench peers`: puts the other gateways under .peers/, each in a folder of its own, without root."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from bench.speed.peers import DONE, FOLDER, PEERS, Absent, Peer, home

HELP = "install the gateways that `lyceum bench speed --peers` compares with, each in a folder of its own"
EXAMPLE = "lyceum bench peers nginx vllm-router"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which of them, and where."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(PEERS)}")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"default: {FOLDER}")


def run(args: argparse.Namespace) -> int:
    """Installs what is not there yet; one that cannot be had does not keep the others away."""
    unknown = [name for name in args.names if name not in PEERS]
    failed = {name: f"unknown peer; known: {', '.join(PEERS)}" for name in unknown}
    wanted = [name for name in args.names or PEERS if name in PEERS]
    for name in track(wanted, "installing", console=Console(stderr=True), transient=True):
        if problem := installed(name, args.folder):
            failed[name] = problem
    console = Console()
    for name in [*wanted, *unknown]:
        console.print(f"{name}: {failed.get(name, 'ready')}", markup=False, highlight=False)
    return 1 if failed else 0


def installed(name: str, folder: Path) -> str:
    """Installs a peer unless it is there; what went wrong, or nothing."""
    try:
        home(name, folder)
    except Absent:
        place = folder.absolute() / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        problem = carried_out(PEERS[name], place)
        if not problem:
            (place / DONE).write_text(PEERS[name].pins())
        return problem
    return ""


def carried_out(peer: Peer, place: Path) -> str:
    """Runs the installer of each kind of package; what went wrong, or nothing."""
    if peer.debian:
        return debian(peer.debian, place)
    if peer.npm:
        (place / "package.json").write_text(json.dumps({"private": True, **peer.npm}))
        return done(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], place)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return done([sys.executable, "-m", "venv", str(place)], place) or done([*pip, *peer.pip], place)


def debian(packages: Sequence[str], place: Path) -> str:
    """Unpacks Debian's packages; nothing is installed in the system."""
    problem = done(["apt-get", "download", "-qq", *packages], place)
    for package in () if problem else sorted(place.glob("*.deb")):
        problem = problem or done(["dpkg", "-x", str(package), str(place)], place)
    return problem


def done(command: Sequence[str], place: Path) -> str:
    """Runs a command; its last words if it failed."""
    try:
        ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    words = (ended.stderr or ended.stdout).strip().rpartition("\n")[2]
    return f"{Path(command[0]).name} failed: {words[:200]}" if ended.returncode else ""

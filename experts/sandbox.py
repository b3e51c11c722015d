"""Runs code that may be hostile or endless: each task in a child of its own, forked from a warm process, with limits.

    sandbox = Sandbox("experts.sandbox:run_python", seconds=5)
    result = await sandbox.run({"source": "def f(x): return x + 1", "tests": ["f(1) == 2"]})
    result.value, result.error, result.cpu_seconds

What a task may not do is listed in experts/sandbox_guard.py, with what it takes from the operating system.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from experts.base import SetupError, Unavailable

MEBIBYTE = 1 << 20
PATIENCE = 10.0
"""Seconds, beyond its own limit, after which a silent warm process is taken for dead."""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a task may not start threads
BOOT = "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup.pop('path'); \
from experts.sandbox_zygote import main; main(setup)"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task. `error` is `timeout`, `memory`, `too_large`, `crashed` or an exception's class name."""

    value: Any = None
    error: str | None = None
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use: CPU seconds (twice that on the wall clock), memory beyond the warm process's own
    (bytes), and bytes of its result as JSON."""

    seconds: float = 5.0
    memory_bytes: int = 512 * MEBIBYTE
    result_bytes: int = MEBIBYTE


USUAL = Limits()


class Sandbox:
    """A warm process that runs `function` (import string, JSON in, JSON out), once a task, in a fresh child.

    `preload`: modules to import before the first task; `warm`: an argument to run once, trusted, for the same end.
    Starts at its first use, and again if the warm process died.
    """

    def __init__(
        self,
        function: str,
        limits: Limits = USUAL,
        *,
        preload: tuple[str, ...] = (),
        warm: Any = None,
        slots: int | None = None,
    ) -> None:
        self._setup = {"function": function, "preload": preload, "warm": warm, **asdict(limits)}
        self._patience = 2 * limits.seconds + PATIENCE
        self._slots = asyncio.Semaphore(slots or os.cpu_count() or 1)
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._next = 0

    @property
    def pid(self) -> int | None:
        """The warm process, if it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self, argument: Any) -> Result:
        """Runs one task; a cancelled call ends the task. Raises SetupError if the function cannot be imported,
        Unavailable if no process can be started."""
        async with self._slots:
            await self.start()
            self._next += 1
            number, future = self._next, asyncio.get_running_loop().create_future()
            self._waiting[number] = future
            try:
                await self._send({"id": number, "argument": argument})
                return await asyncio.wait_for(future, self._patience)
            except TimeoutError:
                self._kill()
                return Result(error="crashed")
            except asyncio.CancelledError:
                await self._send({"id": number, "cancel": True})
                raise
            finally:
                self._waiting.pop(number, None)

    async def start(self) -> None:
        """Starts the warm process if it does not run."""
        async with self._starting:
            if self.pid is not None and self._reader is not None and not self._reader.done():
                return
            await self._close()
            await self._open()

    async def stop(self) -> None:
        """Ends the warm process and its tasks."""
        async with self._starting:
            await self._close()

    async def _open(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lyceum-sandbox-", ignore_cleanup_errors=True)
        setup = {**self._setup, "path": sys.path, "parent": os.getpid()}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-B", "-X", "utf8", "-c", BOOT, json.dumps(setup)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=self._folder.name,
                env=ENVIRONMENT | {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ},
                limit=2 * self._setup["result_bytes"] + 4096,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"the sandbox cannot start: {error.strerror}") from error
        first = json.loads(await self._line() or '{"failed": "its process died"}')
        if "failed" in first:
            await self._close()
            raise SetupError(f"sandbox {self._setup['function']}: cannot start: {first['failed']}")
        self._reader = asyncio.create_task(self._read())

    async def _line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def _read(self) -> None:
        while line := await self._line():
            message = json.loads(line)
            future = self._waiting.get(message.pop("id"))
            if future is not None and not future.done():
                future.set_result(Result(**message))
        self._give_up()

    def _give_up(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Result(error="crashed"))

    async def _send(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):  # the process died: the reader says so
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _close(self) -> None:
        self._kill()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._process is not None:
            await self._process.communicate()
        if self._folder is not None:
            self._folder.cleanup()
        self._give_up()
        self._process, self._reader, self._folder = None, None, None


def run_python(argument: dict[str, Any]) -> dict[str, Any]:
    """Runs `source` (Python text that somebody's model wrote), then each expression of `tests`, and says how many
    are true: {"passed", "total", "errors": one class name or None for each test}. For use inside a sandbox only:
    the source could forge its own mark, which limits what it can harm to that mark."""
    tests, space = argument["tests"], {"__name__": "task"}
    errors: list[str | None] = []
    try:
        exec(argument["source"], space)  # noqa: S102 this is what the sandbox is for
    except BaseException as error:  # noqa: BLE001 SystemExit too: the source is a stranger's
        return {"passed": 0, "total": len(tests), "errors": [type(error).__name__] * len(tests)}
    for test in tests:
        errors.append(_error(test, space))
    return {"passed": errors.count(None), "total": len(tests), "errors": errors}


def _error(test: str, space: dict[str, Any]) -> str | None:
    try:
        return None if eval(test, space) else "AssertionError"  # noqa: S307 this is what the sandbox is for
    except BaseException as error:  # noqa: BLE001 the same
        return type(error).__name__

"""The warm process of a sandbox: imports once, then forks one limited child for each task it is sent.

It speaks lines of JSON on stdin and stdout, and ends when either is closed or its parent dies.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experts import sandbox_guard as guard

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64")


@dataclass(slots=True)
class Task:
    """A running child, and what it has written so far."""

    number: int
    pid: int
    pipe: int
    deadline: float
    written: bytearray = field(default_factory=bytearray)


def main(setup: dict[str, Any]) -> None:
    """Serves tasks until the parent is gone."""
    guard.die_with_parent()
    if os.getppid() != setup["parent"]:
        return
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    try:
        function = _load(setup)
    except Exception as error:  # noqa: BLE001 any fault of an import: the parent raises it as SetupError
        _send(out, {"failed": f"{type(error).__name__}: {error}"})
        return
    setup["memory_bytes"] += guard.address_space()
    guard.leave_network()
    guard.read_only((*SYSTEM_FOLDERS, sys.prefix, sys.base_prefix, os.getcwd(), _home(setup["function"])))
    gc.collect()
    gc.freeze()
    _send(out, {"ready": True})
    Zygote(setup, function, out, null).serve()


def _load(setup: dict[str, Any]) -> Callable[[Any], Any]:
    for module in setup["preload"]:
        importlib.import_module(module)
    module, _, name = setup["function"].partition(":")
    function: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    if setup["warm"] is not None:
        function(setup["warm"])
    return function


def _home(function: str) -> str:
    return str(Path(sys.modules[function.partition(":")[0]].__file__ or "/usr/lib").parent)


def _send(out: int, message: dict[str, Any]) -> None:
    rest = json.dumps(message).encode() + b"\n"
    while rest:
        rest = rest[os.write(out, rest) :]


class Zygote:
    """The loop: lines in, children out, results back."""

    def __init__(self, setup: dict[str, Any], function: Callable[[Any], Any], out: int, null: int) -> None:
        self._setup, self._function, self._out, self._null = setup, function, out, null
        self._tasks: dict[int, Task] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ)
        self._input = b""

    def serve(self) -> None:
        """Runs until stdin ends; then kills what still runs."""
        open_ = True
        while open_:
            for key, _ in self._selector.select(self._pause()):
                if key.fd == 0:
                    open_ = self._hear()
                elif key.data.number in self._tasks:
                    self._collect(key.data)
            for task in [task for task in self._tasks.values() if task.deadline <= time.monotonic()]:
                self._end(task, "timeout")
        for task in list(self._tasks.values()):
            self._kill(task)

    def _pause(self) -> float | None:
        deadlines = [task.deadline for task in self._tasks.values()]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _hear(self) -> bool:
        data = os.read(0, 1 << 16)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "cancel" not in message:
                self._begin(message["id"], message["argument"])
            elif message["id"] in self._tasks:
                self._end(self._tasks[message["id"]], "cancelled")
        return bool(data)

    def _begin(self, number: int, argument: Any) -> None:
        read, write = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(read)
            os.close(write)
            _send(self._out, {"id": number, "error": "crashed"})
            return
        if pid == 0:
            _child(self._setup, self._function, argument, write, self._null)
        os.close(write)
        task = Task(number, pid, read, time.monotonic() + 2 * self._setup["seconds"])
        self._tasks[number] = task
        self._selector.register(read, selectors.EVENT_READ, task)

    def _collect(self, task: Task) -> None:
        data = os.read(task.pipe, 1 << 16)
        task.written += data
        if len(task.written) > self._setup["result_bytes"] + 64:
            self._end(task, "too_large")
        elif not data:
            self._end(task, None)

    def _end(self, task: Task, error: str | None) -> None:
        status, cpu_seconds = self._kill(task)
        message = {"error": error} if error else _message(bytes(task.written), status)
        _send(self._out, {"id": task.number, "cpu_seconds": cpu_seconds, **message})

    def _kill(self, task: Task) -> tuple[int, float]:
        """Ends a child and what it started; harmless if it ended by itself. Returns its status and CPU seconds."""
        self._selector.unregister(task.pipe)
        os.close(task.pipe)
        del self._tasks[task.number]
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(task.pid, signal.SIGKILL)
        _, status, usage = os.wait4(task.pid, 0)
        return status, usage.ru_utime + usage.ru_stime


def _message(written: bytes, status: int) -> dict[str, Any]:
    """What the parent is told of a child that closed its pipe by itself."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return {"error": "timeout"}
    try:
        message = json.loads(written)
    except ValueError:
        return {"error": "crashed"}
    whole = isinstance(message, dict) and message.keys() <= {"value", "error"}
    return message if whole else {"error": "crashed"}


def _child(setup: dict[str, Any], function: Callable[[Any], Any], argument: Any, write: int, null: int) -> None:
    """Runs one task in this process and ends it; never returns."""
    try:
        guard.die_with_parent()
        os.setsid()
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.dup2(write, 3)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        guard.limit(setup["seconds"], setup["memory_bytes"])
        guard.refuse_calls()
        answer = json.dumps(_run(function, argument)).encode()
        if len(answer) > setup["result_bytes"]:
            answer = b'{"error": "too_large"}'
        while answer:
            answer = answer[os.write(3, answer) :]
    finally:
        os._exit(0)


def _run(function: Callable[[Any], Any], argument: Any) -> dict[str, Any]:
    try:
        value = function(argument)
        json.dumps(value)
    except MemoryError:
        return {"error": "memory"}
    except BaseException as error:  # noqa: BLE001 the boundary: a stranger's code may raise anything
        return {"error": type(error).__name__}
    return {"value": value}

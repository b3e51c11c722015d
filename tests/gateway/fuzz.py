"""Throws bytes at our own protocol, in process: `python -m tests.gateway.fuzz --count 10000000 --seed 7`.

An input is what one client sends on one connection. Nothing may bring a status of 500 or more, an error that is not in
the form of its address, or an answer that nobody asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.progress import Progress

from gateway.app import App
from gateway.protocol import Connection
from tests.gateway.conftest import KEY, make_door, scripted

CAP = 1 << 20
TOGETHER = 64
"""Connections at once: their answers share the writes of the ledger."""
READERS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/route")
CODE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(.*?)\r\n\r\n", re.DOTALL)
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 1e308, -0.0, 0.5, "", " ", "auto", "first", "user", "\x00"),
    *("a" * 300, "\u2028", "é", "\U0001f600", "auto:0.1", "data:image/png;base64,xx", "<task>x</task>", "file-1"),
    *([], {}, [[]], [{}], {"a": {"b": [1]}}, [None], [1, 2, 3], ["a", "b"], [[1], [2]]),
]
FIELDS = (
    *("model", "messages", "prompt", "input", "stream", "stream_options", "tools", "tool_choice", "n", "max_tokens"),
    *("temperature", "stop", "seed", "response_format", "instructions", "system", "metadata", "store", "dimensions"),
    *("encoding_format", "previous_response_id", "include", "reasoning", "text", "logprobs", "echo", "suffix", "query"),
    *("documents", "voice", "prompt_cache_key", "background", "thinking", "max_output_tokens", "stop_sequences"),
)
MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "name", "type", "id", "call_id", "output", "arguments")
HEADS = (b"x-session-id: s", b"session-id: \xff", b"content-type: application/json", b"expect: 100-continue", b"x: ")
FORM = b"content-type: multipart/form-data; boundary=b"
PARTS = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nfirst\r\n--b\r\nx: y\r\n\r\nz\r\n--b--\r\n'


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """Nobody sends more than it has."""

    def resume_reading(self) -> None:
        """Nobody waits."""


class Letters:
    """A small encoder."""

    async def embed(self, text: str) -> Any:
        import numpy as np

        return np.array([len(text) + 1, 1], np.float32)


@asynccontextmanager
async def target(folder: Path) -> AsyncIterator[App]:
    """A gateway without a socket."""
    door = make_door(folder, [scripted("first", "one two three"), scripted("second", "four")])
    door.school.encoder = Letters()
    yield App(door, CAP)
    await door.stop()


async def answers(app: App, pieces: list[bytes]) -> bytes:
    """All that one connection is sent for these pieces."""
    state = SimpleNamespace(connections=set(), tasks=set())
    wire = Wire()
    connection = Connection(SimpleNamespace(loaded_app=app), state, {})
    connection.connection_made(wire)
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
        while state.tasks:
            await next(iter(state.tasks))
            await asyncio.sleep(0)  # it is forgotten in a callback of its end
    connection.connection_lost(None)
    while state.tasks:
        await asyncio.wait(state.tasks)
    return b"".join(wire.sent)


def complaint(sent: bytes, most: int) -> str:
    """What is wrong with what was sent; empty if nothing is. `most` is how many answers there may be."""
    found = list(STATUS.finditer(sent))
    final = [each for each in found if each[1] != b"100"]
    if len(final) > most:
        return f"{len(final)} answers"
    for each in final:
        status = int(each[1])
        if status >= 500:
            return f"status {status}"
        if b"x-request-id:" not in each[2]:
            return "no x-request-id"
        if status >= 400:
            length = re.search(rb"content-length: (\d+)", each[2])
            body = sent[each.end() : each.end() + int(length[1])] if length else b"{}"
            if "error" not in json.loads(body):
                return f"an error without its form: {body[:100]!r}"
    return ""


def inputs(seed: int, routes: list[tuple[str, str]]) -> Iterator[list[bytes]]:
    """What clients send, without end, the same for the same seed."""
    chance = random.Random(seed)
    values = [value(chance) for _ in range(2000)]
    while True:
        kind = chance.random()
        if kind < 0.1:
            whole = chance.randbytes(chance.randrange(200))
        elif kind < 0.3:
            whole = mutated(chance, request(chance, routes, values))
        else:
            whole = request(chance, routes, values)
            if kind < 0.4:
                whole += request(chance, routes, values)
        if len(whole) < 2 or chance.random() < 0.8:
            yield [whole]
        else:
            cuts = sorted(chance.randrange(len(whole)) for _ in range(2))
            yield [whole[: cuts[0]], whole[cuts[0] : cuts[1]], whole[cuts[1] :]]


def request(chance: random.Random, routes: list[tuple[str, str]], values: list[Any]) -> bytes:
    """One request, mostly well framed."""
    method, route = chance.choice(routes)
    path = route.replace("{id}", "i") + ("x" if route.endswith("/") else "")
    if chance.random() < 0.05:
        path += chance.choice(["?a=b", "/", "//", "%2f..", "\x7f", "é", "?" + "q" * 300])
    head = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"host: x"]
    if chance.random() < 0.95:
        head.append(b"authorization: Bearer " + KEY.encode())
    content = body(chance, values)
    if route.startswith(("/v1/files", "/v1/audio/t", "/v1/images/")) and chance.random() < 0.7:
        head.append(FORM)
        content = PARTS if chance.random() < 0.5 else mutated(chance, PARTS)
    if chance.random() < 0.2:
        head.append(chance.choice(HEADS))
    if chance.random() < 0.1:
        head.append(b"transfer-encoding: chunked")
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
    else:
        head.append(b"content-length: %d" % len(content))
    return b"\r\n".join(head) + b"\r\n\r\n" + content


def body(chance: random.Random, values: list[Any]) -> bytes:
    """A body that is JSON, or nearly."""
    fields: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    if chance.random() < 0.6:
        fields |= {"max_tokens": 5, "prompt": "p", "input": "i"}
    for name in chance.choices(FIELDS, k=chance.randrange(4)):
        fields[name] = chance.choice(values)
    if chance.random() < 0.3:
        fields.pop(chance.choice(list(fields)))
    try:
        made = orjson.dumps(fields)
    except TypeError:  # an integer that orjson cannot write
        made = json.dumps(fields).encode("utf-8", "replace")
    return mutated(chance, made) if chance.random() < 0.15 else made


def value(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind, often in the form of a message."""
    kind = chance.random()
    if depth > 3 or kind < 0.5:
        return chance.choice(ODD)
    if kind < 0.75:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {name: value(chance, depth + 1) for name in chance.choices((*MESSAGE, "text", "function"), k=3)}


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The same bytes with a few of them changed, doubled or lost."""
    found = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(found) + 1)
        match chance.randrange(4):
            case 0:
                found[place:place] = chance.randbytes(chance.randrange(1, 4))
            case 1:
                del found[place : place + chance.randrange(1, 20)]
            case 2:
                found[place:place] = found[place : place + chance.randrange(1, 40)]
            case _:
                found[place : place + 1] = chance.choice([b"\r\n", b"\n", b"\x00", b'"', b"{", b"[", b"\\", b":", b" "])
    return bytes(found)


def often(routes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The addresses, those that read much several times."""
    return [route for route in routes for _ in range(6 if route[1] in READERS else 1) if route[1] != "/metrics"]


async def run(count: int, seed: int, progress: Progress | None = None) -> Counter[int]:
    """Throws so many inputs; how often each status came. Raises AssertionError with the input and its seed."""
    statuses: Counter[int] = Counter()
    task = progress.add_task("inputs", total=count) if progress else None

    async def client() -> None:
        for number, pieces in source:
            sent = await answers(app, pieces)
            wrong = complaint(sent, b"".join(pieces).count(b"HTTP/1.") + 2)
            assert not wrong, f"{wrong}: seed {seed}, input {number}: {pieces!r}"
            statuses.update(map(int, CODE.findall(sent)))
            if progress and task is not None and number % 1000 == 0:
                progress.update(task, completed=number)

    with tempfile.TemporaryDirectory() as folder:
        async with target(Path(folder)) as app:
            source = enumerate(islice(inputs(seed, often(list(app.table))), count))
            await asyncio.gather(*(client() for _ in range(TOGETHER)))
    return statuses


def thrown(count: int, seed: int) -> Counter[int]:
    """The statuses of so many inputs, in a loop of their own."""
    return uvloop.run(run(count, seed))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    gc.freeze()  # what an input makes is gone with it: looking for more took a tenth of the time
    gc.set_threshold(50_000, 20, 50)
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), "seed", str(given.seed), console=console) as progress:
        statuses = uvloop.run(run(given.count, given.seed, progress))
    Console().print_json(data={"seed": given.seed, "inputs": given.count, "statuses": dict(sorted(statuses.items()))})


if __name__ == "__main__":
    main()

"""Requests of very many clients: keys, users, models and addresses that a gateway must not remember one by one."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from bench.speed.runs import Closed, Job
from bench.speed.wire import WORDS

UNKNOWN_KEY, UNKNOWN_MODEL, DIALLED, UNKNOWN_PATH, CYCLE = 0, 1, 2, 3, 8
"""Which of eight requests in a row is odd; the others are plain ones of a user of their own."""


class Clients:
    """The requests one after the other; `names` of them have strings of their own, then these come again."""

    def __init__(self, target: dict[str, Any], size: int, names: int, begin: int) -> None:
        self.target, self.names = target, names
        self.numbers = itertools.count(begin)
        self.filler = (WORDS * (size // len(WORDS) + 1))[: max(0, size - 350)]

    def next(self) -> bytes:
        """The next client's request."""
        number = next(self.numbers)
        name, kind = f"{number % self.names:012d}", number % CYCLE
        path, headers = self.target["path"], dict(self.target["headers"])
        body = {
            "model": self.target["model"],
            "messages": [{"role": "user", "content": f"{number} {self.filler}"}],
            "user": f"user-{name}",
            "metadata": {"session": name},
        }
        if kind == UNKNOWN_KEY:
            headers["authorization"] = f"Bearer lyc-{name}"
        elif kind == UNKNOWN_MODEL:
            body["model"] = f"model-{name}"
        elif kind == DIALLED:
            body["model"] = f"auto:0.{name}"
        elif kind == UNKNOWN_PATH:
            path = f"/v1/{name}"
        headers |= {"session-id": name, "x-request-id": name, "content-type": "application/json"}
        return request(self.target, path, headers, orjson.dumps(body))


def request(target: dict[str, Any], path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of a POST."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {target['host']}:{target['port']}\r\n{lines}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Many(Closed):
    """A closed loop of such clients, so many requests in all."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.payload = Clients(job["target"], job["size"], job["names"], job["begin"])

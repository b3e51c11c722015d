"""Experts asked in another dialect than chat: where their servers take it, and how its answers are read.

Bytes go there as the client sent them but for the model's name, and come back as they are; what we read of them is
what was said, what it used, and whether it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.base import CHAT, Chunk, ExpertError, Request
from experts.card import Price, Usage
from experts.openai_answer import FIRST, NONE, Progress, count
from experts.openai_errors import broken, of_payload

PATHS = {CHAT: "/chat/completions", "responses": "/responses", "messages": "/messages", "completions": "/completions"}
"""Below the URL of a server, by dialect."""

ANTHROPIC_VERSION = "2023-06-01"


def dialect(request: Request, spoken: frozenset[str]) -> str:
    """What an expert that speaks so is asked in: the client's own dialect if it can be."""
    return request.dialect if request.native is not None and request.dialect in spoken else CHAT


def body(request: Request, served: str) -> dict[str, Any]:
    """The client's own body with the server's name for the model."""
    native = {**(request.native or {}), "model": served}
    if bool(native.get("stream")) != request.stream:
        native["stream"] = request.stream
    return native


def headers(spoken: str, given: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request in a dialect: Anthropic's servers want the key, and a version, in their own way."""
    if spoken != "messages":
        return dict(given)
    scheme, _, key = given.get("authorization", "").partition(" ")
    own = {"anthropic-version": ANTHROPIC_VERSION, **({"x-api-key": key} if scheme == "Bearer" else {})}
    return {**own, **given}


class Reading(Progress):
    """How far an answer in another dialect has come."""

    DIALECT = CHAT

    def __init__(self, price: Price) -> None:
        super().__init__(price)
        self.usage: Usage | None = None
        self.over = False

    def take(self, payload: dict[str, Any], data: bytes) -> Chunk:
        """The chunk of one event. Raises ExpertError."""
        if not self.begun:
            self.begun = True
            self._open = FIRST
        delta, reason = self.read(payload)
        return self.chunk(delta, reason, data)

    def chunk(self, delta: dict[str, Any], reason: str | None, data: bytes) -> Chunk:
        """A chunk; the last one carries usage and cost."""
        if not self.over:
            return Chunk(delta, None, None, None, data, self.DIALECT)
        self._open, self._finished = NONE, FIRST
        self._usage, self._told = self.usage, True
        return Chunk(delta, reason, self.usage, self.cost(self.usage), data, self.DIALECT)

    def read(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """What an event adds to the message, and why the answer ended if it did. Raises ExpertError."""
        raise AssertionError("each dialect reads its own")

    def message(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """A whole answer as a message of chat, and why it ended. Raises ExpertError."""
        raise AssertionError("each dialect reads its own")

    def answer(self, payload: dict[str, Any], data: bytes) -> Chunk:
        """The one chunk of a plain answer. Raises ExpertError if it is none."""
        message, reason = self.message(payload)
        self.begun = self.over = True
        return self.chunk(message, reason, data)


def call_delta(index: int, arguments: str, **about: Any) -> dict[str, Any]:
    """A piece of a call as chat has it."""
    name = about.pop("name", None)
    function = {"arguments": arguments, **({} if name is None else {"name": name})}
    return {"tool_calls": [{"index": index, **about, "function": function}]}


def refused(error: Any) -> ExpertError:
    """What the error inside an answer means."""
    return of_payload({"error": error}) or broken("it failed and does not say why")


def place_of(payload: Mapping[str, Any], name: str) -> int:
    """The index that an event names."""
    return count(payload.get(name)) or 0


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, if it is one."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

"""Hears what a gateway under test sends on every connection, whoever asks and however, and checks each answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httptools

from gateway.protocol import Connection
from gateway.turn import Turn
from tests.gateway.strict import Heard, complaints

MOST = 4 * 1024 * 1024
"""Bytes of a connection that are looked at."""


@dataclass
class Sent:
    """One answer as it went out."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    whole: bool = False


class Tap:
    """A transport that keeps what is written."""

    def __init__(self, transport: Any) -> None:
        self.transport, self.sent, self.size = transport, [], 0  # type: Any, list[bytes], int

    def write(self, data: Any) -> None:
        if self.size < MOST:
            self.sent.append(bytes(data))
        self.size += len(data)
        self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class Answers:
    """Reads answers out of what a connection was sent."""

    def __init__(self, sent: bytes) -> None:
        self.found: list[Sent] = []
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(sent)

    def on_message_begin(self) -> None:
        self.found.append(Sent())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found[-1].headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.found[-1].status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.found[-1].parts.append(body)

    def on_message_complete(self) -> None:
        self.found[-1].whole = True


class Watched(Connection):
    """A connection whose answers are checked when it ends."""

    wrong: list[str]
    """What was found, of all connections of one gateway."""
    document: Mapping[str, Any]
    """What the gateway serves of itself."""

    def connection_made(self, transport: Any) -> None:
        self.tap, self.asked = Tap(transport), []  # type: Tap, list[tuple[str, str]]
        super().connection_made(self.tap)  # type: ignore[arg-type] # it does what a transport does

    def over(self, turn: Turn) -> None:
        self.asked.append((turn.head.method, turn.head.route))
        super().over(turn)

    def connection_lost(self, exc: Exception | None) -> None:
        turn = self.turn
        super().connection_lost(exc)
        if turn is not None:
            self.asked.append((turn.head.method, turn.head.route))
        if self.tap.size <= MOST:
            self.wrong += check(b"".join(self.tap.sent), self.asked, self.document)


def check(sent: bytes, asked: list[tuple[str, str]], document: Mapping[str, Any]) -> list[str]:
    """What is wrong with what a connection was sent; `asked` are methods and routes of its requests."""
    wrong: list[str] = []
    for place, each in enumerate(each for each in Answers(sent).found if each.status != 100):
        method, route = asked[place] if place < len(asked) else ("", "")
        heard = Heard(method, route, each.status, each.headers, b"".join(each.parts), each.whole)
        wrong += complaints(heard, document)
    return wrong

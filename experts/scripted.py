"""An expert whose answers are written down or computed: the double for tests, demonstrations and replay."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal, Protocol

import orjson

from experts.base import (
    BrokenOff,
    Chunk,
    Declined,
    ExpertError,
    Rejected,
    Request,
    SetupError,
    Unavailable,
    text,
)
from experts.card import Card, Usage
from experts.continuation import prefilled
from experts.reading import Message

BLANK = Card()
FAULTS: Mapping[str, type[ExpertError]] = {kind.reason: kind for kind in (Unavailable, Rejected, Declined, BrokenOff)}
WORD = re.compile(r"\s*\S+|\s+$")


class Responder(Protocol):
    """Computes an answer: its text, or a whole message. May raise ExpertError."""

    def __call__(self, request: Request, /) -> str | Message: ...


@dataclass(slots=True, eq=False)
class Scripted:
    """Answers with one text, with the text recorded for the prompt (`Declined` if there is none), or with what a
    function computes; a request that streams gets it word by word.

    `fail` is raised instead, before the first chunk or after as many chunks as its `about["after"]` says.
    What another began it continues if its own answer begins so, word for word, and `continues` is true.
    `seconds` pass before the first chunk. `cost` is nano-dollars; without it the card's price of the words counts.
    """

    name: str
    card: Card = BLANK
    _: KW_ONLY
    answer: str | Mapping[str, str] | Responder = "..."
    fail: ExpertError | None = None
    seconds: float = 0.0
    cost: int | None = None
    continues: bool = False

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        after = self.fail.about.get("after", 0) if self.fail else None
        if after != 0:
            for count, chunk in enumerate(self._chunks(request)):
                if count == after:
                    break
                yield chunk
                await asyncio.sleep(0)
        if self.fail:
            raise type(self.fail)(str(self.fail), **self.fail.about)

    def continuation(self, request: Request, said: str) -> Request | None:
        """The request for the rest of an answer that broke off after `said`."""
        return prefilled(request, said, "prefill") if self.continues else None

    def _chunks(self, request: Request) -> list[Chunk]:
        message = self._message(request)
        usage = Usage(_words(request.messages), _words([message]))
        cost = self.card.price.tokens(usage) if self.cost is None else self.cost
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        if not request.stream:
            return [Chunk(message, reason, usage, cost)]
        return [*map(Chunk, _deltas(message)), Chunk({}, reason, usage, cost)]

    def _message(self, request: Request) -> Message:
        answer = self.answer
        if isinstance(answer, Mapping):
            if request.prompt not in answer:
                raise Declined("no answer is recorded for this prompt")
            answer = answer[request.prompt]
        said = answer if isinstance(answer, str) else answer(request)
        if not isinstance(said, str):
            return said
        last = request.messages[-1] if request.messages else {}
        begun = text(last.get("content")) if self.continues and last.get("role") == "assistant" else ""
        return {"role": "assistant", "content": said.removeprefix(begun)}


def recorded(name: str, card: Card = BLANK, *, file: str, seconds: float = 0.0, cost: int | None = None) -> Scripted:
    """Answers from a JSONL file of {"prompt", "answer"}. Raises SetupError."""
    return Scripted(name, card, answer=_read(Path(file), name), seconds=seconds, cost=cost)


def faulty(
    name: str,
    card: Card = BLANK,
    *,
    reason: Literal["unavailable", "rejected", "declined", "broken_off"] = "unavailable",
    after: int = 0,
    answer: str = "...",
) -> Scripted:
    """Fails with the error of that `reason` after as many chunks."""
    return Scripted(name, card, answer=answer, fail=FAULTS[reason]("this expert fails by design", after=after))


def _read(path: Path, name: str) -> dict[str, str]:
    try:
        rows = [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]
        return {str(row["prompt"]): str(row["answer"]) for row in rows}
    except OSError as error:
        raise SetupError(f"experts.{name}.file: cannot read {path.name}: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SetupError(f'experts.{name}.file: each line of {path.name} is a {{"prompt", "answer"}} object') from error


def _deltas(message: Message) -> list[Message]:
    content = text(message.get("content"))
    rest = {key: value for key, value in message.items() if key != "content"}
    return [{**rest, "content": ""}, *({"content": word} for word in WORD.findall(content))]


def _words(messages: list[Message] | tuple[Message, ...]) -> int:
    return sum(len(text(message.get("content")).split()) for message in messages)

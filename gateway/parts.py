"""An answer in chat's deltas as the parts that other dialects tell one after the other: thoughts, texts, calls."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from experts.base import BrokenOff
from gateway.custom import Unwrapped

Kind = Literal["thought", "text", "refusal", "call", "custom"]


@dataclass(slots=True, eq=False)
class Part:
    """One of them. A call has the id and the name of what is called; its text is the arguments, or what a free-form
    tool is given, which is `wrapped` in them."""

    kind: Kind
    place: int
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    wrapped: Unwrapped | None = None

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.pieces)

    @property
    def arguments(self) -> str:
        """Those of a call, as the expert wrote them."""
        return self.text if self.wrapped is None else self.wrapped.raw


class Step(NamedTuple):
    """A part opens, grows by a piece, or closes."""

    what: Literal["open", "more", "close"]
    part: Part
    piece: str = ""
    logprobs: tuple[Any, ...] = ()


class Parts:
    """Puts deltas in order: one part is open at a time. Calls that a server streams side by side wait for the one
    before them, whose arguments are over when they are whole JSON."""

    def __init__(self, custom: Container[str] = ()) -> None:
        """`custom` are the names of free-form tools."""
        self.custom = custom
        self.all: list[Part] = []
        self.open: Part | None = None
        self.index: int | None = None
        """The index of the open call."""
        self.over: set[int] = set()
        self.waiting: list[tuple[int, Mapping[str, Any]]] = []

    def take(self, delta: Mapping[str, Any], logprobs: tuple[Any, ...] = ()) -> Iterator[Step]:
        """What a delta brings; a whole message is one large delta. Raises BrokenOff for calls that make no sense."""
        yield from self._grow("thought", delta.get("reasoning_content") or delta.get("reasoning"))
        yield from self._grow("text", delta.get("content"), logprobs)
        yield from self._grow("refusal", delta.get("refusal"))
        for place, call in enumerate(delta.get("tool_calls") or ()):
            self.waiting.append((call.get("index", place), call))
        if self.waiting:
            yield from self._calls(False)

    def end(self, cut: bool = False) -> Iterator[Step]:
        """What is still open closes; whether the answer was `cut` by its cap. Raises as `take` does."""
        yield from self._calls(True)
        yield from self._close(cut)

    def _grow(self, kind: Kind, piece: Any, logprobs: tuple[Any, ...] = ()) -> Iterator[Step]:
        if not isinstance(piece, str) or not piece:
            return
        if self.open is None or self.open.kind != kind:
            yield from self._calls(True)
            yield from self._begin(Part(kind, len(self.all)))
        assert self.open is not None
        self.open.logprobs += logprobs
        yield from self._more(self.open, piece, logprobs)

    def _argue(self, arguments: Any) -> Iterator[Step]:
        part = self.open
        if part is not None and isinstance(arguments, str) and arguments:
            yield from self._more(part, arguments if part.wrapped is None else part.wrapped.take(arguments))

    def _more(self, part: Part, piece: str, logprobs: tuple[Any, ...] = ()) -> Iterator[Step]:
        if piece:
            part.pieces.append(piece)
            yield Step("more", part, piece, logprobs)

    def _calls(self, all_of_them: bool) -> Iterator[Step]:
        while self.waiting:
            mine = [call for index, call in self.waiting if index == self.index]
            self.waiting = [(index, call) for index, call in self.waiting if index != self.index]
            for call in mine:
                yield from self._argue(_function(call).get("arguments"))
            if not self.waiting:
                return
            if self.index is not None and not all_of_them and not _whole(self.open):
                return
            index, call = self.waiting[0]
            if index in self.over:
                raise BrokenOff("the expert went on with a tool call that was over")
            place = len(self.all)
            name = str(_function(call).get("name") or "")
            yield from self._begin(self._call(place, str(call.get("id") or f"call_{place}"), name))
            self.index = index
            self.over.add(index)

    def _call(self, place: int, call_id: str, name: str) -> Part:
        if name in self.custom:
            return Part("custom", place, call_id, name, wrapped=Unwrapped())
        return Part("call", place, call_id, name)

    def _begin(self, part: Part) -> Iterator[Step]:
        yield from self._close()
        self.all.append(part)
        self.open = part
        yield Step("open", part)

    def _close(self, cut: bool = False) -> Iterator[Step]:
        if self.open is not None:
            if self.open.wrapped is not None:
                yield from self._more(self.open, self.open.wrapped.end(cut))
            yield Step("close", self.open)
        self.open = self.index = None


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else {}


def _whole(part: Part | None) -> bool:
    try:
        orjson.loads(part.arguments if part is not None else "")
    except orjson.JSONDecodeError:
        return False
    return True

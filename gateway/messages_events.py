"""Writes answers in the dialect of /v1/messages: whole, or as the protocol's events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from experts import sse
from experts.base import BrokenOff, Chunk, Request
from experts.card import Usage
from gateway.errors import APIError
from gateway.marks import marked, spent
from gateway.messages import DIALECT
from gateway.messages_errors import PREFIX, formed
from gateway.parts import Part, Parts, Step
from gateway.responses_events import CUT, named

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
DELTAS = {
    "thought": ("thinking_delta", "thinking"),
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "call": ("input_json_delta", "partial_json"),
}
Event = dict[str, Any]


class Writer:
    """One answer on its way to a client of the dialect."""

    def __init__(self, request: Request, model: str, tokens: int) -> None:
        """`tokens` is a low guess of the prompt's length: the first event must name one; the last tells the truth."""
        self.request, self.model, self.tokens = request, model, tokens
        self.parts = Parts()
        self.begun = self.native = self.over = False
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.matched: str | None = None

    def whole(self, chunk: Chunk, counted: Usage | None) -> bytes:
        """One JSON body. Raises BrokenOff for what is no whole answer."""
        if chunk.dialect == DIALECT and chunk.data is not None:
            return orjson.dumps({**orjson.loads(chunk.data), "model": self.model})
        for _ in (*self._steps(chunk), *self.parts.end()):
            pass
        self.usage = counted or self.usage
        content = [block(part) for part in self.parts.all]
        return orjson.dumps({**self._message(), "content": content, **self._stop(), "usage": self._usage()})

    def of(self, chunk: Chunk) -> bytes:
        """The events of a chunk."""
        if chunk.dialect == DIALECT and chunk.data is not None:
            return self._foreign(chunk.data)
        return self._encoded([*self._begin(), *marked(self._steps(chunk), chunk)])

    def end(self, counted: Usage | None, cost: int) -> bytes:
        """The last events; `counted` is the usage as we know it, `cost` nano-dollars. Raises BrokenOff if the
        answer was cut."""
        if self.native:
            if not self.over:
                raise BrokenOff("the expert's answer has no end")
            return b""
        self.usage = counted or self.usage
        events = [*self._begin(), *(event for step in self.parts.end() for event in told(step))]
        last = {"type": "message_delta", "delta": self._stop(), "usage": self._usage(), **spent(cost)}
        return self._encoded([*events, last, {"type": "message_stop"}])

    def broken(self, error: APIError) -> bytes:
        """The event of an answer that failed; no message_stop follows it."""
        return formed(error, PREFIX, self.request.id).event()

    def _begin(self) -> list[Event]:
        if self.begun:
            return []
        self.begun = True
        usage = {**self._usage(), "output_tokens": 0}
        return [{"type": "message_start", "message": {**self._message(), "usage": usage}}, {"type": "ping"}]

    def _message(self) -> dict[str, Any]:
        return {
            "id": f"msg_{self.request.id}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _steps(self, chunk: Chunk) -> Iterator[Event]:
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        if chunk.finish_reason == "stop" and self.request.options.get("stop"):
            self.matched = _matched(chunk, self.request.options["stop"])
        for step in self.parts.take(chunk.delta):
            yield from told(step)

    def _stop(self) -> dict[str, Any]:
        if self.finish_reason in CUT:
            raise BrokenOff("the expert gave its answer up")
        reason = STOPS.get(str(self.finish_reason), "end_turn")
        if reason == "end_turn":
            kinds = {part.kind for part in self.parts.all}
            reason = "tool_use" if "call" in kinds else "refusal" if "refusal" in kinds else reason
        if reason == "end_turn" and self.matched is not None:
            reason = "stop_sequence"
        return {"stop_reason": reason, "stop_sequence": self.matched if reason == "stop_sequence" else None}

    def _usage(self) -> dict[str, Any]:
        """What was read from a cache is not among the input tokens here."""
        tokens = self.usage or Usage(prompt_tokens=self.tokens)
        cached = min(tokens.cached_tokens or 0, tokens.prompt_tokens or 0)
        return {
            "input_tokens": (tokens.prompt_tokens or 0) - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": tokens.completion_tokens or 0,
        }

    def _foreign(self, data: bytes) -> bytes:
        """The event of an expert of the dialect, byte by byte but for the model's name."""
        event = orjson.loads(data)
        self.native = True
        if event.get("type") == "message":
            self.over = True
            return self._encoded(list(replayed({**event, "model": self.model})))
        self.over = self.over or event.get("type") == "message_stop"
        if isinstance(event.get("message"), dict):
            data = named(data, event["message"].get("model"), self.model)
        return sse.write(data, str(event.get("type", "")).encode())

    def _encoded(self, events: list[Event]) -> bytes:
        return b"".join(sse.write(orjson.dumps(event), event["type"].encode()) for event in events)


def told(step: Step) -> Iterator[Event]:
    """The events of a step."""
    at = {"index": step.part.place}
    match step.what:
        case "open":
            yield {"type": "content_block_start", **at, "content_block": opened(step.part)}
        case "more":
            kind, name = DELTAS[step.part.kind]
            yield {"type": "content_block_delta", **at, "delta": {"type": kind, name: step.piece}}
        case "close":
            yield {"type": "content_block_stop", **at}


def opened(part: Part) -> dict[str, Any]:
    """A block before there is anything in it."""
    match part.kind:
        case "thought":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "call":
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
    return {"type": "text", "text": "", "citations": None}


def block(part: Part) -> dict[str, Any]:
    """A whole block. Raises BrokenOff for a call whose arguments are no object."""
    match part.kind:
        case "thought":
            return {**opened(part), "thinking": part.text}
        case "call":
            return {**opened(part), "input": _input(part.text)}
    return {**opened(part), "text": part.text}


def _input(arguments: str) -> dict[str, Any]:
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise BrokenOff("the expert called a tool with what is no JSON object")
    return value


def _matched(chunk: Chunk, stops: Any) -> str | None:
    """The sequence that ended an answer, where the server tells it: SGLang and vLLM do."""
    choices = orjson.loads(chunk.data).get("choices") if chunk.data is not None else None
    choice: Mapping[str, Any] = choices[0] if choices else {}
    told = choice.get("matched_stop") or choice.get("stop_reason")
    return told if isinstance(told, str) and told in (stops if isinstance(stops, list) else [stops]) else None


def replayed(message: dict[str, Any]) -> Iterator[Event]:
    """The events of an answer that came whole."""
    usage = message.get("usage") or {}
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**start, "usage": {**usage, "output_tokens": 0}}}
    for place, each in enumerate(message.get("content") or []):
        at = {"index": place}
        empty, delta = _split(each)
        yield {"type": "content_block_start", **at, "content_block": empty}
        if delta is not None:
            yield {"type": "content_block_delta", **at, "delta": delta}
        yield {"type": "content_block_stop", **at}
    stop = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": stop, "usage": usage}
    yield {"type": "message_stop"}


def _split(whole: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """A block as its beginning and the delta that completes it; unknown ones are all beginning."""
    match whole.get("type"):
        case "text":
            return {**whole, "text": ""}, {"type": "text_delta", "text": whole.get("text", "")}
        case "thinking":
            return {**whole, "thinking": ""}, {"type": "thinking_delta", "thinking": whole.get("thinking", "")}
        case "tool_use":
            arguments = orjson.dumps(whole.get("input") or {}).decode()
            return {**whole, "input": {}}, {"type": "input_json_delta", "partial_json": arguments}
    return whole, None

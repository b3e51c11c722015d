"""Reads answers of servers in the dialect of /v1/messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from experts.card import Price, Usage
from experts.native import Reading, call_delta, objects, place_of
from experts.openai_answer import count
from experts.openai_errors import broken

STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
PLAIN = ("text", "thinking", "redacted_thinking")


class MessagesReading(Reading):
    """How far an answer has come."""

    DIALECT = "messages"

    def __init__(self, price: Price) -> None:
        super().__init__(price)
        self.counts: dict[str, Any] = {}
        self.reason: str | None = None

    def read(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        match payload.get("type"):
            case "message_start":
                self.note(_object(payload.get("message")).get("usage"))
            case "content_block_start":
                return begun(payload), None
            case "content_block_delta":
                return said(payload), None
            case "message_delta":
                self.note(payload.get("usage"))
                self.reason = _object(payload.get("delta")).get("stop_reason") or self.reason
            case "message_stop" if self.reason is not None:
                self.over = True
                return {}, STOPS.get(self.reason, "stop")
        return {}, None

    def note(self, usage: Any) -> None:
        """Later counts replace earlier ones: they are sums."""
        self.counts |= {key: value for key, value in _object(usage).items() if value is not None}
        self.usage = usage_of(self.counts)

    def message(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        reason = payload.get("stop_reason")
        if payload.get("type") != "message" or reason is None:
            raise broken("it answered 200 without a message")
        self.note(payload.get("usage"))
        return message_of(objects(payload.get("content"))), STOPS.get(str(reason), "stop")


def begun(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a block that begins says."""
    block = _object(payload.get("content_block"))
    if block.get("type") == "tool_use":
        place = place_of(payload, "index")
        return call_delta(place, "", id=block.get("id"), name=block.get("name"), type="function")
    return {} if block.get("type") in PLAIN else {"activity": block.get("type")}


def said(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a piece of a block says."""
    delta = _object(payload.get("delta"))
    match delta.get("type"):
        case "text_delta":
            return {"content": delta.get("text")}
        case "thinking_delta":
            return {"reasoning_content": delta.get("thinking")}
        case "input_json_delta":
            return call_delta(place_of(payload, "index"), str(delta.get("partial_json", "")))
    return {}


def message_of(content: list[dict[str, Any]]) -> dict[str, Any]:
    """The blocks of an answer as one message of chat."""
    texts = [str(block.get("text", "")) for block in content if block.get("type") == "text"]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    calls = [block for block in content if block.get("type") == "tool_use"]
    if calls:
        message["tool_calls"] = [
            {
                "id": each.get("id"),
                "type": "function",
                "function": {"name": each.get("name"), "arguments": orjson.dumps(each.get("input")).decode()},
            }
            for each in calls
        ]
    return message


def usage_of(value: Mapping[str, Any]) -> Usage:
    """The usage of an answer. What was read from a cache, or written to one, is part of the prompt for us."""
    fresh, read = count(value.get("input_tokens")), count(value.get("cache_read_input_tokens"))
    written = count(value.get("cache_creation_input_tokens"))
    prompt = None if fresh is None else fresh + (read or 0) + (written or 0)
    return Usage(prompt, count(value.get("output_tokens")), read, written_tokens=written)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

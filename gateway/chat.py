"""The dialect of /v1/chat/completions: bytes to a Request, chunks to JSON or server-sent events."""

from __future__ import annotations

import re
from typing import Any

import orjson
from msgspec import ValidationError, convert
from orjson import dumps, loads

from experts import sse
from experts.base import Body, Chunk, Request
from experts.card import Usage
from gateway.body import checked, no_json, once
from gateway.errors import APIError
from gateway.frames import framed, note
from gateway.usual import Plain, usual

NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
"""Ranges of the OpenAI API reference; everything else is the expert's to judge."""

COUNTS = ("max_tokens", "max_completion_tokens", "n")
TYPES: dict[str, tuple[type, str]] = {
    "stream": (bool, "a boolean"),
    "stream_options": (dict, "an object"),
    "tools": (list, "a list"),
}
MOST_COUNTED = 10_000_000
CHECKED = frozenset((*TYPES, *NUMBERS, *COUNTS))


def parse(body: bytes, request_id: str) -> Request:
    """The request of a body. Raises APIError with the `param` at fault."""
    return framed(body, request_id) or parsed(body, request_id)


def parsed(body: bytes, request_id: str) -> Request:
    """The same of a body whose frame is not known."""
    try:
        fields = loads(body)
    except orjson.JSONDecodeError as error:
        raise no_json(error) from None
    plain = quick = True
    try:
        convert(fields, Plain)
    except ValidationError:
        plain, quick = False, usual(fields, len(body))
        if not quick:
            careful(fields, body)
    again = dumps(fields)
    if again != body:
        once(body, again)
    if quick:
        note(body, fields, again, plain)
    messages, model = tuple(fields.pop("messages")), fields.pop("model")
    return Request(messages, fields, model, request_id, body=Body(body, messages, fields, len(again), plain))


def careful(fields: Any, body: bytes) -> None:
    """Looks at what is not of the usual shape, or has what must be refused: this is what decides. Raises APIError."""
    checked(fields, body)
    _check_messages(fields.get("messages"))
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise APIError(wrong(model), "model must be a non-empty string.", "model")
    _check_options(fields)


def wrong(value: Any) -> str:
    """The code of an error about a value that is missing, or of another type than it should be."""
    return "missing_required_parameter" if value is None else "invalid_type"


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list):
        raise APIError(wrong(messages), "messages must be a list of objects.", "messages")
    if not messages:
        raise APIError("invalid_value", "messages must not be empty.", "messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or type(message.get("role")) is not str or message.get("content") is None:
            _check_message(message, f"messages[{index}]")
        elif type(message["content"]) not in CONTENTS:
            param = f"messages[{index}].content"
            raise APIError("invalid_type", f"{param} must be a string or a list.", param)


CONTENTS = (str, list)


def _check_message(message: Any, param: str) -> None:
    if not isinstance(message, dict):
        raise APIError("invalid_type", f"{param} must be an object.", param)
    if not isinstance(message.get("role"), str):
        raise APIError(wrong(message.get("role")), f"{param}.role must be a string.", f"{param}.role")


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None and name in CHECKED:
            _check_option(name, value)


def _check_option(name: str, value: Any) -> None:
    if name in TYPES:
        kind, what = TYPES[name]
        if not isinstance(value, kind):
            raise APIError("invalid_type", f"{name} must be {what}.", name)
    elif name in NUMBERS:
        check_number(name, value, *NUMBERS[name])
    elif isinstance(value, float):
        raise APIError("invalid_type", f"{name} must be an integer.", name)
    else:
        check_number(name, value, 1, MOST_COUNTED)


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raises APIError for what is no number in the range; `None` is none at all."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise APIError("invalid_type", f"{name} must be a number.", name)
    if not low <= value <= high:
        raise APIError("invalid_value", f"{name} must be between {low:,} and {high:,}.", name)


def wants_usage(request: Request) -> bool:
    """Whether the client asked for the usage event of a stream."""
    options = request.options.get("stream_options") or {}
    return bool(options.get("include_usage"))


def whole(chunk: Chunk, request_id: str, model: str, created: int) -> bytes:
    """A `chat.completion` object: the expert's own bytes with the model's name, or one made of the chunk."""
    if chunk.data is not None:
        return renamed(chunk.data, model)
    choice = {"index": 0, "message": _message(chunk), "finish_reason": chunk.finish_reason, "logprobs": None}
    return orjson.dumps(
        {
            "id": _id(request_id),
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": usage(chunk.usage),
        }
    )


MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')
"""Inside a JSON string a quotation mark is escaped, so this can only be a key and its value."""


def renamed(data: bytes, model: str) -> bytes:
    """A JSON object with another `model`, every other byte as it was, where there is but one such key."""
    alone = data.count(KEY) == 1
    if alone and model in NAMES:
        theirs, ours = NAMES[model]
        out = data.replace(theirs, ours, 1)
        if out != data or theirs == ours and theirs in data:
            return out
    if not (alone and (named := MODEL.search(data))):
        return orjson.dumps({**orjson.loads(data), "model": model})
    theirs, ours = named.group(), b'"model":' + orjson.dumps(model)
    if len(NAMES) >= MOST_NAMES:
        NAMES.clear()
    if len(theirs) <= LONGEST_NAME:
        NAMES[model] = theirs, ours
    return data.replace(theirs, ours, 1)


KEY = b'"model"'
NAMES: dict[str, tuple[bytes, bytes]] = {}
"""How the answers that got this name wrote theirs the last time, and what was written instead."""
MOST_NAMES, LONGEST_NAME = 1024, 256


def money(nano: int) -> bytes:
    """Nano-dollars as exact decimal dollars."""
    return b"%d.%09d" % divmod(nano, 1_000_000_000)


def _message(chunk: Chunk) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "refusal": None, **chunk.delta}


def usage(tokens: Usage | None) -> dict[str, Any] | None:
    """OpenAI's usage object; `None` when nothing is known."""
    if tokens is None:
        return None
    prompt, completion = tokens.prompt_tokens or 0, tokens.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens or 0},
    }


class Events:
    """Turns chunks into server-sent events: the model's name on each, usage only for a client that asked for it."""

    first = theirs = ours = b""
    """The expert's first event; how it writes its name, and what stands there instead."""
    usage: Usage | None = None
    sent_usage = False
    owed = b""
    """The event with the usage alone: it waits for the end, when the cost is known."""

    def __init__(self, request: Request, model: str, created: int) -> None:
        self.wants_usage = "stream_options" in request.options and wants_usage(request)
        self.id, self.model, self.created = request.id, model, created

    def of(self, chunk: Chunk) -> bytes:
        """The event of a chunk; empty when the client is to see nothing of it."""
        data, told = chunk.data, chunk.usage
        if told is not None:
            self.usage, self.owed = told, b""
        if data is None:
            data = self._own(chunk)
        else:  # the expert's own bytes, but for the name and the usage that only we asked for
            if not self.theirs:
                data = self._first(data)
            elif self.theirs != self.ours:
                data = data.replace(self.theirs, self.ours, 1)
            if self.wants_usage:
                if told is not None and not chunk.delta and chunk.finish_reason is None:
                    self.owed = data
                    return b""
                self.sent_usage = self.sent_usage or (told is not None and data.find(b'"usage"') >= 0)
            elif data.find(b'"usage"') >= 0:
                data = _without_usage(chunk, data)
        return b"data: " + data + b"\n\n" if data else b""

    def _first(self, data: bytes) -> bytes:
        """Learns how the expert writes its name; an answer given whole becomes one delta."""
        self.first = data
        if data.find(b'"chat.completion"') >= 0 or data.find(b"\\") >= 0:
            event: dict[str, Any] = orjson.loads(data)
            if event.get("object") == "chat.completion":
                choices = [_as_delta(choice) for choice in event.get("choices", [])]
                data = orjson.dumps({**event, "object": "chat.completion.chunk", "choices": choices})
        out = renamed(data, self.model)
        names = NAMES.get(self.model)
        if names is not None and data.count(KEY) == 1 and data.find(names[0]) >= 0:
            self.theirs, self.ours = names
        return out

    def head(self) -> dict[str, Any]:
        """What events of our own begin with: as the expert's do."""
        event = orjson.loads(self.first) if self.first else {}
        told = {key: event[key] for key in ("id", "created") if key in event}
        head = {"id": _id(self.id), "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return {**head, **told}

    def _own(self, chunk: Chunk) -> bytes:
        if not chunk.delta and chunk.finish_reason is None:
            return b""
        choice = {"index": 0, "delta": dict(chunk.delta), "finish_reason": chunk.finish_reason, "logprobs": None}
        mark = {"lyceum": {"continued_by": chunk.continued_by}} if chunk.continued_by else {}
        return orjson.dumps({**self.head(), "choices": [choice], **mark})

    def end(self, cost: int, counted: Usage | None) -> bytes:
        """The usage event if it is still owed, with the cost in nano-dollars, then the end of the stream. `counted` is
        our own count, for an expert that told none."""
        tokens = self.usage or counted
        if not self.wants_usage or tokens is None or (self.sent_usage and not self.owed):
            return sse.DONE
        data = self.owed or orjson.dumps({**self.head(), "choices": [], "usage": usage(tokens)})
        told = b'"lyceum":{"cost":%b}}' % money(cost)
        return b"data: %b,%b\n\n" % (data.rstrip().removesuffix(b"}"), told) + sse.DONE


def _without_usage(chunk: Chunk, data: bytes) -> bytes:
    """An event without its usage; empty if it was there for nothing else."""
    if not chunk.delta and data.find(b'"choices":[]') >= 0 and data.count(b'"choices"') == 1:
        return b""
    event = orjson.loads(data)
    event.pop("usage", None)
    return orjson.dumps(event) if event.get("choices") else b""


def _as_delta(choice: dict[str, Any]) -> dict[str, Any]:
    """A whole choice as the one delta of a stream; tool calls get the index that deltas need."""
    rest = {key: value for key, value in choice.items() if key != "message"}
    message = dict(choice.get("message") or {})
    if message.get("tool_calls"):
        message["tool_calls"] = [{"index": i, **call} for i, call in enumerate(message["tool_calls"])]
    return {**rest, "delta": message}


def _id(request_id: str) -> str:
    return "chatcmpl-" + request_id

"""The dialect of /v1/completions: a prompt goes on as it came to experts of the dialect; a chat expert is asked with
one plain prompt as the one turn of a user, and what chat cannot say is refused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from experts import sse
from experts.base import Chunk, Request
from experts.card import Usage
from experts.catalog import CHARACTERS_PER_TOKEN
from gateway.body import parsed
from gateway.chat import COUNTS, NUMBERS, check_number, renamed, usage, wants_usage, wrong
from gateway.dialects import begun, respond
from gateway.errors import APIError
from gateway.http import Handler, HTTPCall, Reply
from gateway.marks import spent
from gateway.responses import check_count
from gateway.translation import check_model

if TYPE_CHECKING:
    from gateway.handlers import Door

DIALECT = "completions"
OURS = ("suffix", "echo", "best_of", "logprobs")
"""Fields that chat has no word for, unless they ask for nothing."""
MOST_PROMPTS = 2048

Fields = Mapping[str, Any]


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of the one address."""

    async def handler(call: HTTPCall, reply: Reply) -> None:
        """POST /v1/completions: the text that follows a prompt, whole or as server-sent events."""
        key = door.keys.name(call.headers)
        life = await begun(door, request_of(parsed(call.body), call.id), key, call.headers)

        def make(model: str) -> Writer:
            return Writer(life.request, model, int(time.time()))

        await respond(door, life, reply, make)

    return {("POST", "/v1/completions"): handler}


def request_of(fields: Fields, request_id: str) -> Request:
    """The request of a body's fields. Raises APIError."""
    model = check_model(fields)
    check(fields)
    words = words_of(fields.get("prompt"))
    options = {key: value for key, value in fields.items() if key not in ("model", "prompt", *OURS)}
    return Request(
        ({"role": "user", "content": words},),
        options,
        model,
        request_id,
        dialect=DIALECT,
        native=asking_for_usage(fields),
        untold=untold(fields),
    )


def check(fields: Fields) -> None:
    """Raises APIError for what is wrong in any expert's eyes."""
    for name, kind, what in (("stream", bool, "a boolean"), ("stream_options", dict, "an object")):
        if not isinstance(fields.get(name), kind | None):
            raise APIError("invalid_type", f"{name} must be {what}.", name)
    for name, (low, high) in NUMBERS.items():
        check_number(name, fields.get(name), low, high)
    for name in ("n", "best_of", *COUNTS):
        if name != "max_tokens" or fields.get(name) != 0:  # 0 asks for the log-probabilities of the prompt alone
            check_count(fields.get(name), name)


def words_of(prompt: Any) -> str:
    """The prompt to route on. Raises APIError for what is none."""
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list):
        raise APIError(wrong(prompt), "prompt must be a string, a list of strings, or tokens.", "prompt")
    if not prompt or len(prompt) > MOST_PROMPTS and not tokens(prompt):
        raise APIError("invalid_value", f"prompt must hold 1 to {MOST_PROMPTS} prompts.", "prompt")
    if all(isinstance(each, str) for each in prompt):
        return "\n".join(prompt)
    lists = [prompt] if tokens(prompt) else prompt
    if not all(isinstance(each, list) and tokens(each) for each in lists):
        raise APIError("invalid_type", "prompt must be a string, a list of strings, or tokens.", "prompt")
    return " " * (
        CHARACTERS_PER_TOKEN * sum(map(len, lists))
    )  # as long, so that it is counted; what it says is unknown


def tokens(value: list[Any]) -> bool:
    """Whether a list is one of tokens."""
    return all(type(each) is int for each in value)


def untold(fields: Fields) -> str:
    """The first field that chat cannot say; empty if there is none."""
    prompt = fields["prompt"]
    if not isinstance(prompt, str) and not (len(prompt) == 1 and isinstance(prompt[0], str)):
        return "prompt"
    nothing = {"suffix": (None, ""), "echo": (None, False), "best_of": (None, 1), "logprobs": (None,)}
    return next((name for name, usual in nothing.items() if fields.get(name) not in usual), "")


def asking_for_usage(fields: Fields) -> Fields:
    """The body for an expert of the dialect: a stream tells its usage, whether the client wants it or not."""
    if not fields.get("stream"):
        return fields
    return {**fields, "stream_options": {**(fields.get("stream_options") or {}), "include_usage": True}}


class Writer:
    """One answer on its way to a client of the dialect."""

    def __init__(self, request: Request, model: str, created: int) -> None:
        self.wants_usage, self.model = wants_usage(request), model
        self.head = {"id": f"cmpl-{request.id}", "object": "text_completion", "created": created, "model": model}
        self.usage: Usage | None = None
        self.told = False

    def whole(self, chunk: Chunk, counted: Usage | None) -> bytes:
        """One JSON body."""
        if chunk.data is not None and chunk.dialect == DIALECT:
            return renamed(chunk.data, self.model)
        payload = orjson.loads(chunk.data) if chunk.data else {}
        choices = payload.get("choices") or [{"message": dict(chunk.delta), "finish_reason": chunk.finish_reason}]
        told = payload.get("usage") or usage(chunk.usage or counted)
        return orjson.dumps({**self.head, "choices": [said(each, "message") for each in choices], "usage": told})

    def of(self, chunk: Chunk) -> bytes:
        """The event of a chunk; empty when the client is to see nothing of it."""
        self.usage = chunk.usage or self.usage
        if chunk.data is not None and chunk.dialect == DIALECT:
            return self._foreign(orjson.loads(chunk.data))
        if chunk.data is None:
            choices = [said({"delta": dict(chunk.delta), "finish_reason": chunk.finish_reason}, "delta")]
        else:
            choices = [said(each, part) for part, each in parts(orjson.loads(chunk.data))]
        choices = [each for each in choices if each["text"] or each["finish_reason"]]
        return sse.write(orjson.dumps({**self.head, "choices": choices})) if choices else b""

    def _foreign(self, payload: dict[str, Any]) -> bytes:
        """The expert's own event, but for the name and the usage that only we asked for."""
        payload["model"] = self.model
        if not self.wants_usage:
            payload.pop("usage", None)
        elif payload.get("usage"):
            self.told = True
        return sse.write(orjson.dumps(payload)) if payload.get("choices") or payload.get("usage") else b""

    def end(self, counted: Usage | None, cost: int) -> bytes:
        """The usage event if it is still owed, with the cost in dollars, then the end of the stream."""
        told = usage(self.usage or counted)
        if not self.wants_usage or self.told or told is None:
            return sse.DONE
        return sse.write(orjson.dumps({**self.head, "choices": [], "usage": told, **spent(cost)})) + sse.DONE

    def broken(self, error: APIError) -> bytes:
        """The last event of an answer that was cut: no [DONE] follows it."""
        return error.event()


def parts(payload: Fields) -> list[tuple[str, Fields]]:
    """The choices of a chat completion or of one of its chunks, each with the name of what it says."""
    choices = payload.get("choices") or []
    return [("message" if "message" in each else "delta", each) for each in choices]


def said(choice: Fields, part: str) -> dict[str, Any]:
    """A choice of chat as one of text."""
    text = (choice.get(part) or {}).get("content")
    reason = choice.get("finish_reason")
    return {
        "text": text if isinstance(text, str) else "",
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": reason if reason in ("stop", "length", "content_filter", None) else "stop",
    }

"""Writes answers in the dialect of /v1/responses: whole, or as the protocol's events, numbered in their order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from experts import sse
from experts.base import BrokenOff, Chunk, Request
from experts.card import Usage
from gateway.errors import APIError
from gateway.marks import marked, spent
from gateway.parts import Part, Parts, Step
from gateway.responses import DIALECT, Fields, called, wants_logprobs
from gateway.responses_object import CALLS, content_of, echoed, ending, item, name_of, usage

CUT = ("abort", "error")
"""What servers call the end of an answer that they gave up."""

DELTAS = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "thought": "response.reasoning_text",
    "call": "response.function_call_arguments",
    "custom": "response.custom_tool_call_input",
}
WORDS = {"text": "text", "refusal": "refusal", "thought": "text", "call": "arguments", "custom": "input"}
"""What the event that a part is done calls its whole text."""

ITEMS = {"function_call": "call", "custom_tool_call": "custom"}

Event = dict[str, Any]


class Writer:
    """One answer on its way to a client of the dialect."""

    def __init__(self, request: Request, fields: Fields, model: str, stored: bool) -> None:
        """`fields` are those of the client's body, which the answer repeats."""
        self.request, self.model = request, model
        self.offers, self.wants_logprobs = called(request.native or fields), wants_logprobs(fields)
        self.parts = Parts({name for name, offer in self.offers.items() if offer.custom})
        self.number = 0
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.native = False
        """Whether an expert of the dialect answers."""
        self.response: dict[str, Any] = {
            "id": f"resp_{request.id}",
            "object": "response",
            "created_at": int(time.time()),
            "completed_at": None,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "store": stored,
            "usage": None,
            **echoed(fields),
        }
        """The object as it is now; at the end it is the answer."""

    def whole(self, chunk: Chunk, counted: Usage | None) -> bytes:
        """One JSON body. Raises BrokenOff for what is no whole answer."""
        if chunk.dialect == DIALECT and chunk.data is not None:
            self.response = {**orjson.loads(chunk.data), "model": self.model}
            return orjson.dumps(self.response)
        for _ in self._steps(chunk):
            pass
        self._finish(counted)
        return orjson.dumps(self.response)

    def of(self, chunk: Chunk) -> bytes:
        """The events of a chunk."""
        if chunk.dialect == DIALECT and chunk.data is not None:
            return self._foreign(chunk.data)
        begin = [] if self.number else self._begin()
        return self._encoded([*begin, *marked(self._steps(chunk), chunk)])

    def end(self, counted: Usage | None, cost: int) -> bytes:
        """The last events; `counted` is the usage as we know it, `cost` nano-dollars. Raises BrokenOff if the
        answer was cut."""
        if self.native:
            if self.response.get("status") not in ("completed", "incomplete"):
                raise BrokenOff("the expert's answer has no end")
            return b""
        begin = [] if self.number else self._begin()
        closing = self._finish(counted)
        kind = f"response.{self.response['status']}"
        return self._encoded([*begin, *closing, {"type": kind, "response": self.response, **spent(cost)}])

    def broken(self, error: APIError) -> bytes:
        """The event of an answer that failed; it is never said to be complete."""
        code = {429: "rate_limit_exceeded", 400: "invalid_prompt"}.get(error.http_status, "server_error")
        self.response |= {
            "status": "failed",
            "error": {"code": code, "message": str(error)},
            "output": self.response.get("output", []) if self.native else self._items("incomplete"),
        }
        return self._encoded([{"type": "response.failed", "response": self.response, **error.spent()}])

    def _begin(self) -> list[Event]:
        return [{"type": f"response.{name}", "response": dict(self.response)} for name in ("created", "in_progress")]

    def _steps(self, chunk: Chunk) -> Iterator[Event]:
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        logprobs = _logprobs(chunk) if self.wants_logprobs else ()
        for step in self.parts.take(chunk.delta, logprobs):
            yield from self._told(step)

    def _finish(self, counted: Usage | None) -> list[Event]:
        if self.finish_reason in CUT:
            raise BrokenOff("the expert gave its answer up")
        status, why = ending(self.finish_reason)
        closing = [event for step in self.parts.end(status != "completed") for event in self._told(step)]
        self.response |= {
            "status": status,
            "incomplete_details": why,
            "output": self._items("completed" if status == "completed" else "incomplete"),
            "usage": usage(counted or self.usage),
            "completed_at": int(time.time()) if status == "completed" else None,
        }
        return closing

    def _items(self, last: str) -> list[dict[str, Any]]:
        parts = self.parts.all
        return [self._item(part, last if part is parts[-1] else "completed") for part in parts]

    def _item(self, part: Part, status: str) -> dict[str, Any]:
        return item(part, self.request.id, status, self.offers)

    def _told(self, step: Step) -> Iterable[Event]:
        part = step.part
        place = {"output_index": part.place}
        where = {"item_id": name_of(part, self.request.id), **place}
        inside = {**where, "content_index": 0}
        match step.what:
            case "open":
                yield {"type": "response.output_item.added", **place, "item": self._item(part, "in_progress")}
                if part.kind not in CALLS:
                    yield {"type": "response.content_part.added", **inside, "part": content_of(part, "")}
            case "more":
                logprobs = {"logprobs": _without_bytes(step.logprobs)} if part.kind == "text" else {}
                at = where if part.kind in CALLS else inside
                yield {"type": f"{DELTAS[part.kind]}.delta", **at, "delta": step.piece, **logprobs}
            case "close":
                yield from self._closed(part, where, inside)

    def _closed(self, part: Part, where: Mapping[str, Any], inside: Mapping[str, Any]) -> Iterable[Event]:
        at = where if part.kind in CALLS else inside
        logprobs = {"logprobs": _without_bytes(part.logprobs)} if part.kind == "text" else {}
        yield {"type": f"{DELTAS[part.kind]}.done", **at, WORDS[part.kind]: part.text, **logprobs}
        if part.kind not in CALLS:
            yield {"type": "response.content_part.done", **inside, "part": content_of(part)}
        cut = ending(self.finish_reason)[0] == "incomplete" and part is self.parts.all[-1]
        status = "incomplete" if cut else "completed"
        yield {
            "type": "response.output_item.done",
            "output_index": part.place,
            "item": self._item(part, status),
        }

    def _foreign(self, data: bytes) -> bytes:
        """The event of an expert of the dialect, byte by byte but for the model's name."""
        event = orjson.loads(data)
        self.native = True
        if event.get("object") == "response":
            return self._replayed(event)
        response = event.get("response")
        if isinstance(response, dict):
            self.response = {**response, "model": self.model}
            data = named(data, response.get("model"), self.model)
        self.number = int(event.get("sequence_number") or self.number) + 1
        return sse.write(data, str(event.get("type", "")).encode())

    def _replayed(self, response: dict[str, Any]) -> bytes:
        """An answer that an expert of the dialect gave whole, to a client that wants events."""
        final = {**response, "model": self.model}
        self.response = {**final, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
        events = [*self._begin(), *replayed(final.get("output") or [])]
        self.response = final
        return self._encoded([*events, {"type": f"response.{final['status']}", "response": final}])

    def _encoded(self, events: list[Event]) -> bytes:
        out = []
        for event in events:
            out.append(sse.write(orjson.dumps({**event, "sequence_number": self.number}), event["type"].encode()))
            self.number += 1
        return b"".join(out)


def named(data: bytes, theirs: Any, ours: str) -> bytes:
    """An event with our name for the model, every other byte as it was, if the server writes JSON without spaces
    or with one."""
    for colon in (b":", b": "):
        data = data.replace(b'"model"' + colon + orjson.dumps(theirs), b'"model"' + colon + orjson.dumps(ours), 1)
    return data


def replayed(output: list[dict[str, Any]]) -> Iterator[Event]:
    """The events of items that came whole."""
    for place, each in enumerate(output):
        at = {"output_index": place}
        where = {"item_id": each.get("id"), **at}
        begun = {"status": "in_progress"} if "status" in each else {}
        yield {"type": "response.output_item.added", **at, "item": {**each, **begun}}
        if each.get("type") == "message":
            for index, part in enumerate(each.get("content") or []):
                kind = "refusal" if part.get("type") == "refusal" else "text"
                inside, said = {**where, "content_index": index}, part.get(WORDS[kind], "")
                yield {"type": "response.content_part.added", **inside, "part": {**part, WORDS[kind]: ""}}
                yield {"type": f"{DELTAS[kind]}.delta", **inside, "delta": said, "logprobs": []}
                yield {"type": f"{DELTAS[kind]}.done", **inside, WORDS[kind]: said, "logprobs": []}
                yield {"type": "response.content_part.done", **inside, "part": part}
        elif call := ITEMS.get(str(each.get("type"))):
            given = each.get(WORDS[call], "")
            yield {"type": f"{DELTAS[call]}.delta", **where, "delta": given}
            yield {"type": f"{DELTAS[call]}.done", **where, WORDS[call]: given}
        yield {"type": "response.output_item.done", **at, "item": each}


def _logprobs(chunk: Chunk) -> tuple[Any, ...]:
    """How likely each token of a chunk was, if the expert told."""
    choices = orjson.loads(chunk.data).get("choices") if chunk.data is not None else None
    told = (choices[0].get("logprobs") or {}) if choices else {}
    return tuple(
        {**_token(each), "top_logprobs": [_token(other) for other in each.get("top_logprobs") or ()]}
        for each in told.get("content") or ()
    )


def _without_bytes(logprobs: Iterable[Any]) -> list[Any]:
    """As events tell it: bytes are in the whole part alone."""
    return [
        {**_bare(each), "top_logprobs": [_bare(other) for other in each.get("top_logprobs") or ()]} for each in logprobs
    ]


def _bare(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("token", "logprob") if name in told}


def _token(told: Mapping[str, Any]) -> dict[str, Any]:
    """A token and how likely it was; its bytes are those of its text, if the server does not tell."""
    token = str(told.get("token", ""))
    given = told.get("bytes")
    return {**told, "token": token, "bytes": list(token.encode()) if given is None else given}

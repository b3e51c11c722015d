"""Free-form tools in chat: what OpenAI's own servers take goes to them as it is, others are asked for a function."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from msgspec.structs import replace

from experts.base import Chunk, Request
from experts.card import Usage
from gateway import chat, custom, dialects
from gateway.errors import APIError
from gateway.http import Reply
from gateway.life import Life
from gateway.translation import Translation, list_in, object_of, text_of

if TYPE_CHECKING:
    from gateway.handlers import Door

CUSTOM, NAMED = "custom", b'"custom"'
"""The name is in the body of every request that speaks of such tools."""
KNOWING = "responses"
"""Servers of the dialect that these tools come from know them in chat, too."""
CUT = ("length", "content_filter")

Fields = Mapping[str, Any]
Names = frozenset[str]


def translated(life: Life) -> Names | None:
    """The free-form tools of a request, if nobody here knows such: it is said with functions from now on. Raises
    APIError for what they cannot say."""
    request = life.request
    if request.body is None or NAMED not in request.body.data or not _speaks(request):
        return None
    if able := {name: card for name, card in life.catalog.items() if KNOWING in card.dialects}:
        life.catalog = able
        return None
    told, tools = Translation(), list_in(request.options, "tools")
    functions = [_tool(tool, f"tools[{place}]", told) for place, tool in enumerate(tools)]
    messages = tuple(_message(message, f"messages[{place}]") for place, message in enumerate(request.messages))
    told.options = {**request.options, **({"tools": functions} if tools else {})}
    if _of(choice := request.options.get("tool_choice")):
        told.options["tool_choice"] = _chosen(choice, "tool_choice")
    if (place := told.untold or next(iter(told.offers), "")) and not told.spare:
        raise APIError("unsupported_feature", f"{place}: no expert here can be held to such a format.", place)
    life.request = replace(request, messages=messages, options=told.options, body=None, spare=told.spare)
    life.begin()
    return frozenset(text_of(tool[CUSTOM], "name", CUSTOM) for tool in tools if _of(tool))


async def in_functions(door: Door, life: Life, reply: Reply, names: Names) -> None:
    """Answers a request that was translated. Raises as `dialects.respond` does."""

    def make(model: str) -> Writer:
        return Writer(life.request, model, int(time.time()), names)

    await dialects.respond(door, life, reply, make)


def _of(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == CUSTOM


def _speaks(request: Request) -> bool:
    options = request.options
    calls = [call for message in request.messages for call in _calls(message)]
    return any(map(_of, (*(options.get("tools") or ()), options.get("tool_choice"), *calls)))


def _calls(message: Fields) -> list[Any]:
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []


def _tool(value: Any, param: str, told: Translation) -> Any:
    if not _of(value):
        return value
    where = f"{param}.{CUSTOM}"
    tool = object_of(value.get(CUSTOM), where)
    form = custom.format_of(tool, where)
    rules = object_of(form["grammar"], f"{where}.format.grammar") if "grammar" in form else {}
    return custom.function(text_of(tool, "name", where), tool, {**form, **rules}, where, told)


def _chosen(choice: Any, param: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": text_of(object_of(choice.get(CUSTOM), param), "name", param)}}


def _message(message: Fields, param: str) -> Fields:
    calls = _calls(message)
    if not any(map(_of, calls)):
        return message
    return {**message, "tool_calls": [_said(call, f"{param}.tool_calls[{i}]") for i, call in enumerate(calls)]}


def _said(call: Any, param: str) -> Any:
    """A call that the assistant made."""
    if not _of(call):
        return call
    tool = object_of(call.get(CUSTOM), param)
    function = {"name": text_of(tool, "name", param), "arguments": custom.arguments(text_of(tool, "input", param))}
    return {**{key: value for key, value in call.items() if key != CUSTOM}, "type": "function", "function": function}


class Writer:
    """One answer on its way to a client that knows free-form tools, from an expert that knows functions."""

    def __init__(self, request: Request, model: str, created: int, names: Names) -> None:
        self.request, self.model, self.created, self.names = request, model, created, names
        self.events = chat.Events(request, model, created)
        self.calls: dict[tuple[int, int], custom.Unwrapped] = {}
        """What free-form tools are given, by the places of choice and call."""

    def whole(self, chunk: Chunk, counted: Usage | None) -> bytes:
        """One JSON body. Raises BrokenOff for what is no whole answer."""
        return chat.whole(self._changed(chunk, "message"), self.request.id, self.model, self.created)

    def of(self, chunk: Chunk) -> bytes:
        """The events of a chunk. Raises as `whole` does."""
        return self.events.of(self._changed(chunk, "delta"))

    def end(self, counted: Usage | None, cost: int) -> bytes:
        """The usage if it is still owed, and the end of the stream."""
        return self.events.end(cost, counted)

    def broken(self, error: APIError) -> bytes:
        """The last event of an answer that was cut."""
        return error.event()

    def _changed(self, chunk: Chunk, part: str) -> Chunk:
        if chunk.data is None:
            choice = {part: dict(chunk.delta), "finish_reason": chunk.finish_reason}
            return replace(chunk, delta=self._choice(choice)[part])
        payload = orjson.loads(chunk.data)
        choices = payload.get("choices") or []
        found = [self._choice(choice) for choice in choices]
        return chunk if found == choices else replace(chunk, data=orjson.dumps({**payload, "choices": found}))

    def _choice(self, choice: Fields) -> Fields:
        cut, index = choice.get("finish_reason") in CUT, choice.get("index", 0)
        if isinstance(message := choice.get("message"), dict):
            calls = [self._whole(call, cut) for call in _calls(message)]
            return {**choice, "message": {**message, "tool_calls": calls}} if calls else choice
        delta = choice.get("delta") or {}
        calls = [self._piece(call, index, place) for place, call in enumerate(_calls(delta))]
        if choice.get("finish_reason"):
            calls += self._rests(index, cut)
        return {**choice, "delta": {**delta, "tool_calls": calls}} if calls else choice

    def _whole(self, call: Fields, cut: bool) -> Fields:
        function = call.get("function") or {}
        if function.get("name") not in self.names:
            return call
        given = {"name": function["name"], "input": custom.unwrapped(function.get("arguments"), cut)}
        return {"id": call.get("id"), "type": CUSTOM, CUSTOM: given}

    def _piece(self, call: Fields, choice: int, place: int) -> Fields:
        """A piece of a call; the first of a free-form tool's names it."""
        function, index = call.get("function") or {}, call.get("index", place)
        name, piece = function.get("name"), str(function.get("arguments") or "")
        if known := self.calls.get((choice, index)):
            return {"index": index, CUSTOM: {"input": known.take(piece)}}
        if name not in self.names:
            return call
        known = self.calls[choice, index] = custom.Unwrapped()
        given = {"name": name, "input": known.take(piece)}
        return {"index": index, "id": call.get("id"), "type": CUSTOM, CUSTOM: given}

    def _rests(self, choice: int, cut: bool) -> list[Fields]:
        """What was not certain until the choice had ended."""
        ended = [(index, self.calls.pop((at, index)).end(cut)) for at, index in list(self.calls) if at == choice]
        return [{"index": index, CUSTOM: {"input": rest}} for index, rest in ended if rest]

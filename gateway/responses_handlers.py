"""The addresses of /v1/responses: an answer is made, and those that are kept can be had again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson
from msgspec.structs import replace

from experts.base import Request
from experts.endpoint import Endpoint
from gateway import errors, passing, responses
from gateway.body import parsed
from gateway.dialects import begun, nothing, respond
from gateway.errors import APIError
from gateway.explained import FAILURES
from gateway.http import Handler, Headers, HTTPCall, Reply, send_json
from gateway.life import Life
from gateway.responses_events import Writer
from gateway.responses_object import listed, page
from gateway.stored import Kept, Stored
from policies.batches import StoreUnavailable

if TYPE_CHECKING:
    from gateway.handlers import Door
    from gateway.school import School

PREFIX, COMPACT = "/v1/responses/", "/responses/compact"
ENDED = ("completed", "failed", "incomplete", "cancelled")
PATIENCE_SECONDS = 600.0
"""How long a response in the background waits for room."""


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of each address."""
    own = Responses(door)
    return {
        ("POST", "/v1/responses"): own.create,
        ("POST", f"{PREFIX}compact"): own.compact,
        ("GET", PREFIX): own.show,
        ("DELETE", PREFIX): own.delete,
        ("POST", f"{PREFIX}{{id}}/cancel"): own.cancel,
        ("GET", f"{PREFIX}{{id}}/input_items"): own.input_items,
    }


class Responses:
    """Answers calls in the dialect."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.side: School | None = None
        """Those that can compact."""

    async def create(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/responses: an answer of the school, whole, as events, or in the background."""
        key = self.door.keys.name(call.headers)
        fields = parsed(call.body)
        responses.check(fields)
        fields = await self.resolved(fields, key)
        before = await self.before(fields, key)
        life = await begun(self.door, responses.request_of(fields, call.id, before), key, call.headers)
        if fields.get("background") and not fields.get("stream"):
            await self.background(life, fields, reply)
        else:
            await self.answer(life, fields, reply)

    async def answer(self, life: Life, fields: Mapping[str, Any], reply: Reply) -> None:
        """Sends the answer, and keeps it first if it is to be kept."""
        made: list[Writer] = []

        def make(model: str) -> Writer:
            made.append(Writer(life.request, fields, model, self.keeps(fields)))
            return made[0]

        async def keep() -> None:
            await self.keep(life.key, kept(made[0].response, fields, life.request))

        await respond(self.door, life, reply, make, keep=keep if self.keeps(fields) else nothing)

    async def background(self, life: Life, fields: Mapping[str, Any], reply: Reply) -> None:
        """Says that the answer is under way, and makes it without a client."""
        stored = self.door.stored
        if stored is None or fields.get("store") is False:
            raise APIError("invalid_value", "A response in the background must be stored.", "background")
        writer = Writer(life.request, fields, life.request.model, True)
        first = {**writer.response, "status": "queued"}
        await self.keep(life.key, kept(first, fields, life.request))
        task = asyncio.create_task(self.make(life, fields, first))
        place = (life.key, str(first["id"]))
        stored.running[place] = task
        task.add_done_callback(lambda _: stored.running.pop(place, None))
        await send_json(reply, first)

    async def make(self, life: Life, fields: Mapping[str, Any], first: dict[str, Any]) -> None:
        """Makes an answer in the background; a failure is an answer too."""
        try:
            await self.patiently(life, fields)
        except FAILURES as error:
            await self.fail(life, fields, first, str(errors.of(error)))
        except asyncio.CancelledError:  # one that its client cancelled stays cancelled
            await self.fail(life, fields, first, "The gateway was stopped before the answer was made.")
            raise

    async def patiently(self, life: Life, fields: Mapping[str, Any]) -> None:
        """Answers as soon as there is room: no client waits for it. Raises APIError."""
        clock = life.school.clock
        until = clock() + PATIENCE_SECONDS
        while True:
            try:
                return await self.answer(life, fields, Nobody())
            except APIError as error:
                if error.code != "server_is_overloaded" or life.outcomes or clock() > until:
                    raise
                wait = float(error.headers["retry-after"])
            await asyncio.sleep(wait)
            life.step = -1
            life.begin()

    async def fail(self, life: Life, fields: Mapping[str, Any], first: dict[str, Any], why: str) -> None:
        """Keeps that there is no answer."""
        failed = {**first, "status": "failed", "error": {"code": "server_error", "message": why}}
        await self.keep(life.key, kept(failed, fields, life.request))

    def keeps(self, fields: Mapping[str, Any]) -> bool:
        """Whether a response is to be kept: unless the client or the operator says no."""
        return self.door.stored is not None and fields.get("store") is not False

    async def keep(self, key: str, what: Kept) -> None:
        """Keeps a response. Raises APIError."""
        assert self.door.stored is not None
        try:
            await self.door.stored.put(key, what)
        except StoreUnavailable as error:
            raise APIError("response_store_unavailable") from error

    async def compact(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/responses/compact: a long conversation made short, in a form that only the expert that made it can
        read; passed through to one whose `paths` have /responses."""
        key = self.door.keys.name(call.headers)
        fields = parsed(call.body)
        responses.check(fields, compacting=True)
        whole = responses.joined(await self.resolved(fields, key), await self.before(fields, key))
        body = call.body if whole == fields else orjson.dumps(whole)
        self.side = self.side or passing.side(self.door.school, COMPACT, Endpoint)
        await passing.pass_on(self.door, self.side, replace(call, body=body), passing.JSON, key, reply)

    async def before(self, fields: Mapping[str, Any], key: str) -> list[Any] | None:
        """The items of the conversation that a request goes on with, if they are kept here."""
        previous = fields.get("previous_response_id")
        if previous is None or self.door.stored is None:
            return None
        return await self.door.stored.context(key, previous)

    async def resolved(self, fields: dict[str, Any], key: str) -> dict[str, Any]:
        """The fields with the items in them that the client names only: those of responses that are kept here."""
        given = fields.get("input")
        if self.door.stored is None or not isinstance(given, list):
            return fields
        found = [await self.referenced(item, key, self.door.stored) for item in given]
        return {**fields, "input": found} if found != given else fields

    async def referenced(self, item: Any, key: str, stored: Stored) -> Any:
        """The item that a reference names, or what it is instead."""
        if not isinstance(item, dict) or item.get("type") != "item_reference":
            return item
        name = str(item.get("id", ""))
        known = await stored.get(key, f"resp_{name.split('_')[1]}") if name.count("_") > 1 else None
        items = [*known.items, *known.response.get("output", [])] if known is not None else []
        return next((each for each in items if each.get("id") == name), item)

    async def found(self, call: HTTPCall) -> tuple[str, str, Kept]:
        """The key, the name and the response that an address names. Raises APIError."""
        key = self.door.keys.name(call.headers)
        name = call.path.removeprefix(PREFIX).partition("/")[0]
        known = None if self.door.stored is None else await self.door.stored.get(key, name)
        if known is None:
            raise APIError("response_not_found", f"Response with id '{name[:100]}' not found.", "response_id")
        return key, name, known

    async def show(self, call: HTTPCall, reply: Reply) -> None:
        """GET /v1/responses/{id}: a response that is kept."""
        _, _, known = await self.found(call)
        if "true" in parse_qs(call.query).get("stream", ()):
            raise APIError("unsupported_feature", "Responses that are kept are not streamed again.", "stream")
        await send_json(reply, known.response)

    async def delete(self, call: HTTPCall, reply: Reply) -> None:
        """DELETE /v1/responses/{id}: a response is thrown away."""
        key, name, _ = await self.found(call)
        assert self.door.stored is not None
        await self.door.stored.delete(key, name)
        await send_json(reply, {"id": name, "object": "response", "deleted": True})

    async def cancel(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/responses/{id}/cancel: a response in the background is given up."""
        key, name, known = await self.found(call)
        if not known.response.get("background"):
            raise APIError("response_not_in_background")
        response = known.response
        if response["status"] not in ENDED:
            response = {**response, "status": "cancelled"}
            await self.keep(key, known._replace(response=response))
            assert self.door.stored is not None
            if (task := self.door.stored.running.get((key, name))) is not None:
                task.cancel()
        await send_json(reply, response)

    async def input_items(self, call: HTTPCall, reply: Reply) -> None:
        """GET /v1/responses/{id}/input_items: what was said before a response."""
        key, _, known = await self.found(call)
        assert self.door.stored is not None
        before = await self.door.stored.context(key, known.previous) if known.previous else None
        await send_json(reply, page([*(before or []), *known.items], parse_qs(call.query)))


def kept(response: dict[str, Any], fields: Mapping[str, Any], request: Request) -> Kept:
    """What is kept of a response."""
    items = listed(responses.items(fields["input"]), request.id)
    return Kept(response, items, fields.get("previous_response_id"))


class Nobody:
    """A reply that nobody reads."""

    started = False

    async def start(self, status: int, headers: Headers) -> None:
        """There is no head."""

    async def write(self, data: bytes) -> None:
        """There is no body."""

    async def end(self) -> None:
        """There is no end."""

    def abort(self) -> None:
        """There is no connection."""

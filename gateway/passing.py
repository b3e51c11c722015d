"""Endpoints that we pass through: bytes go to an expert that has them, and come back; decided, metered and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from experts.base import Expert, ExpertError, Request
from experts.catalog import CHARACTERS_PER_TOKEN, TEXT, Demand
from experts.endpoint import MODEL, Endpoint, Passed, has
from experts.openai_http import OpenAIHTTP
from gateway import multipart
from gateway.body import parsed
from gateway.born import policy_of
from gateway.chat import money
from gateway.errors import APIError
from gateway.explained import Explaining, explained_by
from gateway.hops import passed_on
from gateway.http import Handler, HTTPCall, Reply
from gateway.life import Life
from gateway.run import Result, run
from policies.pick import Only, Threshold, instead
from routers.simple import Cards

if TYPE_CHECKING:
    from gateway.handlers import Door
    from gateway.school import School

JSON, FORM, NOTHING = "application/json", "multipart/form-data", ""

ADDRESSES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("POST", "/v1/rerank"): (JSON, "documents in the order of their relevance"),
    ("POST", "/v1/moderations"): (JSON, "what is harmful in a text or an image"),
    ("POST", "/v1/audio/speech"): (JSON, "text to speech"),
    ("POST", "/v1/audio/transcriptions"): (FORM, "speech to text"),
    ("POST", "/v1/audio/translations"): (FORM, "speech to English text"),
    ("POST", "/v1/images/generations"): (JSON, "an image of a text"),
    ("POST", "/v1/images/edits"): (FORM, "an image of an image and a text"),
    ("POST", "/v1/images/variations"): (FORM, "an image like another"),
    ("POST", "/v1/files"): (FORM, "a file for the expert to keep"),
    ("GET", "/v1/files"): (NOTHING, "the files that the expert keeps"),
    ("GET", "/v1/files/"): (NOTHING, "what is known of a file"),
    ("DELETE", "/v1/files/"): (NOTHING, "a file is thrown away"),
    ("GET", "/v1/files/{id}/content"): (NOTHING, "a file"),
    ("POST", "/v1/batches"): (JSON, "many requests at once, for later"),
    ("GET", "/v1/batches"): (NOTHING, "the batches of the expert"),
    ("GET", "/v1/batches/"): (NOTHING, "how far a batch has come"),
    ("POST", "/v1/batches/{id}/cancel"): (NOTHING, "a batch is given up"),
}
"""What the body is, and what the endpoint gives."""

ONE = ("/files", "/batches", "/embeddings", "/responses")
"""Endpoints whose things live with one expert, or mean nothing to another: without a name it is the first."""
FREE = ("/files", "/batches")

PIECEWISE = ("/audio/speech", "/content")
"""Endings of the endpoints whose answers are passed on as they come."""

WORDS = ("input", "prompt", "query", "documents")
"""Fields that hold the text that is paid for."""


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of each address."""
    schools: dict[str, School] = {}
    return {route: _handler(door, schools, *route) for route in ADDRESSES}


def _handler(door: Door, schools: dict[str, School], method: str, route: str) -> Handler:
    kind, about = ADDRESSES[method, route]

    async def handler(call: HTTPCall, reply: Reply) -> None:
        key = door.keys.name(call.headers)
        path = call.path.removeprefix("/v1")
        school = schools.get(route) or schools.setdefault(route, side(door.school, path, Endpoint))
        await pass_on(door, school, call, kind, key, reply)

    shown = route + "{id}" if route.endswith("/") else route
    handler.__doc__ = f"{method} {shown}: {about}, passed through to an expert whose `paths` have it."
    return handler


async def pass_on(door: Door, school: School, call: HTTPCall, kind: str, key: str, reply: Reply) -> None:
    """Passes a call on to an expert of a side school, and its answer back. Raises APIError."""
    passed, fields = read(call, kind)
    request = passed_on(request_of(passed, fields, call.id), call.headers)
    await answer(life_of(door, school, request, call.path.removeprefix("/v1"), key), reply)


def read(call: HTTPCall, wanted: str) -> tuple[Passed, dict[str, Any]]:
    """What is passed on, and the fields that we look at. Raises APIError."""
    path = call.path.removeprefix("/v1") + ("?" + call.query if call.query else "")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise APIError("not_found")
    free = call.path.removeprefix("/v1").startswith(FREE)
    if wanted == NOTHING:
        return Passed(call.method, path, JSON, call.body, free=free), {}
    if wanted == JSON:
        fields = parsed(call.body)
        return Passed(call.method, path, JSON, *_named(call.body, fields), free=free), fields
    return _form(call, path, free)


def _named(body: bytes, fields: Mapping[str, Any]) -> tuple[bytes, tuple[int, int] | None]:
    """The body, and where the model's name stands in it; a body with more than one such key is written again."""
    model = fields.get("model")
    if not isinstance(model, str):
        return body, None
    found = list(MODEL.finditer(body))
    if len(found) != 1:
        body = orjson.dumps({"model": model, **{key: value for key, value in fields.items() if key != "model"}})
        found = [each for each in [MODEL.search(body)] if each]
    return body, (body.index(b":", found[0].start()) + 1, found[0].end())


def _form(call: HTTPCall, path: str, free: bool) -> tuple[Passed, dict[str, Any]]:
    kind = call.headers.get(b"content-type", b"").decode("latin-1")
    edge = multipart.boundary(kind)
    if edge is None or not kind.isascii() or not kind.isprintable():
        raise APIError("unsupported_media_type", "Send multipart/form-data with a boundary.", "content-type")
    fields: dict[str, Any] = {}
    for name in ("model", "prompt", "stream"):
        place = multipart.field(call.body, edge, name.encode())
        if place is not None:
            fields[name] = call.body[slice(*place)].decode("utf-8", "replace")
    fields["stream"] = fields.get("stream") == "true"
    return Passed(call.method, path, kind, call.body, multipart.field(call.body, edge, b"model"), False, free), fields


def request_of(passed: Passed, fields: Mapping[str, Any], request_id: str) -> Request:
    """The request in the form in which it is decided and recorded: its text is the prompt."""
    model = fields.get("model", "auto")
    if not isinstance(model, str) or not model:
        raise APIError("invalid_type", "model must be a non-empty string.", "model")
    words = "\n".join(word for name in WORDS for word in _words(fields.get(name)))
    stream = fields.get("stream") is True or fields.get("stream_format") == "sse"
    piecewise = stream or passed.path.partition("?")[0].endswith(PIECEWISE)
    options = {"stream": piecewise, "passed": passed}
    return Request(({"role": "user", "content": words},), options, model, request_id)


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [word for part in value for word in _words(_said(part) if isinstance(part, dict) else part)]
    return []


def _said(part: Mapping[str, Any]) -> Any:
    return part.get("content") if part.get("text") is None else part["text"]


def side(school: School, path: str, wrap: Callable[[OpenAIHTTP], Expert]) -> School:
    """The experts that have an endpoint, as a school of their own with the same books."""
    able = {name: wrap(each) for name, each in school.experts.items() if isinstance(each, OpenAIHTTP)}
    able = {name: each for name, each in able.items() if has(school.experts[name], path)}
    return replace(school, experts=able, router=Cards(), encoder=None, known=type(school.known)())


def life_of(door: Door, school: School, request: Request, path: str, key: str) -> Life:
    """The life of a request among the experts of a side school. Raises APIError if there is none for it."""
    if not school.experts:
        raise lacking(path)
    name = expert_of(school, request.model)
    if name is None and request.model in door.school.experts:
        raise lacking(path, request.model)
    if name is None and request.model != "auto":
        policy_of(door.school, request.model)
    if name is None and path.startswith(ONE):
        name = next(iter(school.experts))
    policy = instead(door.school.policy, Threshold(0.0) if name is None else Only(name))
    life = Life(school, request, policy, "passed", key)
    size = sum(len(message["content"]) for message in request.messages)
    life.stream = request.stream
    life.demand = Demand(TEXT, size // CHARACTERS_PER_TOKEN, False)
    life.catalog = school.cards if name is None else {name: school.cards[name]}
    return life


def expert_of(school: School, model: str) -> str | None:
    """The expert that a model names: by its own name, or by the one that its server has for the model."""
    if model in school.experts:
        return model
    servers = ((name, getattr(each, "server", None)) for name, each in school.experts.items())
    served = (name for name, server in servers if server is not None and server.served == model)
    return next(served, None)


def lacking(path: str, name: str = "") -> APIError:
    """What is missing for an endpoint."""
    top = "/" + path.split("/")[1]
    who = f"The expert {name} has no" if name else "No expert here has"
    return APIError("endpoint_not_served", f'{who} {path}: if its server has it, say so in paths = ["{top}"].', "model")


async def answer(life: Life, reply: Reply) -> None:
    """Sends what the expert sends, with our headers beside its type."""
    with Explaining(life) as told:
        result = await run(life)
        told.expert = result.expert
        async with aclosing(result.chunks) as chunks:
            if life.request.stream:
                await _pieces(result, chunks, reply)
                return
            async for chunk in chunks:
                cost = (b"x-lyceum-cost", money(result.spent + (chunk.cost or 0)))
                body = chunk.data or b""
                length = (b"content-length", b"%d" % len(body))
                headers = [*chunk.delta["headers"], length, *explained_by(result), cost]
                await reply.start(chunk.delta["status"], headers)
                await reply.write(body)
                await reply.end()


async def _pieces(result: Result, chunks: Any, reply: Reply) -> None:
    events = False
    try:
        async for chunk in chunks:
            if not reply.started:
                events = chunk.delta["content_type"].startswith(b"text/event-stream")
                await reply.start(chunk.delta["status"], [*chunk.delta["headers"], *explained_by(result)])
            await reply.write(chunk.data or b"")
    except ExpertError:
        if events:
            raise
        reply.abort()  # bytes without an end of their own: only a broken connection says that they are not whole
        return
    await reply.end()

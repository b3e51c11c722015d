"""The OpenAPI document that the gateway serves of itself, made of its own table of addresses and its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from gateway.errors import ERRORS
from gateway.http import Handler, HTTPCall, Reply, send_json
from gateway.messages_errors import PREFIX as MESSAGES
from gateway.openapi_answers import ANSWERS, CREATED
from gateway.openapi_bodies import body_of
from gateway.passing import ADDRESSES

if TYPE_CHECKING:
    from gateway.handlers import Door

Table = Mapping[tuple[str, str], Handler]

OPEN = ("/healthz", "/readyz")
"""Addresses that ask for no key."""

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "integer", "null"]},
                "param": {"type": ["string", "integer", "null"]},
            },
        }
    },
}
MESSAGES_ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
STREAMING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", MESSAGES)
STATUSES = (*sorted({str(row.status) for row in ERRORS.values()}), "default")
HEADERS = {"x-request-id": {"schema": {"type": "string"}, "description": "the name of this request"}}


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of the one address."""
    made: Callable[[], dict[str, Any]] = cache(lambda: document(door.handlers()))

    async def handler(call: HTTPCall, reply: Reply) -> None:
        """GET /openapi.json: what this gateway takes and gives, as an OpenAPI 3.1 document."""
        door.keys.name(call.headers)
        await send_json(reply, made())

    return {("GET", "/openapi.json"): handler}


def document(table: Table) -> dict[str, Any]:
    """The whole document of a table of addresses."""
    from importlib import metadata  # it reads mail and archives, which nothing else needs

    paths: dict[str, dict[str, Any]] = {}
    for (method, route), handler in table.items():
        paths.setdefault(shown(route), {})[method.lower()] = operation(method, route, handler)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lyceum", "version": metadata.version("lyceum-gateway")},
        "paths": paths,
        "components": {
            "responses": {**refusals(""), **refusals("Messages")},
            "schemas": {"Error": ERROR, "MessagesError": MESSAGES_ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def shown(route: str) -> str:
    """A route's address as OpenAPI writes it."""
    return route + "{id}" if route.endswith("/") else route


def operation(method: str, route: str, handler: Handler) -> dict[str, Any]:
    """One method of one address."""
    about = " ".join((handler.__doc__ or "").partition("\n\n")[0].split()).partition(": ")[2]
    made: dict[str, Any] = {"summary": about, "responses": {**given(method, route), **refused(route)}}
    if "{id}" in shown(route):
        made["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    if route not in OPEN:
        made["security"] = [{"key": []}]
    if body := body_of(method, route):
        made["requestBody"] = body
    return made


def given(method: str, route: str) -> dict[str, Any]:
    """What comes when all is well. What experts send passes, so nothing is said of it but its kind."""
    status, known = ("201", CREATED) if (method, route) in CREATED else ("200", ANSWERS)
    if (method, route) in ADDRESSES:
        content: dict[str, Any] = {"*/*": {}}
    elif route == "/metrics":
        content = {"text/plain": {}}
    else:
        content = {"application/json": {"schema": known.get((method, route), {"type": "object"})}}
    if route in STREAMING:
        content["text/event-stream"] = {}
    return {status: {"description": "what was asked for", "headers": HEADERS, "content": content}}


def refused(route: str) -> dict[str, Any]:
    """Every status of our table; `default` is an expert's own refusal, in the same form."""
    form = "Messages" if route.startswith(MESSAGES) else ""
    answers: dict[str, Any] = {each: {"$ref": f"#/components/responses/{form}{each}"} for each in STATUSES}
    if route == "/readyz":
        schema = ANSWERS["GET", route]
        answers["503"] = {"description": "starting", "content": {"application/json": {"schema": schema}}}
    return answers


def refusals(form: str) -> dict[str, Any]:
    """The answers that all operations share: a status with its codes, in one of the two forms of errors."""
    codes = {status: ", ".join(codes_of(status)) for status in STATUSES}
    codes["default"] = "what the expert that was asked says"
    schema = {"$ref": f"#/components/schemas/{form}Error"}
    content = {"application/json": {"schema": schema}}
    return {form + key: {"description": each, "headers": HEADERS, "content": content} for key, each in codes.items()}


def codes_of(status: str) -> Iterable[str]:
    """The codes of a status."""
    return [code for code, row in ERRORS.items() if str(row.status) == status]

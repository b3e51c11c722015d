"""What an obliging model would say: calls the tool it is offered, fills in the schema it is given, else echoes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from experts.base import Request
from experts.reading import Message


def perform(request: Request) -> str | Message:
    """The answer to a request."""
    tool = wanted_tool(request)
    if tool is not None:
        arguments = orjson.dumps(instance(tool.get("parameters") or {})).decode()
        call = {"id": "call_1", "type": "function", "function": {"name": tool["name"], "arguments": arguments}}
        return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **call} if request.stream else call]}
    form = request.options.get("response_format") or {}
    if form.get("type") == "json_schema":
        return orjson.dumps(instance(form["json_schema"]["schema"])).decode()
    last = request.messages[-1]
    if last.get("role") == "tool":
        return f"The tool said: {last.get('content')}"
    if form.get("type") == "json_object":
        return '{"city": "Paris", "population": 3}'
    return f"You said: {request.prompt}"


def wanted_tool(request: Request) -> Mapping[str, Any] | None:
    """The function to call: the one that was chosen, else the first, unless one has answered already."""
    tools: list[Mapping[str, Any]] = [
        tool["function"] for tool in request.options.get("tools") or [] if tool.get("type") == "function"
    ]
    choice = request.options.get("tool_choice")
    if not tools or choice == "none":
        return None
    if isinstance(choice, dict):
        return next(tool for tool in tools if tool["name"] == choice["function"]["name"])
    if request.messages[-1].get("role") == "tool":
        final = [tool for tool in tools if tool["name"] == "final_result"]
        return final[0] if choice == "required" and final else None
    return tools[0]


def instance(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A value that a JSON schema allows."""
    root = root or schema
    if "$ref" in schema:
        return instance(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return instance(schema["anyOf"][0], root)
    kind = schema.get("type", "object")
    if kind == "object":
        known = schema.get("properties", {})
        return {name: instance(known[name], root) for name in schema.get("required", known)}
    if kind == "array":
        return [instance(schema.get("items", {}), root)]
    return {"string": "Paris", "integer": 3, "number": 3, "boolean": True, "null": None}[kind]

"""The way back from chat's form to the other dialects, so that tests see that nothing was lost on the way there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Fields = dict[str, Any]

CUSTOM = "patch"
"""The one free-form tool, and how the names of its calls begin."""
SAME = ("temperature", "top_p", "metadata", "parallel_tool_calls", "user", "seed", "stop", "stream", "service_tier")


def kept(fields: Fields, names: tuple[str, ...] = SAME) -> Fields:
    return {name: fields[name] for name in names if name in fields}


# Responses


def responses_of(messages: Iterable[Mapping[str, Any]], options: Fields) -> Fields:
    """The body of a Responses request that says the same as a chat request."""
    body = {"input": [item for message in messages for item in items_of(message)], **kept(options)}
    if "max_completion_tokens" in options:
        body["max_output_tokens"] = options["max_completion_tokens"]
    if "reasoning_effort" in options:
        body["reasoning"] = {"effort": options["reasoning_effort"]}
    if "top_logprobs" in options:
        body["top_logprobs"] = options["top_logprobs"]
    text = kept(options, ("verbosity",))
    match options.get("response_format"):
        case {"type": "json_schema", "json_schema": schema}:
            text["format"] = {"type": "json_schema", **schema}
        case {"type": "json_object"}:
            text["format"] = {"type": "json_object"}
    if text:
        body["text"] = text
    if "tools" in options:
        body["tools"] = [tool_of(tool["function"]) for tool in options["tools"]]
    match options.get("tool_choice"):
        case str(word):
            body["tool_choice"] = word
        case {"function": {"name": name}}:
            body["tool_choice"] = {"type": "custom" if name == CUSTOM else "function", "name": name}
    return body


def tool_of(function: Fields) -> Fields:
    """A function, or the free-form tool that it stands for."""
    if function["name"] != CUSTOM:
        return {"type": "function", **function}
    about = kept(function, ("name", "description"))
    pattern = function["parameters"]["properties"]["input"].get("pattern")
    if pattern is not None:
        about["format"] = {"type": "grammar", "syntax": "regex", "definition": pattern}
    return {"type": "custom", **about}


def items_of(message: Mapping[str, Any]) -> list[Fields]:
    role = message["role"]
    if role == "tool":
        output, call = content_of(message["content"], "input_text"), message["tool_call_id"]
        kind = "custom_tool_call_output" if call.startswith(CUSTOM) else "function_call_output"
        return [{"type": kind, "call_id": call, "output": output}]
    found: list[Fields] = []
    if "reasoning_content" in message:
        text = {"type": "reasoning_text", "text": message["reasoning_content"]}
        found.append({"type": "reasoning", "summary": [], "content": [text]})
    if message.get("content") is not None:
        kind = "output_text" if role == "assistant" else "input_text"
        found.append({"type": "message", "role": role, "content": content_of(message["content"], kind)})
    for call in message.get("tool_calls", []):
        found.append(call_of(call["id"], call["function"]))
    return found


def call_of(call_id: str, function: Fields) -> Fields:
    if function["name"] != CUSTOM:
        return {"type": "function_call", "call_id": call_id, **function}
    given = orjson.loads(function["arguments"])["input"]
    return {"type": "custom_tool_call", "call_id": call_id, "name": CUSTOM, "input": given}


def content_of(content: Any, text: str) -> Any:
    return content if isinstance(content, str) else [part_of(part, text) for part in content]


def part_of(part: Fields, text: str) -> Fields:
    match part["type"]:
        case "text":
            return {"type": text, "text": part["text"]}
        case "image_url":
            about = dict(part["image_url"])
            return {"type": "input_image", "image_url": about.pop("url"), **about}
        case "file":
            return {"type": "input_file", **part["file"]}
    return part


def plain_responses(body: Fields) -> Fields:
    """A body as the way back writes it: instructions are the first system message, and so is a developer's."""
    items = [plain_item(item) for item in body["input"]]
    if body.get("instructions"):
        items.insert(0, {"type": "message", "role": "system", "content": body["instructions"]})
    return {key: value for key, value in {**body, "input": items}.items() if key != "instructions"}


def plain_item(item: Fields) -> Fields:
    item = {key: value for key, value in item.items() if key not in ("id", "status")}
    if item["type"] == "message" and item["role"] == "developer":
        item["role"] = "system"
    for name in ("content", "output"):
        value = item.get(name)
        if item["type"] != "reasoning" and isinstance(value, list) and len(value) == 1 and "text" in value[0]:
            item[name] = value[0]["text"]
    return item


# Messages


def messages_of(messages: Iterable[Mapping[str, Any]], options: Fields) -> Fields:
    """The body of a Messages request that says the same as a chat request."""
    body: Fields = {"messages": [], **kept(options, ("temperature", "top_p", "top_k", "stream"))}
    for message in messages:
        if message["role"] == "system":
            body["system"] = blocks_of(message["content"])
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if not body["messages"] or body["messages"][-1]["role"] != role:
            body["messages"].append({"role": role, "content": []})
        body["messages"][-1]["content"] += turn_of(message)
    if "max_completion_tokens" in options:
        body["max_tokens"] = options["max_completion_tokens"]
    if "stop" in options:
        body["stop_sequences"] = options["stop"]
    if "user" in options:
        body["metadata"] = {"user_id": options["user"]}
    config = {}
    if "reasoning_effort" in options:
        config["effort"] = options["reasoning_effort"]
    if "response_format" in options:
        config["format"] = {"type": "json_schema", "schema": options["response_format"]["json_schema"]["schema"]}
    return body | ({"output_config": config} if config else {}) | tools_of(options)


def tools_of(options: Fields) -> Fields:
    if "tools" not in options:
        return {}
    tools = []
    for tool in options["tools"]:
        about = dict(tool["function"])
        tools.append({"input_schema": about.pop("parameters"), **about})
    choice: Fields = {}
    match options.get("tool_choice"):
        case str(word):
            choice = {"type": {"required": "any"}.get(word, word)}
        case {"function": {"name": name}}:
            choice = {"type": "tool", "name": name}
    if "parallel_tool_calls" in options:
        choice["disable_parallel_tool_use"] = not options["parallel_tool_calls"]
    return {"tools": tools, **({"tool_choice": choice} if choice else {})}


def turn_of(message: Mapping[str, Any]) -> list[Fields]:
    if message["role"] == "tool":
        content = blocks_of(message["content"])
        return [{"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": content}]
    found = []
    if "reasoning_content" in message:
        found.append({"type": "thinking", "thinking": message["reasoning_content"]})
    found += blocks_of(message.get("content") or [])
    for call in message.get("tool_calls", []):
        function = call["function"]
        arguments = orjson.loads(function["arguments"])
        found.append({"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments})
    return found


def blocks_of(content: Any) -> list[Fields]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else [block_of(part) for part in content]


def block_of(part: Fields) -> Fields:
    match part:
        case {"type": "text"}:
            return part
        case {"type": "image_url", "image_url": {"url": url}} if url.startswith("data:"):
            return {"type": "image", "source": source_of(url)}
        case {"type": "image_url", "image_url": {"url": url}}:
            return {"type": "image", "source": {"type": "url", "url": url}}
        case {"type": "file", "file": file}:
            return {"type": "document", "source": source_of(file["file_data"]), "title": file["filename"]}
    raise AssertionError(part)


def source_of(url: str) -> Fields:
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": kind, "data": data}


ADVICE = ("cache_control", "signature", "is_error")
"""What tells chat servers nothing."""


def plain_messages(body: Fields) -> Fields:
    """A body as the way back writes it: every content is a list of blocks."""
    plain = {**body, "messages": [plain_turn(message) for message in body["messages"]]}
    if "system" in body:
        plain["system"] = plain_blocks(body["system"])
    return plain


def plain_turn(message: Fields) -> Fields:
    return {**message, "content": plain_blocks(message["content"])}


def plain_blocks(content: Any) -> list[Fields]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    plain = [{key: value for key, value in block.items() if key not in ADVICE} for block in blocks]
    for block in plain:
        if block["type"] == "tool_result":
            block["content"] = plain_blocks(block.get("content", ""))
    return plain

"""The turns of a Messages request as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.translation import Translation, joined, list_of, object_in, object_of, text_of

Block = Mapping[str, Any]
Parts = list[dict[str, Any]]


class Turns(Translation):
    """Turns messages of blocks into chat messages: a tool's result is a message of its own."""

    def system(self, value: Any, param: str) -> None:
        """What the operator of the conversation says."""
        if value:
            self.messages.append({"role": "system", "content": joined(self.parts(value, param))})

    def add(self, value: Any, param: str) -> None:
        """One more turn. Raises APIError for what is malformed."""
        message = object_of(value, param)
        content = message.get("content")
        blocks = list_of([{"type": "text", "text": content}] if isinstance(content, str) else content, param)
        match text_of(message, "role", param):
            case "user":
                self.user(blocks, f"{param}.content")
            case "assistant":
                self.assistant(blocks, f"{param}.content")
            case "system":
                self.system(content, f"{param}.content")
            case _:
                self.cannot(f"{param}.role")

    def user(self, blocks: list[Any], param: str) -> None:
        """What a user says, and what tools gave back."""
        said: Parts = []
        for place, value in enumerate(blocks):
            block, where = object_of(value, f"{param}[{place}]"), f"{param}[{place}]"
            if block.get("type") == "tool_result":
                self.say("user", said)
                said = []
                result = joined(self.parts(block.get("content") or "", f"{where}.content"))
                call = text_of(block, "tool_use_id", where)
                self.messages.append({"role": "tool", "tool_call_id": call, "content": result})
            else:
                said += self.part(block, where)
        self.say("user", said)

    def say(self, role: str, parts: Parts) -> None:
        """A message, if there is anything in it."""
        if parts:
            self.messages.append({"role": role, "content": joined(parts)})

    def parts(self, value: Any, param: str) -> Parts:
        """A string or a list of blocks as chat's parts."""
        if isinstance(value, str):
            return [{"type": "text", "text": value}]
        blocks = enumerate(list_of(value, param))
        return [part for place, block in blocks for part in self.part(block, f"{param}[{place}]")]

    def part(self, value: Any, param: str) -> Parts:
        """A block as a part of chat's, if chat has it."""
        block = object_of(value, param)
        match block:
            case {"type": "text"}:
                return [{"type": "text", "text": text_of(block, "text", param)}]
            case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
                return [{"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}]
            case {"type": "image", "source": {"type": "url", "url": str(url)}}:
                return [{"type": "image_url", "image_url": {"url": url}}]
            case {"type": "document"}:
                return self.document(block, param)
        self.cannot(f"{param}.source" if block.get("type") == "image" else f"{param}.type")
        return []

    def document(self, block: Mapping[str, Any], param: str) -> Parts:
        """A document as a file, or as its words where it is made of words."""
        if object_in(block, "citations", f"{param}.").get("enabled"):
            self.cannot(f"{param}.citations")
        match block.get("source"):
            case {"type": "base64", "media_type": str(kind), "data": str(data)}:
                name = block.get("title") or "document.pdf"
                return [{"type": "file", "file": {"file_data": f"data:{kind};base64,{data}", "filename": name}}]
            case {"type": "text", "data": str(data)}:
                return [*_headed(block), {"type": "text", "text": data}]
            case {"type": "content", "content": content}:
                return [*_headed(block), *self.parts(content, f"{param}.source.content")]
        self.cannot(f"{param}.source")
        return []

    def assistant(self, blocks: list[Any], param: str) -> None:
        """What the assistant thought, said and called. A thought's signature means nothing to chat servers."""
        message: dict[str, Any] = {"role": "assistant"}
        said: Parts = []
        for place, value in enumerate(blocks):
            block, where = object_of(value, f"{param}[{place}]"), f"{param}[{place}]"
            match block.get("type"):
                case "thinking":
                    thought = text_of(block, "thinking", where)
                    message["reasoning_content"] = "\n".join(filter(None, (message.get("reasoning_content"), thought)))
                case "tool_use":
                    message.setdefault("tool_calls", []).append(call(block, where))
                case _:
                    said += self.part(block, where)
        if said:
            message["content"] = joined(said)
        if len(message) > 1:
            self.messages.append(message)


def call(block: Block, param: str) -> dict[str, Any]:
    """A use of a tool as a call of a function."""
    arguments = orjson.dumps(object_of(block.get("input"), f"{param}.input")).decode()
    function = {"name": text_of(block, "name", param), "arguments": arguments}
    return {"id": text_of(block, "id", param), "type": "function", "function": function}


def _headed(document: Mapping[str, Any]) -> Parts:
    """What is said of a document before its words."""
    return [{"type": "text", "text": str(document[name])} for name in ("title", "context") if document.get(name)]

"""The items of a Responses request as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.custom import arguments
from gateway.translation import Translation, joined, list_of, object_of, text_of, without_nothing

ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""Chat templates of open models know no developer and drop it silently; OpenAI's take the two for one."""

ADDED = "additional_tools"
"""Items that offer more tools from their place on; in chat they are offered from the beginning."""

Item = Mapping[str, Any]


class Items(Translation):
    """Turns items into messages: what an assistant thought, said and called in a row is one message."""

    def __init__(self) -> None:
        super().__init__()
        self.turn: dict[str, Any] | None = None
        """The assistant's message that the next item may belong to."""

    def add(self, value: Any, param: str) -> None:
        """One more item. Raises APIError for what is malformed."""
        item = object_of(value, param)
        kind = item.get("type", "message" if "role" in item else None)
        match kind:
            case "message":
                self.message(item, param)
            case "reasoning":
                self.reasoning(item, param)
            case "function_call" | "custom_tool_call":
                self.call(item, param)
            case "function_call_output" | "custom_tool_call_output":
                self.output(item, param)
            case "additional_tools":  # they are offered with the others
                self.turn = None
            case _:
                self.turn = None
                self.cannot(f"{param}.type")

    def message(self, item: Item, param: str) -> None:
        """Somebody said something."""
        role = text_of(item, "role", param)
        if role not in ROLES:
            self.cannot(f"{param}.role")
            return
        content = self.content(item.get("content"), f"{param}.content")
        if role != "assistant":
            self.turn = None
            self.messages.append({"role": ROLES[role], "content": content})
            return
        if self.turn is None or "content" in self.turn or "tool_calls" in self.turn:
            self.begin()
        self.open()["content"] = content

    def content(self, value: Any, param: str) -> str | list[dict[str, Any]]:
        """A string, or a list of parts in chat's form."""
        if isinstance(value, str):
            return value
        found = [self.part(part, f"{param}[{place}]") for place, part in enumerate(list_of(value, param))]
        return joined([part for part in found if part is not None])

    def part(self, value: Any, param: str) -> dict[str, Any] | None:
        """A part in chat's form, if chat has it."""
        part = object_of(value, param)
        match part.get("type"):
            case "input_text" | "output_text" | "text":
                return {"type": "text", "text": text_of(part, "text", param)}
            case "refusal":
                return {"type": "refusal", "refusal": text_of(part, "refusal", param)}
            case "input_image" if isinstance(part.get("image_url"), str):
                return {
                    "type": "image_url",
                    "image_url": without_nothing({"url": part["image_url"], "detail": part.get("detail")}),
                }
            case "input_audio" if "input_audio" in part:
                return {"type": "input_audio", "input_audio": part["input_audio"]}
            case "input_file" if part.get("file_url") is None:
                names = ("file_id", "file_data", "filename")
                return {"type": "file", "file": without_nothing({name: part.get(name) for name in names})}
        self.cannot(param)
        return None

    def reasoning(self, item: Item, param: str) -> None:
        """The assistant thought, in words that chat servers take back as `reasoning_content`."""
        if item.get("encrypted_content"):
            self.cannot(f"{param}.encrypted_content")
        parts = item.get("content") or item.get("summary") or []
        words = [text_of(object_of(part, param), "text", param) for part in list_of(parts, f"{param}.content")]
        self.begin()
        if words:
            self.open()["reasoning_content"] = "\n".join(words)

    def call(self, item: Item, param: str) -> None:
        """The assistant called a function or a free-form tool."""
        name = chat_name(item.get("namespace"), text_of(item, "name", param))
        if item.get("type") == "custom_tool_call":
            given = arguments(text_of(item, "input", param))
        else:
            given = text_of(item, "arguments", param)
        function = {"name": name, "arguments": given}
        call = {"id": text_of(item, "call_id", param), "type": "function", "function": function}
        if self.turn is None:
            self.begin()
        self.open().setdefault("tool_calls", []).append(call)

    def output(self, item: Item, param: str) -> None:
        """A function or a free-form tool gave something back."""
        self.turn = None
        content = self.content(item.get("output"), f"{param}.output")
        self.messages.append({"role": "tool", "tool_call_id": text_of(item, "call_id", param), "content": content})

    def begin(self) -> None:
        """A new message of the assistant."""
        self.turn = {"role": "assistant"}

    def open(self) -> dict[str, Any]:
        """The assistant's message, which is one as soon as something is in it."""
        assert self.turn is not None
        if not self.messages or self.messages[-1] is not self.turn:
            self.messages.append(self.turn)
        return self.turn


def chat_name(namespace: Any, name: str) -> str:
    """A function's name in chat, which has no namespaces."""
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name

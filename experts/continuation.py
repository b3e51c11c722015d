"""The rest of an answer that broke off: how servers are asked for it, and where it joins what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from msgspec.structs import replace

from experts.base import CHAT, BrokenOff, Request

Manner = Literal["no", "prefill", "sglang", "vllm"]
"""How a server goes on with a last message of the assistant: not at all, of itself, or when told in its own way."""

TOLD: Mapping[str, Mapping[str, Any]] = {
    "prefill": {},
    "sglang": {"continue_final_message": True},
    "vllm": {"continue_final_message": True, "add_generation_prompt": False},
}


class Continuing(Protocol):
    """An expert that may go on with what another said."""

    def continuation(self, request: Request, said: str) -> Request | None:
        """The request whose answer is what follows `said`, and only that; `None` if the expert cannot."""
        ...


def prefilled(request: Request, said: str, manner: Manner) -> Request | None:
    """The request for the rest of an answer, in a server's manner."""
    if manner == "no":
        return None
    messages = (*request.messages, {"role": "assistant", "content": said})
    return replace(request, messages=messages, options={**request.options, **TOLD[manner]}, dialect=CHAT, native=None)


class Joint:
    """Takes off the beginning of a text what the client has already: all of `known` where the text must repeat it
    (`whole`), else as much of it as the text does repeat."""

    def __init__(self, known: str, whole: bool) -> None:
        self.known, self.whole = known, whole

    def take(self, text: str) -> str:
        """What of the next piece is new. Raises BrokenOff if it must repeat what is known and does not."""
        if not self.known:
            return text
        same = 0
        while same < min(len(self.known), len(text)) and self.known[same] == text[same]:
            same += 1
        if same == len(text):
            self.known = self.known[same:]
            return ""
        if self.whole and same < len(self.known):
            raise BrokenOff("the expert says it in other words")
        self.known = ""
        return text[same:]

    def end(self) -> None:
        """The text is over. Raises BrokenOff if it is shorter than what is known."""
        if self.whole and self.known:
            raise BrokenOff("the expert says less")

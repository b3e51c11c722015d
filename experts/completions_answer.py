"""Reads answers of servers in the dialect of /v1/completions: text without turns."""

from __future__ import annotations

from typing import Any

from experts.base import Chunk
from experts.native import Reading
from experts.openai_answer import Progress, first_choice, parse_usage
from experts.openai_errors import broken


class CompletionsReading(Reading):
    """How far an answer has come; it may have several choices, and its usage may come after their ends."""

    DIALECT = "completions"

    def take(self, payload: dict[str, Any], data: bytes) -> Chunk:
        told, choice = Progress.take(self, payload, data), first_choice(payload)
        text = choice.get("text") if choice else None
        delta = {"content": text} if isinstance(text, str) and text else {}
        return Chunk(delta, told.finish_reason, told.usage, told.cost, data, self.DIALECT)

    def answer(self, payload: dict[str, Any], data: bytes) -> Chunk:
        choice = first_choice(payload)
        if choice is None or not isinstance(choice.get("text"), str):
            raise broken("it answered 200 without a text")
        usage = parse_usage(payload.get("usage"))
        message = {"role": "assistant", "content": choice["text"]}
        return Chunk(message, choice.get("finish_reason"), usage, self.cost(usage), data, self.DIALECT)

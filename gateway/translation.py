"""What every translation into chat's form shares: what it has said so far, and the first thing that it cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.base import Request
from gateway.chat import wrong
from gateway.errors import APIError


class Translation:
    """Messages and options in chat's form. What chat cannot say is left out, and the first of it is named."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.untold = ""
        self.offers: list[str] = []
        """Places of tools that a provider would run itself: a model need not use them."""

    @property
    def spare(self) -> str:
        """The offers that a chat model may go without, since it has others and is free to choose."""
        free = self.options.get("tool_choice") in (None, "auto") and self.options.get("tools")
        return ", ".join(self.offers) if free and not self.untold else ""

    def request(self, dialect: str, native: Mapping[str, Any], request_id: str) -> Request:
        """The request that says this in chat's form and `native` in its own."""
        return Request(
            tuple(self.messages),
            self.options,
            str(native["model"]),
            request_id,
            dialect=dialect,
            native=native,
            untold=self.untold or next(iter(self.offers), ""),
            spare=self.spare,
        )

    def cannot(self, param: str) -> None:
        """Notes the place of what chat cannot say."""
        self.untold = self.untold or param


def check_model(fields: Mapping[str, Any]) -> str:
    """The model that is asked for. Raises APIError if none is named."""
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise APIError(wrong(model), "model must be a non-empty string.", "model")
    return model


def text_of(item: Mapping[str, Any], name: str, param: str) -> str:
    """A field that must be a string. Raises APIError."""
    value = item.get(name)
    if not isinstance(value, str):
        raise APIError(wrong(value), f"{param}.{name} must be a string.", f"{param}.{name}")
    return value


def object_of(value: Any, param: str) -> dict[str, Any]:
    """A value that must be an object. Raises APIError."""
    if not isinstance(value, dict):
        raise APIError(wrong(value), f"{param} must be an object.", param)
    return value


def list_of(value: Any, param: str) -> list[Any]:
    """A value that must be a list. Raises APIError."""
    if not isinstance(value, list):
        raise APIError(wrong(value), f"{param} must be a list.", param)
    return value


def list_in(fields: Mapping[str, Any], name: str) -> list[Any]:
    """A field that must be a list if it is there. Raises APIError."""
    return [] if fields.get(name) is None else list_of(fields[name], name)


def object_in(fields: Mapping[str, Any], name: str, place: str = "") -> dict[str, Any]:
    """A field that must be an object if it is there. Raises APIError."""
    return {} if fields.get(name) is None else object_of(fields[name], place + name)


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something: clients write null for what they leave open."""
    return {key: value for key, value in fields.items() if value is not None}


def joined(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Parts of a message's content; one text alone is a string, which every chat template knows."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts

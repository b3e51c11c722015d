"""The dialect of /v1/messages: a body as a Request in chat's form, with all that chat cannot say kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experts.base import Request
from gateway.chat import NUMBERS, check_number
from gateway.errors import APIError
from gateway.messages_input import Turns
from gateway.responses import check_count
from gateway.translation import check_model, list_in, list_of, object_in, object_of, text_of, without_nothing

DIALECT = "messages"

UNTOLD = ("container", "mcp_servers", "context_management", "user_profile_id", "workspace_id")
"""Fields that ask for something that chat has no word for."""

OURS = frozenset(
    (
        *("system", "messages", "model", "max_tokens", "stop_sequences", "tools", "tool_choice", "thinking"),
        *("metadata", "output_config", "service_tier", "cache_control", "diagnostics", "inference_geo", "speed"),
        *UNTOLD,
    )
)
"""Fields that chat does not know by this name: translated, or advice that binds nobody. All others go to a chat
expert as they are."""

CHOICES = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS = ((4096, "low"), (16384, "medium"))
"""Tokens of thought below which so much effort is meant; above the last it is high."""

Fields = Mapping[str, Any]


def check(fields: Fields, counting: bool = False) -> None:
    """Raises APIError for what is wrong in any expert's eyes, with the `param` at fault."""
    check_model(fields)
    if not list_of(fields.get("messages"), "messages"):
        raise APIError("invalid_value", "messages must not be empty.", "messages")
    if fields.get("max_tokens") is None and not counting:
        raise APIError("missing_required_parameter", "max_tokens is missing.", "max_tokens")
    check_count(fields.get("max_tokens"), "max_tokens")
    if not isinstance(fields.get("stream"), bool | None):
        raise APIError("invalid_type", "stream must be a boolean.", "stream")
    if not isinstance(fields.get("system"), str | list | None):
        raise APIError("invalid_type", "system must be a string or a list of blocks.", "system")
    for name in ("temperature", "top_p"):
        check_number(name, fields.get(name), *NUMBERS[name])


def request_of(fields: Fields, request_id: str, counting: bool = False) -> Request:
    """The request of a body's fields. Raises APIError."""
    check(fields, counting)
    return translated(fields).request(DIALECT, fields, request_id)


def translated(fields: Fields) -> Turns:
    """A body in chat's form. Raises APIError for what is malformed."""
    told = Turns()
    told.system(fields.get("system"), "system")
    for place, message in enumerate(fields["messages"]):
        told.add(message, f"messages[{place}]")
    told.options.update(without_nothing({key: value for key, value in fields.items() if key not in OURS}))
    for name in UNTOLD:
        if fields.get(name) is not None:
            told.cannot(name)
    _limits(fields, told)
    _effort(fields, told)
    _tools(fields, told)
    return told


def _limits(fields: Fields, told: Turns) -> None:
    if fields.get("max_tokens") is not None:
        told.options["max_completion_tokens"] = fields["max_tokens"]
    if fields.get("stop_sequences"):
        told.options["stop"] = list_of(fields["stop_sequences"], "stop_sequences")
    user = object_in(fields, "metadata").get("user_id")
    if user is not None:
        told.options["user"] = user


def _effort(fields: Fields, told: Turns) -> None:
    thinking = object_in(fields, "thinking")
    config = object_in(fields, "output_config")
    effort = config.get("effort")
    if effort is None and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        check_count(budget, "thinking.budget_tokens")
        effort = next((name for most, name in EFFORTS if budget is not None and budget < most), "high")
    if effort is not None:
        told.options["reasoning_effort"] = effort
    form = object_in(config, "format", "output_config.")
    if form.get("type") == "json_schema":
        schema = {"name": "answer", "schema": form.get("schema"), "strict": True}
        told.options["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form:
        told.cannot("output_config.format.type")


def _tools(fields: Fields, told: Turns) -> None:
    functions = []
    for place, value in enumerate(list_in(fields, "tools")):
        tool, param = object_of(value, f"tools[{place}]"), f"tools[{place}]"
        if tool.get("type") not in (None, "custom"):
            told.cannot(f"{param}.type")
            continue
        about = {"description": tool.get("description"), "parameters": tool.get("input_schema")}
        named = {"name": text_of(tool, "name", param), **about, "strict": tool.get("strict")}
        functions.append({"type": "function", "function": without_nothing(named)})
    choice = object_in(fields, "tool_choice")
    if not functions:
        return
    told.options["tools"] = functions
    if choice.get("type") == "tool":
        told.options["tool_choice"] = {
            "type": "function",
            "function": {"name": text_of(choice, "name", "tool_choice")},
        }
    elif choice:
        told.options["tool_choice"] = CHOICES.get(str(choice.get("type")), "auto")
    if choice.get("disable_parallel_tool_use") is not None:
        told.options["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]

"""The dialect of /v1/responses: a body as a Request in chat's form, with all that chat cannot say kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from experts.base import Request
from gateway import custom
from gateway.chat import NUMBERS, check_number, wrong
from gateway.errors import APIError
from gateway.responses_input import ADDED, Items, chat_name
from gateway.translation import check_model, list_in, list_of, object_in, object_of, text_of, without_nothing

DIALECT = "responses"

UNTOLD = ("conversation", "prompt", "moderation", "context_management", "image", "access_programs")
"""Fields that ask for something that chat has no word for."""

OURS = frozenset(
    (
        *(
            "input",
            "instructions",
            "model",
            "tools",
            "tool_choice",
            "text",
            "reasoning",
            "max_output_tokens",
            "include",
        ),
        *("top_logprobs", "stream_options", "previous_response_id", "store", "background", "background_options"),
        *("truncation", "max_tool_calls", "prompt_cache_options", "prompt_cache_retention", *UNTOLD),
    )
)
"""Fields that chat does not know by this name: translated, ours to obey, or advice that binds nobody. All others
go to a chat expert as they are."""

LOGPROBS = "message.output_text.logprobs"
Fields = Mapping[str, Any]


def check(fields: Fields, compacting: bool = False) -> None:
    """Raises APIError for what is wrong in any expert's eyes, with the `param` at fault. What is to be made short may
    be an earlier response alone."""
    check_model(fields)
    given = fields.get("input")
    if given is None and compacting and fields.get("previous_response_id") is not None:
        given = [fields["previous_response_id"]]
    if not isinstance(given, str | list):
        raise APIError(wrong(given), "input must be a string or a list of items.", "input")
    if not given:
        raise APIError("invalid_value", "input must not be empty.", "input")
    for name in ("stream", "store", "background", "parallel_tool_calls"):
        if not isinstance(fields.get(name), bool | None):
            raise APIError("invalid_type", f"{name} must be a boolean.", name)
    for name in ("instructions", "previous_response_id"):
        if not isinstance(fields.get(name), str | None):
            raise APIError("invalid_type", f"{name} must be a string.", name)
    for name, (low, high) in NUMBERS.items():
        check_number(name, fields.get(name), low, high)
    check_count(fields.get("max_output_tokens"), "max_output_tokens")


def check_count(value: Any, name: str) -> None:
    """Raises APIError for what is no positive whole number; `None` is none at all."""
    if isinstance(value, float):
        raise APIError("invalid_type", f"{name} must be an integer.", name)
    check_number(name, value, 1, 10_000_000)


def request_of(fields: Fields, request_id: str, before: list[Any] | None = None) -> Request:
    """The request of a body's fields; `before` are the items of the conversation that it goes on with.
    Raises APIError."""
    check(fields)
    native = joined(fields, before)
    told = translated({**native, "input": items(native["input"])})
    if native.get("previous_response_id"):
        told.cannot("previous_response_id")
    return told.request(DIALECT, native, request_id)


def joined(fields: Fields, before: list[Any] | None) -> dict[str, Any]:
    """The fields with the conversation that they go on with in them, if it is kept here."""
    if before is None:
        return dict(fields)
    whole = {**fields, "input": [*before, *items(fields.get("input") or [])]}
    del whole["previous_response_id"]
    return whole


def items(given: str | list[Any]) -> list[Any]:
    """The items of an input; a string is what a user says."""
    return [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given


def translated(fields: Fields) -> Items:
    """A body in chat's form. Raises APIError for what is malformed."""
    told = Items()
    if fields.get("instructions"):
        told.messages.append({"role": "system", "content": fields["instructions"]})
    for place, item in enumerate(fields["input"]):
        told.add(item, f"input[{place}]")
    told.options.update(without_nothing({key: value for key, value in fields.items() if key not in OURS}))
    for name in UNTOLD:
        if fields.get(name) is not None:
            told.cannot(name)
    _tools(fields, told)
    _text(object_in(fields, "text"), told)
    _counts(fields, told)
    return told


def _counts(fields: Fields, told: Items) -> None:
    if fields.get("max_output_tokens") is not None:
        told.options["max_completion_tokens"] = fields["max_output_tokens"]
    effort = object_in(fields, "reasoning").get("effort")
    if effort is not None:
        told.options["reasoning_effort"] = effort
    if wants_logprobs(fields):
        told.options["logprobs"] = True
        if fields.get("top_logprobs") is not None:
            told.options["top_logprobs"] = fields["top_logprobs"]


def wants_logprobs(fields: Fields) -> bool:
    """Whether the client asks how likely each token was."""
    return bool(fields.get("top_logprobs")) or LOGPROBS in list_in(fields, "include")


def _text(text: Fields, told: Items) -> None:
    if text.get("verbosity") is not None:
        told.options["verbosity"] = text["verbosity"]
    form = object_in(text, "format", "text.") or {"type": "text"}
    match form.get("type"):
        case "text":
            pass
        case "json_object":
            told.options["response_format"] = {"type": "json_object"}
        case "json_schema":
            names = ("name", "description", "schema", "strict")
            schema = without_nothing({name: form.get(name) for name in names})
            told.options["response_format"] = {"type": "json_schema", "json_schema": schema}
        case _:
            told.cannot("text.format")


def _tools(fields: Fields, told: Items) -> None:
    functions = [_function(each, told) for each in offered(fields, told)]
    choice, functions = _choice(fields.get("tool_choice"), functions, told)
    if functions:
        told.options["tools"] = functions
        if choice is not None:
            told.options["tool_choice"] = choice


class Offer(NamedTuple):
    """A tool that the client runs: a function or a free-form tool, perhaps in a namespace."""

    tool: Fields
    namespace: str | None
    place: str

    @property
    def chat_name(self) -> str:
        """Its name in chat. Raises APIError."""
        return chat_name(self.namespace, text_of(self.tool, "name", self.place))

    @property
    def custom(self) -> bool:
        """Whether it is a free-form tool."""
        return self.tool.get("type") == "custom"


def offered(fields: Fields, told: Items | None = None) -> list[Offer]:
    """The tools of a request and those that its items add; what is no such tool is told. Raises APIError."""
    told = told or Items()
    found = _offers(list_in(fields, "tools"), "tools", None, told)
    given = fields.get("input")
    for place, item in enumerate(given if isinstance(given, list) else ()):
        if isinstance(item, dict) and item.get("type") == ADDED:
            where = f"input[{place}].tools"
            found += _offers(list_of(item.get("tools"), where), where, None, told)
    return found


def _offers(tools: list[Any], where: str, namespace: str | None, told: Items) -> list[Offer]:
    found = []
    for place, value in enumerate(tools):
        param = f"{where}[{place}]"
        tool = object_of(value, param)
        kind = tool.get("type", "function" if namespace else None)
        if kind in ("function", "custom"):
            found.append(Offer(tool, namespace, param))
        elif namespace is not None:
            told.cannot(f"{param}.type")
        elif kind == "namespace":
            inner = f"{param}.tools"
            found += _offers(list_of(tool.get("tools"), inner), inner, text_of(tool, "name", param), told)
        else:
            told.offers.append(f"{param}.type")
    return found


def _function(offer: Offer, told: Items) -> dict[str, Any]:
    if offer.custom:
        return custom.function(
            offer.chat_name, offer.tool, custom.format_of(offer.tool, offer.place), offer.place, told
        )
    about = without_nothing({name: offer.tool.get(name) for name in ("description", "parameters", "strict")})
    return {"type": "function", "function": {"name": offer.chat_name, **about}}


def _choice(choice: Any, functions: list[dict[str, Any]], told: Items) -> tuple[Any, list[dict[str, Any]]]:
    """The choice in chat's form and the functions that it leaves: an offer of some is an offer without the others."""
    if choice is None or isinstance(choice, str):
        return choice, functions
    match object_of(choice, "tool_choice"):
        case {"type": "function" | "custom", "name": str(name)}:
            return {"type": "function", "function": {"name": chat_name(choice.get("namespace"), name)}}, functions
        case {"type": "allowed_tools", "mode": str(mode), "tools": list(tools)}:
            named = [object_of(tool, "tool_choice.tools") for tool in tools]
            allowed = {chat_name(tool.get("namespace"), str(tool.get("name"))) for tool in named}
            return mode, [each for each in functions if each["function"]["name"] in allowed]
    told.cannot("tool_choice")
    return None, functions


def called(fields: Fields) -> dict[str, Offer]:
    """The tools that a chat expert may call under another name or in another form, by their names in chat."""
    return {each.chat_name: each for each in offered(fields) if each.namespace or each.custom}

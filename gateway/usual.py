"""The usual shape of a chat body, checked in one look in C: what fits it needs no second one."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct, ValidationError, convert

from gateway.body import shallow

Flag: TypeAlias = bool | None
Text: TypeAlias = str | None
Name: TypeAlias = Annotated[str, Meta(min_length=1)]
Degree: TypeAlias = Annotated[int, Meta(ge=0, le=2)] | Annotated[float, Meta(ge=0, le=2)] | None
Share: TypeAlias = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)] | None
Penalty: TypeAlias = Annotated[int, Meta(ge=-2, le=2)] | Annotated[float, Meta(ge=-2, le=2)] | None
Count: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)] | None
Number: TypeAlias = int | float | None
Scalar: TypeAlias = str | int | float | bool | None
Flat: TypeAlias = dict[str, Scalar] | None
Texts: TypeAlias = str | list[str] | None


class Shape(Struct, gc=False, forbid_unknown_fields=True):
    """What has these fields and no others."""


class Part(Shape):
    """A part of a message."""

    type: str
    text: Text = None
    refusal: Text = None
    image_url: Flat = None
    input_audio: Flat = None
    file: Flat = None
    cache_control: Flat = None


class Function(Shape):
    """What a tool is called with."""

    name: str
    arguments: str


class ToolCall(Shape):
    """A call of a tool."""

    id: str
    type: str
    function: Function
    index: int | None = None


class Said(Shape):
    """A message that calls no tool."""

    role: str
    content: str | list[Part] | None = None
    name: Text = None
    tool_call_id: Text = None
    refusal: Text = None
    reasoning_content: Text = None
    reasoning: Text = None


class Message(Said):
    """Any message."""

    tool_calls: list[ToolCall] | None = None


class Plain(Shape):
    """A body without tools. It is stricter than `chat.careful` in every field, so that what fits here passes there."""

    model: Name
    messages: Annotated[list[Said], Meta(min_length=1)]
    stream: Flag = None
    stream_options: Flat = None
    temperature: Degree = None
    top_p: Share = None
    max_tokens: Count = None
    max_completion_tokens: Count = None
    n: Count = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    stop: Texts = None
    seed: Number = None
    user: Text = None
    safety_identifier: Text = None
    prompt_cache_key: Text = None
    prompt_cache_retention: Text = None
    reasoning_effort: Text = None
    verbosity: Text = None
    service_tier: Text = None
    store: Flag = None
    metadata: Flat = None
    logprobs: Flag = None
    top_logprobs: Number = None
    logit_bias: Flat = None
    parallel_tool_calls: Flag = None
    modalities: Texts = None
    top_k: Number = None
    min_p: Number = None
    repetition_penalty: Number = None


class Usual(Plain):
    """The same for any body. Only what NESTED names may be of any depth."""

    messages: Annotated[list[Message], Meta(min_length=1)]  # type: ignore[assignment] # nobody reads it: it is a shape
    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: Any = None
    reasoning: Any = None
    chat_template_kwargs: Any = None


NESTED = frozenset({"tools", "tool_choice", "response_format", "reasoning", "chat_template_kwargs"})
"""Fields of a body that hold what they like."""
SHALLOW: deque[Any] = deque(maxlen=16)
"""What was found not to nest too deep lately: agents send the same tools each time."""
LARGEST = 64 * 1024
"""Bytes of a body of which that is remembered."""


def usual(fields: Any, size: int) -> bool:
    """Whether a body, perhaps with tools, needs no careful look. Raises APIError."""
    try:
        convert(fields, Usual)
    except ValidationError:
        return False
    for name in NESTED.intersection(fields):
        value = fields[name]
        if value not in SHALLOW:
            shallow({name: value})
            if size <= LARGEST:
                SHALLOW.append(value)
    return True

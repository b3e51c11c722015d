"""Whatever a body of another dialect says, it is taken or refused with a 400: never a fault of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import messages, responses
from gateway.errors import APIError
from gateway.messages_events import Writer as MessagesWriter
from gateway.responses_events import Writer as ResponsesWriter
from gateway.responses_object import listed, page

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        (
            *(
                "",
                "hi",
                "user",
                "assistant",
                "developer",
                "message",
                "reasoning",
                "function_call",
                "function_call_output",
            ),
            *(
                "input_text",
                "input_image",
                "input_file",
                "text",
                "image",
                "document",
                "thinking",
                "tool_use",
                "tool_result",
            ),
            *("function", "namespace", "custom", "web_search", "allowed_tools", "auto", "json_schema", "base64", "url"),
        )
    )
)
KEYS = st.sampled_from(
    (
        *("type", "role", "content", "id", "call_id", "name", "arguments", "output", "summary", "encrypted_content"),
        *("text", "image_url", "file_data", "tools", "mode", "namespace", "format", "effort", "source", "media_type"),
        *("data", "input", "tool_use_id", "thinking", "budget_tokens", "user_id", "parameters", "verbosity", "schema"),
    )
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
RESPONSES = st.sampled_from(
    (
        *("instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "stream", "store"),
        *("top_logprobs", "max_output_tokens", "previous_response_id", "conversation", "background", "temperature"),
    )
)
MESSAGES = st.sampled_from(
    (
        *("system", "tools", "tool_choice", "thinking", "metadata", "output_config", "stop_sequences", "stream"),
        *("temperature", "container", "service_tier"),
    )
)


def status(act: Callable[[], object]) -> int:
    """What a client would be answered."""
    try:
        act()
    except APIError as error:
        return error.http_status
    return 200


@pytest.mark.parametrize("field", ["list", "any"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(RESPONSES, VALUES, max_size=4), st.lists(OBJECTS, max_size=3), VALUES)
def test_a_responses_body_is_taken_or_refused(field, more, items, anything):
    """Row 36."""
    body: dict[str, Any] = {"model": "m", **more, "input": items if field == "list" else anything}

    def act() -> None:
        request = responses.request_of(body, "1")
        ResponsesWriter(request, body, "m", True)
        page(listed(responses.items(body["input"]), "1"), {})

    assert status(act) in (200, 400)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(MESSAGES, VALUES, max_size=4), st.lists(OBJECTS, max_size=3), st.booleans())
def test_a_messages_body_is_taken_or_refused(more, turns, counting):
    """Row 36."""
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, **more, "messages": turns}
    assert status(lambda: MessagesWriter(messages.request_of(body, "1", counting), "m", 1)) in (200, 400)

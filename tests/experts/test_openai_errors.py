"""Errors of OpenAI-compatible servers in every shape seen: typed by whose fault it is, and cleaned of secrets."""

import email.utils

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.base import ExpertError, Rejected, Unavailable
from experts.openai_errors import clean, of_payload, of_status, retry_after
from tests.experts.openai_server import DONE, GOOD, event, failure_of, streaming
from tests.experts.raw import always, answer, serving

NESTED = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
FLAT = {"object": "error", "message": "The request queue is full.", "type": "503", "code": 503}
SGLANG_QUEUE = {"error": {**FLAT, "type": "SERVICE_UNAVAILABLE"}}
"""What SGLang puts into a stream with status 200 when its queue is full."""


@pytest.mark.parametrize(
    ("status", "kind"),
    [(code, Rejected) for code in (400, 404, 405, 406, 413, 415, 422)]
    + [(code, Unavailable) for code in (202, 300, 302, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 529, 599)],
)
async def test_a_status_says_whose_fault_it_is(status, kind):
    """Row 3."""
    error, _ = await failure_of(always(answer(orjson.dumps(NESTED), b"%d X" % status)))
    assert type(error) is kind
    assert error.about["status"] == status


async def test_a_refusal_keeps_status_type_code_param_and_message():
    """Row 13."""
    nested = {"error": {**NESTED["error"], "param": "messages"}}
    error, _ = await failure_of(always(answer(orjson.dumps(nested), b"400 Bad Request")), stream=True)
    assert isinstance(error, Rejected)
    assert str(error) == "too long"
    code, kind = "context_length_exceeded", "invalid_request_error"
    assert error.about == {"status": 400, "type": kind, "code": code, "param": "messages", "cost": 0}


async def test_refused_credentials_are_the_operator_s_business():
    error, _ = await failure_of(always(answer(b'{"error":"Unauthorized"}', b"401 Unauthorized")))
    assert str(error) == "the expert refuses our credentials"
    assert error.retryable


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (SGLANG_QUEUE, Unavailable, 503),
        (FLAT, Unavailable, 503),
        ({"error": "Unauthorized"}, Unavailable, 502),
        (
            {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}},
            Unavailable,
            503,
        ),
        ({"error": {"message": "x", "type": "overloaded_error"}}, Unavailable, 503),
        (NESTED, Rejected, 400),
        (
            {"object": "error", "message": "Requested token count exceeds the model's context", "code": 400},
            Rejected,
            400,
        ),
        ({"detail": "Not Found"}, Rejected, 400),
        ({"error": {"message": "boom", "code": "500"}}, Unavailable, 500),
        ({"error": {"code": 429, "message": "slow down"}}, Unavailable, 429),
        ({"error": [1]}, Unavailable, 502),
        ({"hello": "world"}, Unavailable, 502),
        ({"choices": []}, Unavailable, 502),
        ({"choices": None}, Unavailable, 502),
        ({"choices": [{"index": 0}]}, Unavailable, 502),
        ([], Unavailable, 502),
    ],
    ids=str,
)
async def test_an_error_in_a_200_is_an_error(body, kind, status, stream):
    """Row 11."""
    error, seen = await failure_of(always(answer(orjson.dumps(body))), stream=stream)
    assert (type(error), error.about["status"], seen) == (kind, status, 0)


@pytest.mark.parametrize("body", [SGLANG_QUEUE, FLAT, {"error": "full"}], ids=["nested", "flat", "string"])
async def test_an_error_event_first_in_a_stream_comes_before_any_chunk(body):
    """Row 11: SGLang answers an overload with 200 and an event."""
    error, seen = await failure_of(streaming(event(body), DONE), stream=True)
    assert (type(error), seen) == (Unavailable, 0)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b"<html>busy</html>", {"kind": b"text/html"}),
        (b"", {}),
        (b"", {"kind": b"text/event-stream"}),
        (b": only a comment\n\n", {"kind": b"text/event-stream"}),
        (DONE, {"kind": b"text/event-stream"}),
        (b'{"choices": [{"message": {"content": "hal', {}),
        (b"\x1f\x8b\x08garbage", {"more": b"content-encoding: gzip\r\n"}),
    ],
    ids=["html", "empty", "no events", "comment", "done", "half", "gzip"],
)
async def test_a_200_that_is_no_answer_is_an_error(body, head, stream):
    """Rows 11 and 12."""
    error, seen = await failure_of(always(answer(body, **head)), stream=stream)
    assert (type(error), error.about["code"], seen) == (Unavailable, "upstream_protocol_error", 0)


async def test_a_redirect_is_not_followed():
    """Row 12: the key goes nowhere else."""
    async with serving(always(answer(b"{}"))) as other:
        more = b"location: %b/v1/chat/completions\r\n" % other.url.encode()
        error, _ = await failure_of(always(answer(b"", b"307 Temporary Redirect", more=more)))
        assert (type(error), other.seen) == (Unavailable, 0)


async def test_an_error_after_the_first_chunk_carries_no_status_of_success():
    error, seen = await failure_of(streaming(GOOD[0], GOOD[1], event(SGLANG_QUEUE)), stream=True)
    assert (error.reason, seen) == ("broken_off", 2)


async def test_the_wait_that_the_server_asks_for_is_passed_on():
    """Row 2."""
    error, _ = await failure_of(always(answer(b"", b"429 Too Many", more=b"Retry-After: 7\r\n")))
    assert error.about["retry_after"] == 7
    error, _ = await failure_of(always(answer(b"", b"429 Too Many", more=b"Retry-After: -1\r\n")))
    assert "retry_after" not in error.about


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"0"}, 0),
        ({b"retry-after": b"1.5"}, 1.5),
        ({b"retry-after-ms": b"250", b"retry-after": b"9"}, 0.25),
        ({b"retry-after": email.utils.formatdate(NOW + 30, usegmt=True).encode()}, 30),
        ({b"retry-after": email.utils.formatdate(NOW - 30, usegmt=True).encode()}, None),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"1e9"}, None),
        ({b"retry-after": b"NaN"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"\xff\xfe"}, None),
        ({b"retry-after": b""}, None),
        ({b"retry-after": b"Mon, 99 Foo 2026 00:00:00 GMT"}, None),
    ],
    ids=str,
)
def test_the_wait_is_read_in_seconds_milliseconds_or_as_a_date_and_absurd_ones_are_ignored(headers, seconds):
    """Row 2."""
    assert retry_after(headers, NOW) == seconds


@given(st.binary(max_size=40))
def test_any_wait_is_none_or_within_a_day(value):
    seconds = retry_after({b"retry-after": value, b"retry-after-ms": value}, NOW)
    assert seconds is None or 0 <= seconds <= 86400


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("This model's maximum context length is 4096 tokens.", "This model's maximum context length is 4096 tokens."),
        ("bad file /usr/lib/python3/site-packages/sglang/srt/server.py line 3", "bad file ... line 3"),
        ("cannot reach http://10.0.0.7:30000/v1/x now", "cannot reach ... now"),
        ("peer 10.0.0.7:30000 and gpu-1.internal:30000 failed", "peer ... and ... failed"),
        ("key sk-abcdefgh12345 is invalid", "key ... is invalid"),
        ("C:\\Users\\me\\model.gguf missing", "... missing"),
        ("bad input 'my very long and very secret prompt, word by word'", "bad input ..."),
        ('first line\n  File "/srv/a/b.py", line 1', "first line"),
        ("boom Traceback (most recent call last): secret", "boom"),
        ("x" * 1000, "x" * 300 + "..."),
        ("either/or, 1/2 and 10:30 are fine", "either/or, 1/2 and 10:30 are fine"),
        ("", ""),
    ],
)
def test_a_message_is_cleaned_of_paths_addresses_keys_and_quotations(message, left):
    assert clean(message) == left


def test_a_validation_error_of_sglang_becomes_its_fields():
    message = (
        "1 validation errors:\n  {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', "
        "'input': {'model': 'a', 'prompt': 'secret'}}\n\n  File \"/sgl/http_server.py\", line 1, in f\n"
    )
    error = of_status(400, [], orjson.dumps({"object": "error", "message": message, "code": 400}), NOW)
    assert str(error) == "body.messages: Field required"
    fastapi = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": "secret"}]}
    assert str(of_status(422, [], orjson.dumps(fastapi), NOW)) == "Field required"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "object", "message", "code", "type", "detail", "choices", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_an_error_or_none(payload):
    found = of_payload(payload)
    assert found is None or isinstance(found, ExpertError)
    assert isinstance(of_status(400, [], orjson.dumps(payload), NOW), Rejected)


@given(st.binary(max_size=100), st.integers(300, 599))
def test_any_body_of_any_status_is_an_error(body, status):
    assert isinstance(of_status(status, [], body, NOW), ExpertError)

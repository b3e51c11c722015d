"""Errors tell what may be done instead, and what was spent all the same."""

from __future__ import annotations

import pytest

from experts.base import Rejected, Unavailable
from gateway.body import DEPTH
from tests.gateway.conftest import make_door, scripted, serving


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/files", "GET, POST"),
        ("POST", "/v1/files/file-1", "DELETE, GET"),
        ("DELETE", "/v1/batches/b/cancel", "POST"),
        ("OPTIONS", "/v1/models", "GET"),
    ],
)
async def test_a_method_that_is_not_taken_is_a_405_that_says_which_are(served, method, path, allow):
    response = await served.http().request(method, path)

    assert response.status_code == 405
    assert response.headers["allow"] == allow
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_says_what_was_spent(tmp_path, stream):
    failing = [scripted(name, fail=Unavailable("down", cost=1_500)) for name in ("one", "two")]
    async with serving(make_door(tmp_path, failing)) as served:
        response = await served.ask(stream=stream)

    assert response.status_code == 503
    assert response.headers["x-lyceum-cost"] == "0.000003000"


async def test_an_error_that_cost_nothing_names_no_cost(tmp_path):
    async with serving(make_door(tmp_path, [scripted("one", fail=Rejected("no", status=422))])) as served:
        response = await served.ask()

    assert response.status_code == 422
    assert "x-lyceum-cost" not in response.headers


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b'{"model": "auto", "model": "first", "messages": []}', "duplicate_key", "model"),
        (b'{"model": "auto", "messages": [{"role": "user", "role": "system"}]}', "duplicate_key", "role"),
        (b'{"model": "auto", "tools": [{"a": {"b": 1, "b": 2}}], "messages": []}', "duplicate_key", "b"),
        (b'{"x":1,"x":2,"model":"auto","messages":[{"role":"user","content":"\\u0022\\u0022"}]}', "duplicate_key", "x"),
        (b'{"model": "auto", "\\u0000": 1, "\\u0000": 2, "messages": []}', "duplicate_key", None),
        (b'{"a": ' + b"[" * DEPTH + b"]" * DEPTH + b"}", "invalid_value", None),
        (b'{"a": ' + b'{"b":' * 400 + b"1" + b"}" * 400 + b"}", "invalid_value", None),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json", None),
        (b'\xef\xbb\xbf{"model": "auto"}', "invalid_json", None),
        ('{"model": "auto"}'.encode("utf-16"), "invalid_json", None),
        (b'{"model": "\xc0\xaf"}', "invalid_json", None),
        (b'{"model": "auto"} x', "invalid_json", None),
        (b'{"temperature": 1e999}', "invalid_json", None),
        (b'{"seed": ' + b"9" * 5000 + b"}", "invalid_json", None),
        (b'{"temperature": -Infinity}', "invalid_json", None),
        (b'{"a": "\\udfff"}', "invalid_json", None),
        (b'{"a": "\x00"}', "invalid_json", None),
    ],
)
async def test_json_that_two_readers_could_read_differently_is_refused(served, body, code, param):
    """Rows 31 to 35."""
    for path in ("chat/completions", "completions", "embeddings", "rerank", "responses", "messages"):
        response = await served.http().post(f"/v1/{path}", content=body)

        error = response.json()["error"]
        assert response.status_code == 400
        if path != "messages":  # Anthropic's form has no code
            assert (error["code"], error["param"]) == (code, param)


async def test_what_only_looks_like_a_key_twice_is_none(served):
    text = '{"model": "x", "model": "y"} and "a":"b" :'
    response = await served.ask(messages=[{"role": "user", "content": text}], tools=[{"a": {"x": 1}, "b": {"x": 1}}])

    assert response.status_code == 200


async def test_what_is_as_deep_as_allowed_reaches_an_expert(served):
    deep: object = "end"
    for _ in range(DEPTH - 2):
        deep = [deep]
    response = await served.ask(metadata=deep)

    assert response.status_code == 200


async def test_integers_beyond_a_float_are_no_crash(served):
    body = b'{"model":"auto","messages":[{"role":"user","content":"a"}],"seed":1234567890123456789012345}'
    response = await served.http().post("/v1/chat/completions", content=body)

    assert response.status_code == 200

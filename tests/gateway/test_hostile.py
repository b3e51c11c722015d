"""Bodies and heads that are wrong, huge or sly: a clear 4xx, or a plain answer; never a 5xx of ours."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from experts.openai_http import OpenAIHTTP
from tests.experts import raw
from tests.gateway.conftest import CARD, KEY, Served, make_door, scripted, serving
from tests.gateway.test_hot import whole

ASK = '"messages":[{"role":"user","content":"hi"}]'

SAYS = b'{"model":"auto","messages":[{"role":"user","content":"%b"}]}'


def with_(fields: str) -> bytes:
    return f'{{"model":"auto",{fields},{ASK}}}'.encode()


REFUSED = {
    "nothing": (b"", "invalid_json", None),
    "no json": (b"hello", "invalid_json", None),
    "a list": (b"[]", "invalid_json", None),
    "a byte order mark": (b"\xef\xbb\xbf" + with_('"n":1'), "invalid_json", None),
    "utf-16": (with_('"n":1').decode().encode("utf-16"), "invalid_json", None),
    "overlong utf-8": (b'{"model":"\xc0\xaf"}', "invalid_json", None),
    "bytes after the end": (with_('"n":1') + b" x", "invalid_json", None),
    "NaN": (with_('"temperature":NaN'), "invalid_json", None),
    "1e999": (with_('"temperature":1e999'), "invalid_json", None),
    "5,000 digits": (with_(f'"seed":{"9" * 5000}'), "invalid_json", None),
    "a lone surrogate, escaped": (
        SAYS % b"\\ud800",
        "invalid_json",
        None,
    ),
    "a lone surrogate, raw": (
        SAYS % b"\xed\xa0\x80",
        "invalid_json",
        None,
    ),
    "model twice": (with_('"model":"one"'), "duplicate_key", "model"),
    "65 deep": (with_(f'"x":{"[" * 65}{"]" * 65}'), "invalid_value", None),
    "a thousand deep": (with_(f'"x":{"[" * 1000}{"]" * 1000}'), "invalid_value", None),
    "a hundred thousand deep": (with_(f'"x":{"[" * 100_000}{"]" * 100_000}'), "invalid_json", None),
    "n = 1e9": (with_('"n":1000000000'), "invalid_value", "n"),
    "no token": (with_('"max_tokens":0'), "invalid_value", "max_tokens"),
    "1e12 tokens": (with_('"max_tokens":1000000000000'), "invalid_value", "max_tokens"),
    "a number as model": (f'{{"model":5,{ASK}}}'.encode(), "invalid_type", "model"),
    "no messages": (b'{"model":"auto"}', "missing_required_parameter", "messages"),
    "messages of none": (b'{"model":"auto","messages":[]}', "invalid_value", "messages"),
    "a message that is a number": (b'{"model":"auto","messages":[5]}', "invalid_type", "messages[0]"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_body_is_a_400_that_says_where_rows_31_to_36(served, case):
    body, code, param = REFUSED[case]
    response = await served.http().post("/v1/chat/completions", content=body)

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (400, code, "invalid_request_error")
    assert error["param"] == param
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    "model",
    ["a" * 10_000, "a\0\r\nx: y\x1b[31m", "../../etc/passwd", "' OR 1=1 --", "{{7*7}}", "auto:nan", "auto:-1", "auto:"],
    ids=repr,
)
async def test_a_model_that_is_not_there_is_a_404_and_no_label_row_37(served, model):
    response = await served.ask(model=model)
    metrics = (await served.http().get("/metrics")).text

    assert response.status_code == 404
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == ("model_not_found", "model")
    assert model not in metrics
    assert "x" not in [name.lower() for name in response.headers]


ODD = ["", "   ", "a\0b", "\u202eright to left", "\U0010ffff\U0001f600" * 100, "\u2028\u0085\n", "word " * 4000]


@pytest.mark.parametrize("prompt", ODD, ids=lambda prompt: ascii(prompt)[:20])
async def test_an_odd_prompt_is_answered_row_38(served, prompt):
    response = await served.ask(messages=[{"role": "user", "content": prompt}])
    assert response.status_code == 200


async def test_a_prompt_beyond_every_context_is_a_400_row_38(served):
    response = await served.ask(messages=[{"role": "user", "content": "word " * 200_000}])
    assert (response.status_code, response.json()["error"]["code"]) == (400, "no_eligible_expert")


async def sent(served: Served, head: str) -> bytes:
    """What a raw request is answered with."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("\n", "\r\n").encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


PATHS = [
    "//v1/models",
    "/v1%2fmodels",
    "/v1/models/../models",
    "/v1/./models",
    "@evil/v1/models",
    "http://evil/v1/models",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["Host: x\n", "Host: @evil.com\n", "", "Host: a\nHost: b\n"], ids=repr)
async def test_no_way_of_writing_an_address_or_a_host_comes_in_without_a_key_row_27(served, path, host):
    answer = await sent(served, f"GET {path} HTTP/1.1\n{host}Connection: close\n\n")

    assert answer.split(b" ")[1] in (b"400", b"401", b"404")


async def test_an_expert_hears_nothing_of_the_clients_headers_nor_the_client_of_its_row_28(tmp_path):
    heads: list[bytes] = []
    answer = whole().replace(b"content-type", b"set-cookie: a=b\r\nx-internal: 1\r\nserver: theirs\r\ncontent-type", 1)

    async def handler(talk: raw.Talk) -> None:
        head, _ = await talk.request()
        heads.append(head.lower())
        await talk.say(answer)

    odd = {"x-forwarded-for": "1.2.3.4", "cookie": "c=1", "x-internal-admin": "yes", "openai-organization": "o"}
    async with raw.serving(handler) as server:
        experts = [OpenAIHTTP("e0", CARD, url=f"{server.url}/v1", key="theirs")]
        async with serving(make_door(tmp_path, experts)) as served:
            body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
            response = await served.http().post("/v1/chat/completions", json=body, headers=odd)

    assert b"bearer theirs" in heads[0]
    assert KEY.encode() not in heads[0]
    assert [name for name in odd if name.encode() in heads[0]] == []
    assert {"set-cookie", "x-internal"} & set(response.headers) == set()
    assert response.headers.get("server") != "theirs"


async def test_many_keys_and_a_long_string_are_read_in_time_and_answered_row_35(tmp_path):
    fields = {f"k{number}": 1 for number in range(100_000)} | {"x": "a" * 5_000_000}
    async with serving(make_door(tmp_path, [scripted("one")])) as served:
        response: httpx2.Response = await served.ask(**fields)
    assert response.status_code == 200
    assert json.loads(response.text)["choices"]

"""Endpoints that are passed through: byte for byte, metered, recorded, and refused clearly where nobody has them."""

from __future__ import annotations

import io
from typing import Any

import httpx2
import openai
import pytest
from openai.types import Batch, FileObject, ImagesResponse, ModerationCreateResponse
from openai.types.audio import Transcription

from policies.budget import Budget
from policies.pick import Utility
from tests.experts.raw import answer
from tests.gateway.conftest import KEY, OTHER, make_door, scripted, serving
from tests.gateway.endpoints import gateway, json_reply, stream_reply

CATEGORIES = {
    name: False
    for name in ("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent")
    + ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence")
    + ("violence/graphic",)
}
MODERATION = {
    "id": "modr-1",
    "model": "their-model",
    "results": [
        {
            "flagged": False,
            "categories": CATEGORIES,
            "category_scores": dict.fromkeys(CATEGORIES, 0.1),
            "category_applied_input_types": dict.fromkeys(CATEGORIES, ["text"]),
        }
    ],
}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 3,
    "created_at": 1,
    "filename": "a.jsonl",
    "purpose": "batch",
    "status": "processed",
}
BATCH = {
    "id": "batch-1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "status": "validating",
    "created_at": 1,
}
IMAGE = {"created": 1, "data": [{"b64_json": "aGk="}], "usage": {"input_tokens": 10, "output_tokens": 20}}
AUDIO = bytes(range(256)) * 40
REPLIES = {
    "/v1/moderations": json_reply(MODERATION),
    "/v1/rerank": json_reply({"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 40}}),
    "/v1/audio/speech": answer(AUDIO, kind=b"audio/mpeg", more=b"x-internal: secret\r\n"),
    "/v1/audio/transcriptions": json_reply({"text": "hello"}),
    "/v1/audio/translations": json_reply({"text": "hello"}),
    "/v1/images": json_reply(IMAGE),
    "/v1/files": json_reply(FILE),
    "/v1/files/file-1/content": answer(b"a\nb\n", kind=b"application/octet-stream"),
    "/v1/batches": json_reply(BATCH),
}


@pytest.fixture
async def passing(tmp_path):
    async with gateway(tmp_path, REPLIES) as pair:
        yield pair


async def test_the_openai_client_moderates(passing):
    served, seen = passing
    answer = await served.openai().moderations.create(model="server", input=["a", "b"])

    assert isinstance(answer, ModerationCreateResponse)
    assert answer.results[0].flagged is False
    assert b'"model":"their-model"' in seen[0][3].replace(b": ", b":")


async def test_the_openai_client_speaks_and_hears(passing):
    served, seen = passing
    client = served.openai()
    speech = await client.audio.speech.create(model="server", voice="alloy", input="hello")
    heard = await client.audio.transcriptions.create(model="server", file=("a.wav", AUDIO))
    form = {"data": {"model": "server"}, "files": {"file": ("a.wav", AUDIO)}}
    english = await served.http().post("/v1/audio/translations", **form)

    assert speech.content == AUDIO
    assert speech.response.headers["content-type"] == "audio/mpeg"
    assert "x-internal" not in speech.response.headers
    assert (heard.text, english.json()["text"]) == ("hello", "hello")
    assert isinstance(heard, Transcription)
    assert all(AUDIO in body for method, path, _, body in seen if path != "/v1/audio/speech")
    assert all(
        b'name="model"\r\n\r\ntheir-model\r\n' in body for _, path, _, body in seen if path != "/v1/audio/speech"
    )


async def test_the_openai_client_makes_images(passing):
    served, seen = passing
    client = served.openai()
    made = await client.images.generate(model="server", prompt="a cat")
    edited = await client.images.edit(model="server", image=("a.png", AUDIO), prompt="a dog")

    assert isinstance(made, ImagesResponse)
    assert [image.b64_json for image in (made.data or []) + (edited.data or [])] == ["aGk="] * 2
    row = served.ledger("outcomes")[0]
    assert (row["prompt_tokens"], row["completion_tokens"], row["cost"]) == (10, 20, 50_000)


async def test_the_openai_client_keeps_files_and_batches_with_one_expert(passing):
    served, seen = passing
    client = served.openai()
    file = await client.files.create(file=("a.jsonl", io.BytesIO(b"{}\n")), purpose="batch")
    await client.files.retrieve("file-1")
    content = await client.files.content("file-1")
    batch = await client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    await client.batches.retrieve("batch-1")
    await client.batches.cancel("batch-1")
    await client.batches.list(limit=3)

    assert isinstance(file, FileObject)
    assert isinstance(batch, Batch)
    assert content.content == b"a\nb\n"
    assert [(method, path) for method, path, *_ in seen] == [
        ("POST", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/batch-1"),
        ("POST", "/v1/batches/batch-1/cancel"),
        ("GET", "/v1/batches?limit=3"),
    ]
    assert {row["cost"] for row in served.ledger("outcomes")[:2]} == {0}


async def test_every_byte_but_the_models_name_goes_on_as_it_came(passing):
    served, seen = passing
    body = b'{ "query":"q", "model" : "server",\n "documents":["\xe2\x80\xa8", 1e2], "big": 12345678901234567890123 }'
    await served.http().post("/v1/rerank", content=body)
    twice = b'{"query": {"model": "x"}, "model": "server"}'
    await served.http().post("/v1/rerank", content=twice)
    await served.http().post("/v1/rerank", content=b'{"query": "q"}')

    assert seen[0][3] == body.replace(b' "server"', b'"their-model"')
    assert seen[1][3] == b'{"model":"their-model","query":{"model":"x"}}'
    assert seen[2][3] == b'{"query": "q"}'


async def test_what_is_passed_is_behind_keys_in_the_ledger_and_explained(passing):
    served, seen = passing
    body = {"query": "q", "documents": ["a", "b"]}
    assert (await served.http(None).post("/v1/rerank", json=body)).status_code == 401
    response = await served.http().post("/v1/rerank", json=body)

    story = (await served.http().get(f"/v1/decisions/{response.headers['x-lyceum-decision']}")).json()
    assert response.headers["x-lyceum-expert"] == "server"
    assert float(response.headers["x-lyceum-cost"]) == 40e-6
    assert story["decisions"][0]["policy"] == "passed"
    assert story["outcomes"][0]["prompt_tokens"] == 40
    assert seen[0][2]["authorization"] == "Bearer ours"
    assert KEY not in str(seen)
    assert (await served.http(OTHER).get(f"/v1/decisions/{response.headers['x-lyceum-decision']}")).status_code == 404


async def test_a_budget_holds_for_what_is_passed(tmp_path):
    policy = Budget(Utility(1.0), usd_per_request=0.000_000_001)
    async with gateway(tmp_path, REPLIES, policy=policy) as (served, seen):
        response = await served.http().post("/v1/rerank", json={"query": "q", "documents": []})

    assert response.status_code == 429
    assert response.headers["x-should-retry"] == "false"
    assert seen == []


async def test_an_endpoint_that_nobody_has_is_a_404_that_says_what_is_missing(tmp_path):
    async with serving(make_door(tmp_path, [scripted("talker")])) as served:
        with pytest.raises(openai.NotFoundError) as caught:
            await served.openai().moderations.create(model="auto", input="a")

    assert caught.value.code == "endpoint_not_served"
    assert "/moderations" in caught.value.message
    assert "paths" in caught.value.message


@pytest.mark.parametrize(
    ("model", "code"), [("talker", "endpoint_not_served"), ("nobody", "model_not_found"), (5, "invalid_type")]
)
async def test_a_model_without_the_endpoint_is_refused(passing, model, code):
    served, seen = passing
    response = await served.http().post("/v1/rerank", json={"model": model, "query": "q"})

    assert response.json()["error"]["code"] == code
    assert seen == []


async def test_a_form_without_its_boundary_is_a_415(passing):
    served, _ = passing
    for kind in ("application/json", "multipart/form-data", "multipart/form-data; boundary=é"):
        response = await served.http().post("/v1/files", content=b"x", headers={"content-type": kind.encode()})

        assert response.status_code == 415


async def test_the_experts_refusal_is_passed_on_cleaned(tmp_path):
    refusal = {"error": {"message": "bad voice at /srv/models/x/y", "code": "bad_voice", "param": "voice"}}
    replies = {"/v1": json_reply(refusal, b"400 Bad Request")}
    async with gateway(tmp_path, replies) as (served, _):
        response = await served.http().post("/v1/audio/speech", json={"input": "x"})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "voice"
    assert "/srv" not in response.text


async def test_a_stream_of_events_is_metered_and_passed_on(tmp_path):
    used = b'data: {"type":"image_generation.completed","usage":{"input_tokens":3,"output_tokens":4}}\n\n'
    async with gateway(tmp_path, {"/v1": stream_reply(b"data: {}\n\n", used)}) as (served, _):
        response = await served.http().post("/v1/images/generations", json={"prompt": "x", "stream": True})
        rows = served.ledger("outcomes")

    assert response.headers["content-type"] == "text/event-stream"
    assert response.content == b"data: {}\n\n" + used
    assert (rows[0]["prompt_tokens"], rows[0]["completion_tokens"]) == (3, 4)


async def test_bytes_that_break_off_never_look_whole(tmp_path):
    cut = (
        b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n" + b"x" * 10
    )
    async with gateway(tmp_path, {"/v1": cut}) as (served, _):
        with pytest.raises(httpx2.RemoteProtocolError):
            await served.http().post("/v1/audio/speech", json={"input": "x"})

        rows: list[Any] = served.ledger("outcomes")
    assert rows[0]["kind"] == "failure"

"""Vectors by our own encoder or by an expert, as numbers and as bytes, for the openai SDK."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from gateway.embeddings import pieces
from tests.gateway.conftest import make_door, scripted, serving
from tests.gateway.endpoints import gateway, json_reply


class Letters:
    """An encoder of 26 dimensions: how often each letter comes. It is busy now and then."""

    characters = 300

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy = 1

    async def embed(self, text: str) -> Any:
        self.busy -= 1
        if self.busy >= 0:
            return None
        self.asked.append(text)
        counts = np.array([text.count(chr(97 + place)) + 0.1 for place in range(26)], np.float32)
        return counts / np.linalg.norm(counts)


@pytest.fixture
async def own(tmp_path):
    """A gateway with an encoder."""
    door = make_door(tmp_path, [scripted("talker")])
    door.school.encoder = Letters()
    async with serving(door) as served:
        yield served


THEIRS = {
    "object": "list",
    "model": "their-model",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}


@pytest.mark.parametrize("model", ["auto", "encoder"])
async def test_the_openai_client_gets_vectors_of_our_own_encoder(own, model):
    client = own.openai()
    usual = await client.embeddings.create(model=model, input=["abc", "zzz"])
    numbers = await client.embeddings.create(model=model, input="abc", encoding_format="float")

    assert np.allclose(usual.data[0].embedding, numbers.data[0].embedding, atol=1e-6)
    assert [each.index for each in usual.data] == [0, 1]
    assert np.isclose(np.linalg.norm(usual.data[1].embedding), 1, atol=1e-5)
    assert usual.model == "encoder"
    row = own.ledger("outcomes")[0]
    assert (row["expert"], row["cost"], row["estimated"]) == ("encoder", 0, True)


async def test_vectors_are_strictly_what_openai_types_describe(own):
    body = {"model": "auto", "input": "abc", "encoding_format": "float"}
    response = await own.http().post("/v1/embeddings", json=body)

    CreateEmbeddingResponse.model_validate(response.json(), strict=True)
    assert response.headers["x-lyceum-expert"] == "encoder"


async def test_base64_is_little_endian_floats(own):
    body = {"model": "auto", "input": "abc", "encoding_format": "base64"}
    sent = (await own.http().post("/v1/embeddings", json=body)).json()["data"][0]["embedding"]
    numbers = (await own.http().post("/v1/embeddings", json=body | {"encoding_format": "float"})).json()

    assert np.allclose(np.frombuffer(base64.b64decode(sent), "<f4"), numbers["data"][0]["embedding"])


async def test_fewer_dimensions_are_the_first_ones_at_length_one(own):
    client = own.openai()
    few = (await client.embeddings.create(model="auto", input="abc", dimensions=3)).data[0].embedding

    assert len(few) == 3
    assert np.isclose(np.linalg.norm(few), 1, atol=1e-5)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="auto", input="abc", dimensions=27)
    assert (caught.value.param, caught.value.code) == ("dimensions", "invalid_value")


async def test_a_long_text_is_read_piece_by_piece(own):
    text = "alpha " * 50 + "zulu " * 50
    vector = (await own.openai().embeddings.create(model="auto", input=text)).data[0].embedding

    asked = own.door.school.encoder.asked
    assert "".join(asked) == text
    assert max(map(len, asked)) <= 100
    assert vector[0] > 0.3
    assert vector[ord("z") - 97] > 0.1


def test_pieces_lose_nothing_even_without_white_space():
    for text in ("", "a" * 350, "word " * 100, " " * 500):
        assert "".join(pieces(text, 100)) == text
        assert max(map(len, pieces(text, 100)), default=0) <= 100


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a " * 300_000}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"dimensions": "3"}, "dimensions"),
        ({"model": 5}, "model"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it(own, change, param):
    response = await own.http().post("/v1/embeddings", json={"model": "auto", "input": "a"} | change)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_an_expert_makes_vectors_in_its_own_words(tmp_path):
    async with gateway(tmp_path, {"/v1/embeddings": json_reply(THEIRS)}) as (served, seen):
        client = served.openai()
        named = await client.embeddings.create(model="server", input=[[1, 2, 3]])
        by_its_model = await client.embeddings.create(model="their-model", input="x", dimensions=2)
        first = await client.embeddings.create(model="auto", input="x")

    assert [each.data[0].embedding for each in (named, by_its_model, first)] == [[0.5, 0.5]] * 3
    assert b"[[1,2,3]]" in seen[0][3]
    assert b'"dimensions":2' in seen[1][3]


async def test_nobody_takes_over_from_the_encoder_that_was_named(tmp_path):
    replies = {"/v1/embeddings": json_reply({"error": {"message": "busy"}}, b"503 Service Unavailable")}

    def encode(door: Any) -> None:
        door.school.encoder = Letters()

    async with gateway(tmp_path, replies, change=encode) as (served, _):
        response = await served.http().post("/v1/embeddings", json={"model": "server", "input": "x"})

    assert response.status_code == 503


async def test_without_an_encoder_the_answer_is_a_404_that_says_what_is_missing(tmp_path):
    async with serving(make_door(tmp_path, [scripted("talker")])) as served:
        response = await served.http().post("/v1/embeddings", json={"model": "auto", "input": "x"})

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "endpoint_not_served"


async def test_the_encoder_is_among_the_models(own):
    models = {model.id: model for model in (await own.openai().models.list()).data}

    assert list(models) == ["auto", "talker", "encoder"]
    assert models["encoder"].model_dump()["kind"] == "encoder"

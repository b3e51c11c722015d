"""The dialect of /v1/embeddings: vectors by our own encoder, or by an expert that has the endpoint.

Vectors of two encoders do not compare, so the model decides who makes them and nobody takes over: `auto` is our own
encoder, or without one the first expert that has /embeddings. A text longer than what the encoder reads at once is
read piece by piece, and its vector is the mean of theirs.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import structs

from experts.base import Chunk, Expert, Rejected, Request, Unavailable
from experts.card import Card, Usage
from experts.catalog import CHARACTERS_PER_TOKEN
from experts.endpoint import Endpoint
from gateway import passing
from gateway.errors import APIError
from gateway.hops import passed_on
from gateway.http import Handler, HTTPCall, Reply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gateway.encoder import Embedder
    from gateway.handlers import Door
    from gateway.school import School

ENCODER = "encoder"
"""The model's name for our own encoder."""
PATH = "/embeddings"
CHARACTERS = 2048
"""What an encoder reads at once, if it does not say."""
SAFE = 3
"""Plain text fills an encoder's tokens with so many times fewer characters than it would ever read."""
MOST_TEXTS, MOST_PIECES = 2048, 4096
PATIENCE = 30.0
"""Seconds for one piece: prompts that wait to be routed come first."""
PAUSE = 0.05


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of the one address."""
    schools: dict[str, School] = {}

    async def handler(call: HTTPCall, reply: Reply) -> None:
        """POST /v1/embeddings: vectors of texts, by our own encoder or by an expert whose `paths` have /embeddings."""
        key = door.keys.name(call.headers)
        passed, fields = passing.read(call, passing.JSON)
        school = schools.get(PATH) or schools.setdefault(PATH, school_of(door.school))
        if "model" not in fields:
            raise APIError("missing_required_parameter", "model must be a non-empty string.", "model")
        request = passed_on(passing.request_of(passed, fields, call.id), call.headers)
        life = passing.life_of(door, school, request, PATH, key)
        if ENCODER in life.catalog:
            named = ENCODER if door.names_expert else request.model
            life.request = structs.replace(request, options={"wanted": wanted(fields), "named": named})
        await passing.answer(life, reply)

    return {("POST", "/v1/embeddings"): handler}


def school_of(school: School) -> School:
    """Our own encoder, then the experts that have the endpoint."""
    others = passing.side(school, PATH, Endpoint)
    own: dict[str, Expert] = {}
    if school.encoder is not None and ENCODER not in others.experts:
        own[ENCODER] = OwnEncoder(school.encoder)
    return replace(others, experts={**own, **others.experts})


def wanted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What our own encoder is to do: `texts`, whether `binary`, how many `dimensions`. Raises APIError."""
    form = fields.get("encoding_format")
    if form not in (None, "float", "base64"):
        raise APIError("invalid_value", "encoding_format must be float or base64.", "encoding_format")
    dimensions = fields.get("dimensions")
    if not isinstance(dimensions, int | None) or isinstance(dimensions, bool):
        raise APIError("invalid_type", "dimensions must be an integer.", "dimensions")
    if dimensions is not None and dimensions < 1:
        raise APIError("invalid_value", "dimensions must be at least 1.", "dimensions")
    return {"texts": texts(fields.get("input")), "binary": form == "base64", "dimensions": dimensions}


def texts(value: Any) -> list[str]:
    """The texts of `input`. Raises APIError."""
    given = [value] if isinstance(value, str) else value
    if given is None:
        raise APIError("missing_required_parameter", "input must be a string or a list of strings.", "input")
    if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
        raise APIError("invalid_type", "input must be a string or a list of strings; tokens need an expert.", "input")
    if not all(given):
        raise APIError("invalid_value", "input must not hold an empty string.", "input")
    if len(given) > MOST_TEXTS:
        raise APIError("invalid_value", f"input must not hold more than {MOST_TEXTS} strings.", "input")
    return given


class OwnEncoder:
    """The gateway's encoder as an expert whose answer is a list of vectors."""

    name, card = ENCODER, Card("vectors of texts, made by the gateway itself")

    def __init__(self, encoder: Embedder) -> None:
        self.encoder = encoder
        self.piece = getattr(encoder, "characters", CHARACTERS) // SAFE
        self.turn = asyncio.Semaphore(1)
        """One piece at a time, so that prompts that wait to be routed find the encoder free."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        order: Mapping[str, Any] = request.options["wanted"]
        if sum(len(text) // self.piece + 1 for text in order["texts"]) > MOST_PIECES:
            raise APIError(
                "invalid_value", f"input must not be longer than {MOST_PIECES} texts of usual size.", "input"
            )
        vectors = [await self.vector(text, order["dimensions"]) for text in order["texts"]]
        tokens = sum(len(text) // CHARACTERS_PER_TOKEN + 1 for text in order["texts"])
        data = [
            {"object": "embedding", "index": index, "embedding": written(vector, order["binary"])}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = orjson.dumps({"object": "list", "data": data, "model": request.options["named"], "usage": usage})
        told = {"status": 200, "headers": [(b"content-type", b"application/json")]}
        yield Chunk(told, "stop", Usage(tokens, 0, estimated=True), 0, body)

    async def vector(self, text: str, dimensions: int | None) -> NDArray[np.float32]:
        """The unit vector of a text of any length, cut to as many dimensions. Raises ExpertError."""
        import numpy as np

        parts = list(pieces(text, self.piece))
        made = np.stack([await self.patiently(part) for part in parts])
        mean = np.average(made, axis=0, weights=[len(part) for part in parts])
        if dimensions is not None and dimensions > len(mean):
            raise refused(f"dimensions must be at most {len(mean)}.", "dimensions")
        mean = mean[:dimensions]
        unit: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        return unit

    async def patiently(self, text: str) -> NDArray[np.float32]:
        """The vector of a piece, once the encoder has time. Raises Unavailable."""
        until = time.monotonic() + PATIENCE
        while True:
            async with self.turn:
                vector = await self.encoder.embed(text)
            if vector is not None:
                return vector
            if time.monotonic() > until:
                raise Unavailable("the encoder is busy or starting", status=503, retry_after=1)
            await asyncio.sleep(PAUSE)


def refused(message: str, param: str) -> Rejected:
    """The error of a value that only the encoder can judge."""
    return Rejected(message, status=400, code="invalid_value", param=param)


def pieces(text: str, size: int) -> Iterator[str]:
    """Parts of at most `size` characters, split at white space where there is any."""
    while len(text) > size:
        end = max(text.rfind(" ", 1, size), text.rfind("\n", 1, size))
        end = size if end <= 0 else end
        yield text[:end]
        text = text[end:]
    yield text


def written(vector: NDArray[np.float32], binary: bool) -> Any:
    """Numbers, or the bytes of little-endian floats in base64."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if binary else vector.tolist()

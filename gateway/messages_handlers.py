"""The addresses of /v1/messages: an answer is made, and a prompt's tokens are counted before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from experts.base import ExpertError
from experts.catalog import CHARACTERS_PER_TOKEN
from experts.http1_exchange import HTTPError
from experts.openai_errors import of_status, of_transport
from experts.openai_http import ERROR_BYTES, OpenAIHTTP
from gateway import errors, messages
from gateway.body import parsed
from gateway.chat import money
from gateway.dialects import begun, respond
from gateway.http import Handler, HTTPCall, Reply, send_json
from gateway.life import Life
from gateway.messages_errors import PREFIX
from gateway.messages_events import Writer

if TYPE_CHECKING:
    from gateway.handlers import Door

COUNT = "/messages/count_tokens"


def handlers(door: Door) -> dict[tuple[str, str], Handler]:
    """The handler of each address."""
    own = Messages(door)
    return {("POST", PREFIX): own.create, ("POST", f"{PREFIX}/count_tokens"): own.count}


def bearer(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The headers with the key where we look for it: Anthropic's clients have a header of their own."""
    if b"x-api-key" not in headers or b"authorization" in headers:
        return headers
    return {**headers, b"authorization": b"Bearer " + headers[b"x-api-key"]}


class Messages:
    """Answers calls in the dialect."""

    def __init__(self, door: Door) -> None:
        self.door = door

    async def create(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/messages: an answer of the school in Anthropic's form, whole or as events."""
        key = self.door.keys.name(bearer(call.headers))
        life = await begun(self.door, messages.request_of(parsed(call.body), call.id), key, call.headers)

        def make(model: str) -> Writer:
            return Writer(life.request, model, life.demand.tokens)

        await respond(self.door, life, reply, make, [(b"request-id", call.id.encode())])

    async def count(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/messages/count_tokens: the tokens of a prompt, counted by an expert of the dialect, else guessed."""
        key = self.door.keys.name(bearer(call.headers))
        request = messages.request_of(parsed(call.body), call.id, counting=True)
        life = await begun(self.door, request, key, call.headers)
        about = [(b"request-id", call.id.encode())]
        if (found := await self.counted(life)) is not None:
            expert, counted = found
            told = [(b"x-lyceum-expert", expert.encode()), (b"x-lyceum-cost", money(0))]
            await send_json(reply, counted, 200, [*about, *told])
            return
        tools = len(orjson.dumps(request.options.get("tools") or [])) // CHARACTERS_PER_TOKEN
        guess = {"input_tokens": life.demand.tokens + tools + 4 * len(request.messages)}
        await send_json(reply, guess, 200, [*about, (b"x-lyceum-estimated", b"true")])

    async def counted(self, life: Life) -> tuple[str, bytes] | None:
        """The first expert of the dialect that can count, and what it counts; nobody is paid for it."""
        body: dict[str, Any] = dict(life.request.native or {})
        for name, card in life.catalog.items():
            expert = self.door.school.experts[name]
            if messages.DIALECT in card.dialects and isinstance(expert, OpenAIHTTP):
                try:
                    return name, await asked(expert, body, life)
                except ExpertError as error:
                    errors.log(errors.of(error), error, COUNT, life.request.id)
        return None


async def asked(expert: OpenAIHTTP, body: dict[str, Any], life: Life) -> bytes:
    """What an expert counts. Raises ExpertError."""
    sent = orjson.dumps({**body, "model": expert.served})
    try:
        async with expert.forward("POST", COUNT, "application/json", sent, life.request) as response:
            found = await response.read(ERROR_BYTES)
            if response.status != 200:
                raise of_status(response.status, response.headers, found, 0.0)
            return found
    except HTTPError as error:
        raise of_transport(error) from error

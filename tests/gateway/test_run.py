"""The loop: failures are replaced, cut answers are told, everything is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from experts.base import BrokenOff, Chunk, Declined, Rejected, Request, Unavailable
from experts.card import Usage
from policies.cascade import Cascade
from tests.gateway.conftest import CARD, make_door, scripted, serving

FAULTS = [Unavailable("down"), Declined("not mine"), BrokenOff("cut", after=0)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.reason)
async def test_a_failed_expert_is_replaced_before_the_first_byte(tmp_path, stream, fault):
    experts = [scripted("broken", fail=fault), scripted("sound", "all is well")]
    async with serving(make_door(tmp_path, experts)) as served:
        response = await served.ask(stream=stream)
        outcomes = served.ledger("outcomes")

    assert response.status_code == 200
    assert response.headers["x-lyceum-expert"] == "sound"
    assert [(row["expert"], row["kind"], row["reason"]) for row in outcomes] == [
        ("broken", "failure", fault.reason),
        ("sound", "answer", None),
    ]


async def test_a_plain_answer_that_breaks_off_is_replaced_too(tmp_path):
    experts = [scripted("broken", fail=BrokenOff("cut", after=1)), scripted("sound", "all is well")]
    async with serving(make_door(tmp_path, experts)) as served:
        response = await served.ask()

    assert response.headers["x-lyceum-expert"] == "sound"


async def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(tmp_path):
    """Row 8: never a truncated answer that looks complete."""
    experts = [scripted("broken", "one two three four", fail=BrokenOff("cut", after=2)), scripted("sound")]
    async with serving(make_door(tmp_path, experts)) as served:
        response = await served.ask(stream=True)
        outcomes = served.ledger("outcomes")

    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert "[DONE]" not in events
    assert json.loads(events[-1])["error"]["code"] == "upstream_error"
    assert all(json.loads(event)["choices"][0]["finish_reason"] is None for event in events[:-1])
    assert [(row["expert"], row["reason"]) for row in outcomes] == [("broken", "broken_off")]


async def test_a_rejection_is_the_clients_business_and_is_passed_on(tmp_path):
    """Row 13: no other expert is asked."""
    refusal = Rejected("too long", status=400, code="context_length_exceeded", param="messages")
    async with serving(make_door(tmp_path, [scripted("strict", fail=refusal), scripted("other")])) as served:
        response = await served.ask()
        outcomes = served.ledger("outcomes")

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert len(outcomes) == 1


async def test_when_all_experts_are_down_the_client_is_told_to_come_back(tmp_path):
    """Row 7."""
    experts = [scripted("a", fail=Unavailable("down")), scripted("b", fail=Unavailable("down", retry_after=7))]
    async with serving(make_door(tmp_path, experts)) as served:
        response = await served.ask()

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "no_healthy_expert"
    assert response.headers["retry-after"] == "7"


class Endless:
    """Streams until it is cancelled, and remembers that it was."""

    name, card = "endless", CARD

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        try:
            while True:
                yield Chunk({"content": "more "}, usage=Usage(1, 1))
                await asyncio.sleep(0.01)
        finally:
            self.cancelled.set()


class Silent(Endless):
    """Never says anything."""

    name = "silent"

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        try:
            await asyncio.sleep(60)
            yield Chunk()
        finally:
            self.cancelled.set()


@pytest.mark.parametrize("kind", [Endless, Silent])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_cancels_the_expert_and_is_still_written_down(tmp_path, kind, stream):
    """Row 21."""
    expert = kind()
    async with serving(make_door(tmp_path, [expert])) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer lyc-test-key\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        if stream and kind is Endless:
            await reader.readuntil(b"more")
        else:
            await asyncio.sleep(0.2)
        writer.close()
        await asyncio.wait_for(expert.cancelled.wait(), 5)
    outcomes = served.ledger("outcomes")

    assert [(row["expert"], row["reason"], row["status"]) for row in outcomes] == [(expert.name, "client_left", 499)]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cascade_replies_with_an_answer_it_has_seen(tmp_path, stream):
    experts = [scripted("dear", "the dear answer"), scripted("cheap", "the cheap answer")]
    policy = Cascade(threshold=0.5)
    async with serving(make_door(tmp_path, experts, policy)) as served:
        response = await served.ask(stream=stream)

    assert response.status_code == 200
    assert "answer" in response.text


async def test_an_unexpected_bug_is_a_500_without_details(tmp_path, caplog):
    def bug(request: Request) -> str:
        raise RuntimeError("secret-canary in a stack")

    async with serving(make_door(tmp_path, [scripted("buggy", bug)])) as served:
        response = await served.ask()

    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "secret-canary" not in response.text


async def test_nothing_is_asked_when_the_ledger_cannot_be_written(tmp_path):
    """Row 47."""
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return "hi"

    async with serving(make_door(tmp_path, [scripted("one", answer)])) as served:
        await served.door.school.books.ledger.close()
        response = await served.ask()

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "ledger_unavailable"
    assert asked == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_too_long_for_one_expert_goes_to_a_larger_one_only(tmp_path, stream):
    """Row 13, S12 of row 1: no other try on the same size."""
    refusal = Rejected("too long", status=400, code="context_length_exceeded", param="messages")
    small = scripted("small", fail=refusal)
    same, large = scripted("same"), scripted("large", "it fits")
    large.card = replace(CARD, context=CARD.context * 2)
    async with serving(make_door(tmp_path, [small, same, large])) as served:
        response = await served.ask(stream=stream)
        outcomes = served.ledger("outcomes")

    assert response.headers["x-lyceum-expert"] == "large"
    assert [row["expert"] for row in outcomes] == ["small", "large"]

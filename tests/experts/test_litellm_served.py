"""The litellm expert against a real server; collected only where the optional extra is installed."""

import time

import orjson
import pytest

from experts.base import BrokenOff, Declined, ExpertError, Rejected, Request, Unavailable
from experts.card import Card, Usage
from experts.litellm_sdk import LiteLLMExpert
from tests.experts.openai_server import DONE, GOOD, MESSAGE, PRICE, WHOLE, event
from tests.experts.raw import STREAM_HEAD, Handler, Server, Talk, always, answer, chunked, serving, silent

pytestmark = pytest.mark.filterwarnings("default")


def expert_of(server: Server) -> LiteLLMExpert:
    return LiteLLMExpert("a", Card(price=PRICE), model="openai/m", url=server.url, arguments={"api_key": "k"})


async def failure_of(handler: Handler, **options: object) -> ExpertError:
    async with serving(handler) as server:
        request = Request(({"role": "user", "content": "hi"},), options)
        with pytest.raises(ExpertError) as caught:
            [chunk async for chunk in expert_of(server).stream(request)]
        assert server.seen <= 1
    return caught.value


async def test_a_plain_answer_has_its_usage_and_cost():
    body = answer(orjson.dumps({**WHOLE, "created": 1, "model": "m"}))
    async with serving(always(body)) as server:
        request = Request(({"role": "user", "content": "hi"},), {"max_tokens": 3})
        (chunk,) = [chunk async for chunk in expert_of(server).stream(request)]
    assert chunk.delta["content"] == MESSAGE["content"]
    assert (chunk.finish_reason, chunk.cost) == ("stop", 5000)


async def test_a_stream_has_its_text_usage_and_cost():
    async with serving(always(STREAM_HEAD, *chunked(*GOOD))) as server:
        request = Request(({"role": "user", "content": "hi"},), {"stream": True})
        got = [chunk async for chunk in expert_of(server).stream(request)]
    assert "".join(chunk.delta.get("content") or "" for chunk in got) == "hello"
    assert got[-1].usage in (Usage(3, 2), Usage(3, 2, reasoning_tokens=0))
    assert got[-1].cost == 7000
    assert sum(chunk.cost is not None for chunk in got) == 1


async def cut(talk: Talk) -> None:
    await talk.request()
    await talk.say(STREAM_HEAD, *chunked(*GOOD[:3])[:-1])


@pytest.mark.parametrize(
    "handler", [cut, always(STREAM_HEAD, *chunked(*GOOD[:3])), always(STREAM_HEAD, *chunked(DONE))]
)
async def test_a_cut_stream_is_never_taken_for_whole(handler):
    """Row 8: litellm itself ends it with a finish_reason of its own."""
    assert type(await failure_of(handler, stream=True)) in (BrokenOff, Unavailable)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (401, Unavailable), (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)
async def test_a_status_becomes_a_typed_error_after_one_attempt(status, kind):
    body = (
        b'{"error":{"message":"too long in /srv/a/b.py","type":"invalid_request_error","code":"c","param":"messages"}}'
    )
    error = await failure_of(always(answer(body, b"%d X" % status, more=b"retry-after: 7\r\n")))
    assert type(error) is kind
    assert error.about["status"] == status
    assert "/srv" not in str(error)
    if status == 429:
        assert error.about["retry_after"] == 7
    if status == 400:
        assert str(error) == "too long in ..."


async def test_an_error_event_first_in_a_stream_is_an_error():
    error = await failure_of(always(STREAM_HEAD, *chunked(event({"error": {"message": "full"}}))), stream=True)
    assert type(error) is Unavailable


async def test_silence_meets_the_deadline_and_a_foreign_field_never_leaves():
    async with serving(silent) as server:
        request = Request(({"role": "user", "content": "hi"},), deadline=time.monotonic() + 0.5)
        with pytest.raises(Unavailable):
            [chunk async for chunk in expert_of(server).stream(request)]
        with pytest.raises(Declined):
            [chunk async for chunk in expert_of(server).stream(Request((), {"api_base": server.url}))]

"""An expert behind an OpenAI-compatible server: bytes go through untouched, usage and cost are told."""

import asyncio
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from experts.base import BrokenOff, Chunk, Rejected, SetupError, Unavailable
from experts.build import build
from experts.card import Card, Usage
from experts.http1_exchange import Headers, HTTPError, Sink
from experts.openai_body import written
from experts.openai_http import OpenAIHTTP
from gateway.chat import parse
from tests.experts.openai_server import (
    DONE,
    FIRST,
    GOOD,
    HEL,
    MESSAGE,
    STOP,
    USED,
    WHOLE,
    ask,
    chunks_of,
    expert_of,
    failure_of,
    piece,
    streaming,
)
from tests.experts.raw import Talk, always, answer, serving


async def test_a_plain_answer_is_one_chunk_with_its_bytes_usage_and_cost():
    body = orjson.dumps(WHOLE)
    (chunk,) = await chunks_of(always(answer(body)))
    assert chunk == Chunk(MESSAGE, "stop", Usage(3, 1, cached_tokens=2), 5000, body)


async def test_a_streamed_answer_is_a_chunk_an_event_and_the_last_carries_usage_and_cost():
    got = await chunks_of(streaming(*GOOD), stream=True)
    assert [chunk.data for chunk in got] == [event[6:-2] for event in GOOD[:-1]]
    assert "".join(chunk.delta.get("content", "") for chunk in got) == "hello"
    assert [chunk.finish_reason for chunk in got] == [None, None, None, "stop", None]
    assert [chunk.cost for chunk in got] == [None, None, None, None, 7000]
    assert got[-1].usage == Usage(3, 2)


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_the_same_bytes_come_out_however_the_stream_is_cut(size):
    """Row 9."""
    odd = piece({"content": "a\u2028b\u2029c\u0085d \U0001f600"}, usage=None)
    sent = b": ping\n\n" + FIRST.replace(b"\n", b"\r\n") + odd.replace(b"\n", b"\r") + STOP + USED + DONE + HEL
    pieces = [sent[i : i + size] for i in range(0, len(sent), size)]
    got = await chunks_of(streaming(*pieces), stream=True)
    assert [chunk.data for chunk in got] == [event[6:-2] for event in (FIRST, odd, STOP, USED)]


class Heard(Sink):
    """Waits for the end of an answer."""

    def __init__(self) -> None:
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: Headers) -> None:
        pass

    def on_data(self, data: bytes) -> None:
        pass

    def on_end(self) -> None:
        self.end.set_result(None)

    def on_error(self, error: HTTPError) -> None:
        self.end.set_exception(error)


ABOUT = [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}, {"stream_options": None}]


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("when_left", ["cancel", "count"])
@pytest.mark.parametrize("spaces", [b"", b" \n"])
async def test_a_body_like_the_one_before_is_written_as_if_it_were_the_first(about, last, when_left, spaces):
    """The bytes around its last words are known then, in every style: two experts do not mix theirs up."""
    seen: list[bytes] = []
    asked: list[Any] = []

    async def handler(talk: Talk) -> None:
        while True:
            seen.append((await talk.request())[1])
            await talk.say(answer(orjson.dumps(WHOLE)))

    async with serving(handler) as server:
        experts = [expert_of(server, model=model, when_left=when_left) for model in ("Qwen/Qwen3-8B:law", 'a "b"')]
        for number in range(6):
            messages = [{"role": "user", "content": f"{number} é {about}"}]
            fields = {"messages": messages, **about}
            body = orjson.dumps({**fields, "model": "auto"} if last else {"model": "auto", **fields}) + spaces
            request = parse(body, "id")
            assert request.body is not None
            for expert in experts:
                heard = Heard()
                expert.send(request, heard)
                await heard.end
                alone = replace(request, body=replace(request.body, splices=None))
                asked.append(written(alone, expert.served, expert.counts))
            framed = replace(request, options={**request.options, "max_tokens": 7})
            experts[0].send(framed, heard := Heard())
            await heard.end
            asked.append(written(framed, experts[0].served, experts[0].counts))
            known = request.body.splices
        assert known is not None, "the frame is known by now"
        assert known or (spaces and about), "what is added stands before a brace at the very end"
        for expert in experts:
            await expert.stop()
    assert seen == asked


async def test_the_body_holds_what_the_client_sent_with_our_model_and_usage_asked_for():
    seen: list[tuple[bytes, Any]] = []

    async def handler(talk: Talk) -> None:
        while True:
            head, body = await talk.request()
            seen.append((head, orjson.loads(body)))
            await talk.say(answer(orjson.dumps(WHOLE)))

    tools = [{"type": "namespace", "odd": [1.5, None]}]
    async with serving(handler) as server:
        expert = expert_of(server, model="Qwen/Qwen3-8B:law", key="sk-1", headers={"x-team": "a"})
        await ask(expert, tools=tools, seed=7, unknown={"a": "é"})
        with pytest.raises(Unavailable):
            await ask(expert, stream=True, stream_options={"continuous_usage_stats": True})
        await expert.stop()
    messages = [{"role": "user", "content": "secret prompt"}]
    own = {"messages": messages, "model": "Qwen/Qwen3-8B:law"}
    assert seen[0][1] == {**own, "tools": tools, "seed": 7, "unknown": {"a": "é"}}
    asked = {"continuous_usage_stats": True, "include_usage": True}
    assert seen[1][1] == {**own, "stream": True, "stream_options": asked}
    for line in (b"POST /v1/chat/completions HTTP/1.1", b"authorization: Bearer sk-1", b"x-team: a"):
        assert line in seen[0][0].split(b"\r\n")


async def test_the_key_comes_from_the_environment_and_its_lack_is_told_at_start(monkeypatch):
    heads: list[bytes] = []

    async def handler(talk: Talk) -> None:
        heads.append((await talk.request())[0])
        await talk.say(answer(orjson.dumps(WHOLE)))

    async with serving(handler) as server:
        table = {"use": "experts.openai_http:OpenAIHTTP", "url": server.url, "api_key_env": "LYCEUM_TEST_KEY"}
        expert = build(table, "experts.a", {"name": "a"})
        with pytest.raises(SetupError, match="set the environment variable LYCEUM_TEST_KEY"):
            await expert.start()
        with pytest.raises(Unavailable):
            await ask(expert)
        monkeypatch.setenv("LYCEUM_TEST_KEY", "sk-2")
        await expert.start()
        await ask(expert)
        await expert.stop()
    assert b"authorization: Bearer sk-2\r\n" in heads[0]
    assert b"POST /chat/completions " in heads[0]


@pytest.mark.parametrize("tail", [(STOP, USED, DONE), (STOP, USED), (STOP, DONE), (piece({}, "stop", usage={}), DONE)])
async def test_a_stream_is_whole_once_it_has_a_finish_reason(tail):
    got = await chunks_of(streaming(FIRST, HEL, *tail), stream=True)
    assert sum(chunk.finish_reason == "stop" for chunk in got) == 1
    assert [chunk.cost for chunk in got[:-1]] == [None] * (len(got) - 1)
    assert got[-1].cost == (7000 if USED in tail else None)


async def test_usage_on_every_chunk_is_priced_once_at_the_end():
    events = [piece({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": count}) for count in range(3)]
    end = piece({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 3})
    got = await chunks_of(streaming(*events, end, DONE), stream=True)
    assert [chunk.cost for chunk in got] == [None, None, None, None, 9000]
    assert (got[-1].data, got[-1].delta, got[-1].usage) == (None, {}, Usage(3, 3))


async def test_every_choice_must_end():
    both = [piece({"content": "a"}), piece({"content": "b"}, index=1)]
    ends = [piece({}, "stop"), piece({}, "length", index=1)]
    got = await chunks_of(streaming(*both, *ends, DONE), stream=True, n=2)
    assert [chunk.delta.get("content") for chunk in got[:2]] == ["a", None]
    error, _ = await failure_of(streaming(*both, ends[0], DONE), stream=True, n=2)
    assert isinstance(error, BrokenOff)


@pytest.mark.parametrize(
    ("usage", "known", "cost"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0), 0),
        ({"prompt_tokens": 5}, Usage(5, None), None),
        (None, None, None),
        ("many", None, None),
        ({"prompt_tokens": -5, "completion_tokens": True}, Usage(), None),
        ({"prompt_tokens": 2.0, "completion_tokens": 1.5}, Usage(2, None), None),
        ({"prompt_tokens": 1e300, "completion_tokens": 10**18}, Usage(), None),
        ({"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}},)
        + (Usage(1, 2, None, 1), 5000),
    ],
)
async def test_a_missing_count_is_unknown_and_an_explicit_nought_is_nought(usage, known, cost):
    """Row 10."""
    (chunk,) = await chunks_of(always(answer(orjson.dumps({**WHOLE, "usage": usage}))))
    assert (chunk.usage, chunk.cost) == (known, cost)


async def test_an_expert_without_a_price_costs_nothing_even_if_its_usage_is_unknown():
    async with serving(streaming(FIRST, STOP, DONE)) as server:
        expert = OpenAIHTTP("free", Card(), url=server.url)
        assert (await ask(expert, stream=True))[-1].cost == 0
        await expert.stop()


async def test_the_connection_of_a_finished_stream_is_used_again():
    async with serving(streaming(*GOOD)) as server:
        expert = expert_of(server)
        for _ in range(5):
            await ask(expert, stream=True)
            await asyncio.sleep(0.02)
        assert server.seen == 1
        await expert.stop()


async def test_a_real_model_answers_plain_and_streamed(small_model, small_server):
    expert = OpenAIHTTP("small", Card(), url=small_server.url, key=small_server.key)
    (whole,) = await ask(expert, max_tokens=8, temperature=0)
    assert whole.usage is not None
    assert whole.usage.completion_tokens
    got = await ask(expert, max_tokens=8, temperature=0, stream=True)
    assert "".join(chunk.delta.get("content") or "" for chunk in got) == whole.delta["content"]
    assert got[-1].usage is not None
    assert got[-1].usage.completion_tokens == whole.usage.completion_tokens
    with pytest.raises(Rejected) as caught:
        await ask(expert, messages="overridden", max_tokens="many")
    assert caught.value.about["status"] == 400
    stranger = OpenAIHTTP("small", Card(), url=small_server.url, key="wrong")
    with pytest.raises(Unavailable, match="refuses our credentials"):
        await ask(stranger)
    await stranger.stop()
    await expert.stop()

"""What is proven of one stream's chunks holds for others of its kind that differ in their names alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import alike as alikes
from gateway.alike import LESSONS, MOST_PROVEN, TRIES, Alike, Proven, proven
from tests.gateway.test_alike import Heard, Stream, event, framed, said


@pytest.mark.parametrize("sort", [False, True])
def test_streams_that_differ_in_their_names_alone_are_proven_once(monkeypatch, sort):
    def named(text: str, name: str, created: int) -> bytes:
        fields = json.loads(event(text, id=name, created=created, usage=None))
        return json.dumps(dict(sorted(fields.items())) if sort else fields).encode()

    first = Stream()
    first.alike = Alike(chunked=False, kind=f"proven {sort}")
    first.long_way(named("x", "chatcmpl-1", 1_760_000_000))
    assert first.taken(framed(named("y", "chatcmpl-1", 1_760_000_000))) is not None
    monkeypatch.setattr(alikes, "_words", None)
    second = Stream()
    second.alike = Alike(chunked=False, kind=f"proven {sort}")
    out = second.long_way(named('a \\ "b"', "cmpl:7.8_9", 1_760_000_001))
    taken = second.taken(framed(named("c", "cmpl:7.8_9", 1_760_000_001)))
    assert taken is not None
    assert said(taken[0]) == [said(out)[0] | {"choices": json.loads(named("c", "", 0))["choices"]}]


NAMED = '{"id": "a1", "created": 5, "model": "m", "choices": [{"index": 0, "delta": {"content": "W"}}], "usage": null}'


@pytest.mark.parametrize(
    ("learned", "other", "known"),
    [
        (NAMED, NAMED.replace("a1", "b-2").replace("5", "61"), True),
        (NAMED, NAMED.replace('"W"', '"\\"\\n"'), True),
        (NAMED, NAMED.replace("5", "05"), False),
        (NAMED, NAMED.replace("5", "5.0"), False),
        (NAMED, NAMED.replace('"a1"', '"a\\"1"'), False),
        (NAMED, NAMED.replace('"a1"', '""'), False),
        (NAMED, NAMED.replace("null", "0"), False),
        (NAMED, NAMED.replace('"W"', '"W", "id": "b"'), False),
        (NAMED.replace('"W"', '"W", "id": ""'), NAMED.replace('"W"', '"W", "id": "b"'), False),
        (NAMED.replace('"W"', '"W", "created": 0'), NAMED.replace('"W"', '"W", "created": 7'), False),
        (NAMED.replace("[{", '[{"id": "a1", '), NAMED.replace("[{", '[{"id": "b2", '), False),
        (NAMED.replace("null}", 'null, "id": "c3"}'), NAMED.replace("null}", 'null, "id": "d4"}'), True),
        (NAMED.replace("null", '{"id": "c3"}'), NAMED.replace("null", '{"id": "d4"}'), False),
        (NAMED.replace('"m"', '{"id": "c3"}'), NAMED.replace('"m"', '{"id": "d4"}'), False),
        (NAMED.replace('"m"', '"{"').replace("a1", "b2"), NAMED.replace('"m"', '"{"'), False),
        (NAMED.replace("}]", '}, "x]", {"id": "a"}]'), NAMED.replace("}]", '}, "x]", {"id": "b"}]'), False),
    ],
)
def test_only_the_names_of_the_outermost_object_may_be_others(learned, other, known):
    found = Proven(unlike=1)
    before, after = f"data: {learned}\n\n".encode().split(b"W")
    found.keep(before, after)
    match = found.of(f"data: {other}\n\n".encode())
    assert (match is not None) == known
    assert found.of(before + b"W" + after) is not None


def test_where_no_two_streams_are_alike_proofs_are_seldom_kept_and_few_kinds_are():
    kept = []
    for number in range(100):
        stream = Stream()
        stream.alike = Alike(chunked=False, kind="never alike")
        own: dict[str, Any] = {f"field {number}": number}
        stream.long_way(event("x", **own))
        assert stream.taken(framed(event("y", **own))) is not None
        kept.append(proven("never alike").match)
    assert LESSONS <= len({id(match) for match in kept}) <= LESSONS + 3
    for number in range(MOST_PROVEN + 1):
        proven(f"kind {number}")
    assert len(alikes.PROVEN) <= MOST_PROVEN


def test_a_role_alone_teaches_nothing_and_costs_no_try():
    stream = Stream()
    for _ in range(TRIES + 1):
        stream.long_way(event("", delta={"role": "assistant", "content": ""}))
    assert stream.alike.before == b""
    stream.long_way(event("x"))
    assert stream.taken(framed(event("y"))) is not None


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_a_stream_like_one_before_is_known_from_its_first_words(usage, sort):
    told: dict[str, Any] = {"usage": None} if usage else {}

    def named(text: str, name: str, **more: Any) -> bytes:
        fields = json.loads(event(text, id=name, **more, **told))
        return json.dumps(dict(sorted(fields.items())) if sort else fields).encode()

    streams = [Stream(), Stream(), Stream()]
    for stream, name in zip(streams, ("a", "b-7", "b-7"), strict=True):
        stream.alike = Alike(chunked=False, kind=f"met {usage} {sort}")
        stream.events.wants_usage = usage
        stream.long_way(named("", name, delta={"role": "assistant", "content": ""}))
    streams[0].long_way(named("x", "a"))
    met, other = streams[1:]
    for text in ("y", '\u00e9 \\ "model": "theirs"'):
        met.alike.meet(named(text, "b-7"), met.events)
        assert met.alike.event(named(text, "b-7"), Heard()) == other.long_way(named(text, "b-7"))
    for data in (named("x", "b-7", delta={"tool_calls": [1]}), named("x", "b-7", finish="stop"), b"[DONE]", b"{}"):
        streams[2].alike = Alike(chunked=False, kind=f"met {usage} {sort}")
        streams[2].alike.meet(data, streams[2].events)
        assert not streams[2].alike.before


def test_a_stream_with_usage_in_each_event_is_learned_by_what_its_client_gets():
    for _ in range(2):
        stream = Stream()
        stream.alike = Alike(chunked=False, kind="usage in each")
        stream.long_way(event("", delta={"role": "assistant", "content": ""}, usage=None))
        stream.alike.meet(event("x", usage=None), stream.events)
        assert not stream.alike.before
        assert said(stream.long_way(event("x", usage=None))) == [json.loads(event("x", model="ours"))]
        taken = stream.taken(framed(event("y", usage=None)))
        assert taken is not None
        assert said(taken[0]) == [json.loads(event("y", model="ours"))]

"""Streams of which most is known beforehand come out, and are booked, as if each event had been parsed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from experts.base import Chunk, Request
from gateway import alike, familiar
from gateway.alike import LESSONS
from gateway.chat import Events
from gateway.familiar import LONGEST, MOST_KINDS, MOST_TOLD, Familiar
from tests.experts import raw
from tests.gateway.test_hot import USAGE, behind

COMPACT, WIDE = (",", ":"), (", ", ": ")
DONE = b"data: [DONE]\n\n"


def written(fields: dict[str, Any], name: str, wide: bool = False, last: bool = False) -> bytes:
    """An event of the stream with a name; the name and the time come first, or last."""
    names = {"id": name, "object": "chat.completion.chunk", "created": 1000 + len(name), "model": "theirs"}
    both = fields | names if last else names | fields
    return b"data: %b\n\n" % json.dumps(both, separators=WIDE if wide else COMPACT).encode()


def choice(delta: Any, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}


ROLE, ONE, TWO = (
    choice({"role": "assistant", "content": ""}),
    choice({"content": "one "}),
    choice({"content": 't"\u00e9'}),
)
STOP, COUNTED = choice({}, "stop"), {"choices": [], "usage": USAGE}
BARE = {"role": "assistant", "content": None, "tool_calls": None}
CALL = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
DETAILS = {**USAGE, "prompt_tokens_details": {"cached_tokens": 2}}
STREAMS: dict[str, list[dict[str, Any]]] = {
    "usual": [ROLE, ONE, TWO, STOP, COUNTED],
    "no role": [ONE, TWO, STOP, COUNTED],
    "a role with nothing beside it": [choice(BARE), ONE, STOP, COUNTED],
    "cut at its length": [ROLE, ONE, choice({}, "length"), COUNTED],
    "words with the end": [ROLE, ONE, choice({"content": "two"}, "stop"), COUNTED],
    "usage with the end": [ROLE, ONE, choice({}, "stop", usage=USAGE)],
    "no usage": [ROLE, ONE, STOP],
    "usage with details": [ROLE, ONE, STOP, {"choices": [], "usage": DETAILS}],
    "usage in the middle": [ROLE, ONE, COUNTED, TWO, STOP],
    "usage that is none": [ROLE, ONE, STOP, {"choices": [], "usage": None}, COUNTED],
    "usage beyond all bounds": [ROLE, ONE, STOP, {"choices": [], "usage": {"prompt_tokens": -1}}],
    "a note before the usage": [{"choices": [], "filter": "none"}, ROLE, ONE, STOP, {**COUNTED, "note": "\u00e9"}],
    "null in each": [{**each, "usage": each.get("usage")} for each in (ROLE, ONE, TWO, STOP, COUNTED)],
    "a call": [ROLE, choice(CALL), choice({}, "tool_calls"), COUNTED],
    "thoughts": [ROLE, choice({"reasoning_content": "hm"}), ONE, STOP, COUNTED],
    "two answers": [ROLE, ONE, choice({"content": "other"}, index=1), STOP, choice({}, "stop", 1), COUNTED],
    "two choices": [{"choices": ROLE["choices"] + choice({}, None, 1)["choices"]}, ONE, STOP, choice({}, "stop", 1)],
    "an error": [ROLE, ONE, {"error": {"message": "no", "code": 503}}],
    "no end": [ROLE, ONE, TWO],
    "nothing": [],
    "nothing but an end": [ROLE, STOP, COUNTED],
}


def told(text: str) -> list[Any]:
    """The events of a stream, without what is another each time."""
    text = re.sub(r"cmpl-\w+|[0-9a-f]{8}-[0-9a-f-]{20,}|req_\w+", "", text)
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    events = [json.loads(each) if each != "[DONE]" else each for each in found]
    return [each if isinstance(each, str) else {**each, "created": 0, "id": ""} for each in events]


@pytest.mark.parametrize(
    ("way", "together", "include"),
    [("compact", True, False), ("compact", False, True), ("wide", False, False), ("names last", True, True)],
)
async def test_a_familiar_stream_is_sent_and_booked_as_one_of_which_nothing_is_known(tmp_path, way, together, include):
    events: list[bytes] = []

    async def handler(talk: raw.Talk) -> None:
        while True:
            await talk.request()
            pieces = [b"".join(events)] if together else events
            chunks = raw.chunked(*pieces) if events else raw.chunked(DONE)
            await (talk.say(raw.STREAM_HEAD + b"".join(chunks)) if together else talk.say(raw.STREAM_HEAD, *chunks))

    async with behind(tmp_path, handler) as served:
        served.theirs = ("usage.", "choices.", "error.", "filter", "note")
        for said in STREAMS.values():
            seen, rows = [], []
            for number in range(3):
                name = "cmpl-" + "abc"[number] * (1 + number % 2)
                events[:] = [written(each, name, way == "wide", way == "names last") for each in said] + [DONE]
                if not number:  # nothing is known
                    familiar.KINDS.clear()
                    alike.PROVEN.clear()
                options = {"stream_options": {"include_usage": True}} if include else {}
                seen.append(told((await served.ask(stream=True, **options)).text))
                row = served.ledger("outcomes")[-1]
                rows.append({key: row[key] for key in ("kind", "reason", "finish_reason", "cost", "estimated")})
            assert seen[1:] == seen[:1] * 2
            assert rows[1:] == rows[:1] * 2


def learned(kind: Familiar, fields: dict[str, Any], name: str = "a", data: bytes | None = None) -> bytes:
    """Teaches a kind an event that was parsed."""
    events = Events(Request((), {"stream": True}), "ours", 1)
    data = data or written(fields, name)[6:-2]
    delta = fields["choices"][0].get("delta") or {} if fields["choices"] else {}
    reason = fields["choices"][0].get("finish_reason") if fields["choices"] else None
    chunk = Chunk(delta, reason, None, None, data)
    kind.learn(chunk, events.of(chunk), events)
    return data


def test_names_may_be_others_and_nothing_else():
    kind = Familiar()
    learned(kind, ROLE)
    for name in ("b", "chatcmpl:7.8-9_", "x" * 128):
        data = written(STOP, name)[6:]
        assert data.startswith(kind.names(data) + b'[{"index":0')
    for other in (written(STOP, ""), written(STOP, 'a"b'), written(STOP, "a").replace(b"theirs", b"other")):
        assert not kind.names(other[6:])
    assert not kind.names(written({"error": None, **STOP}, "a")[6:])
    assert kind.sent(kind.names(written(ROLE, "b")[6:])).startswith(b'data: {"id":"b"')


@pytest.mark.parametrize(
    "fields",
    [
        ONE,
        choice(CALL),
        choice({"role": "assistant", "refusal": "no"}),
        choice({}, "stop", index=1),
        choice({}, "stop", usage=USAGE),
        {"choices": ROLE["choices"] * 2},
        {"choices": []},
        choice({}, "stop", long="x" * LONGEST),
        {"more": {"id": "nested"}, **STOP},
    ],
)
def test_what_says_more_than_a_role_or_an_end_is_not_told_by_its_bytes(fields):
    kind = Familiar()
    learned(kind, fields)
    assert not kind.told


def test_few_ends_and_kinds_are_kept_and_beginnings_seldom_where_no_two_are_alike():
    kind = Familiar()
    for number in range(2 * MOST_TOLD):
        learned(kind, choice({}, f"reason {number}"))
    assert 0 < len(kind.told) <= MOST_TOLD
    for number in range(MOST_KINDS + 1):
        familiar.familiar(f"expert {number}", "m", False)
    assert len(familiar.KINDS) <= MOST_KINDS
    assert familiar.familiar("e", "m", True) is familiar.familiar("e", "m", True)
    begun = set()
    for number in range(100):
        learned(kind, ROLE, data=written(ROLE, "a").replace(b'"object"', b'"o%d"' % number)[6:-2])
        begun.add(id(kind.begin))
    assert len(begun) <= LESSONS + 4

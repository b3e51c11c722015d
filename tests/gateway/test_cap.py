"""An expert that says more than was reserved for it is cut where it should have ended: row 44."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.limits import Limit
from tests.experts import raw
from tests.gateway.conftest import scripted
from tests.gateway.test_hot import DONE, ONE, ROLE, STOP, behind, event, events_of, stream
from tests.gateway.test_money import behind as limited_behind
from tests.gateway.test_money import limited, spent

CAP = 20
DAY = Limit("day", 1.0)


def endless(*events: bytes) -> raw.Handler:
    """Says the events again and again until we hang up."""

    async def handler(talk: raw.Talk) -> None:
        await talk.request()
        await talk.say(raw.STREAM_HEAD)
        for _ in range(5000):
            await talk.say(*raw.chunked(*events)[:-1])

    return handler


def last_of(response: Any) -> tuple[list[dict[str, Any]], str]:
    *chunks, done = events_of(response)
    assert done == "[DONE]"
    said = [choice for chunk in chunks for choice in json.loads(chunk)["choices"]]
    return said, "".join(each["delta"].get("content") or "" for each in said)


@pytest.mark.parametrize(
    "events",
    [
        (ONE,),
        (ONE, ONE, ONE),
        (event({"content": "one two three " * 20}),),
        (
            event(
                {"content": "."}, usage={"prompt_tokens": 7, "completion_tokens": 2 * CAP, "total_tokens": 7 + 2 * CAP}
            ),
        ),
        (event({"reasoning_content": "hm "}),),
    ],
)
async def test_a_stream_that_goes_on_beyond_its_cap_is_cut_with_a_reason_row_44(tmp_path, events):
    async with limited_behind(tmp_path, [endless(*events)], DAY) as served:
        response = await served.ask(max_tokens=CAP, stream=True)
        said, text = last_of(response)
        assert [each["finish_reason"] for each in said if each["finish_reason"]] == ["length"]
        assert said[-1]["finish_reason"] == "length"
        assert len(text) < 45 * CAP
        [row] = served.ledger("outcomes")
        assert (row["finish_reason"], row["kind"]) == ("length", "answer")
        [(taken, held)] = (await spent(served)).values()
        assert (taken, held) == (row["cost"], 0)
        told = row["completion_tokens"]
        assert told <= CAP or not row["estimated"]


async def test_a_stream_in_a_coroutine_is_cut_too_row_44(tmp_path):
    async with limited(tmp_path, [scripted("one", "word " * 500)], DAY) as served:
        said, text = last_of(await served.ask(max_tokens=CAP, stream=True))
    assert said[-1]["finish_reason"] == "length"
    assert len(text) < 20 * CAP


async def test_letters_that_come_one_by_one_are_no_tokens(tmp_path):
    letters = [event({"content": "a"}) for _ in range(2 * CAP)]
    async with limited_behind(tmp_path, [raw.always(*stream(ROLE, *letters, STOP, DONE))], DAY) as served:
        said, text = last_of(await served.ask(max_tokens=CAP, stream=True))
    assert (text, said[-1]["finish_reason"]) == ("a" * 2 * CAP, "stop")


async def test_where_nothing_is_reserved_nothing_is_cut(tmp_path):
    words = [ONE for _ in range(100)]
    async with behind(tmp_path, raw.always(*stream(ROLE, *words, STOP, DONE))) as served:
        said, text = last_of(await served.ask(max_tokens=CAP, stream=True))
    assert (text, said[-1]["finish_reason"]) == ("one " * 100, "stop")

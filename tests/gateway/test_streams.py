"""Streams that come as most do, in whole events and chunks, are taken in few steps and are the same streams."""

from __future__ import annotations

import json

from tests.experts import raw
from tests.gateway.test_hot import COUNTED, DONE, ONE, ROLE, STOP, TWO, behind, events_of, stream


async def test_what_comes_behind_the_end_of_a_stream_is_nobodys(tmp_path):
    pieces = [ROLE + ONE, TWO, ONE + STOP + COUNTED + DONE + TWO + b"data: no JSON\n\n", TWO]
    async with behind(tmp_path, raw.always(raw.STREAM_HEAD, *raw.chunked(*pieces), pause=0.01)) as served:
        for _ in range(2):
            response = await served.ask(stream=True)
            *chunks, done = events_of(response)
            texts = [json.loads(each)["choices"][0]["delta"].get("content") or "" for each in chunks]
            assert ("".join(texts), done) == ("one twoone ", "[DONE]")
        outcomes = served.ledger("outcomes")

    assert [row["cost"] for row in outcomes] == [13_000, 13_000]


async def test_a_whole_stream_that_came_at_once_is_the_same_as_one_in_pieces(tmp_path):
    sent = stream(ROLE, ONE, TWO, STOP, COUNTED, DONE)
    async with behind(tmp_path, raw.always(b"".join(sent)), raw.always(*sent, pause=0.01)) as served:
        for _ in range(2):
            texts = [(await served.ask(model=name, stream=True)).text for name in ("e0", "e1")]
            assert texts[0].replace("e0", "e1") == texts[1]

"""A mistake of ours, wherever a call in callbacks has got to, is an error that the client hears and never silence."""

import logging

import pytest

from gateway import chat, sink
from gateway.hot import Hot
from gateway.sink import Plain
from gateway.stream import Stream
from tests.experts import raw
from tests.gateway.test_hot import COUNTED, DONE, ONE, ROLE, STOP, behind, stream, whole

PLAIN = raw.always(whole())
STREAMED = raw.always(*stream(ROLE, ONE, STOP, COUNTED, DONE))


def mistake(*_):
    raise RuntimeError("a mistake of ours")


@pytest.mark.parametrize(
    ("where", "what", "handler"),
    [
        (Hot, "begin", PLAIN),
        (Hot, "carry", PLAIN),
        (sink, "usual", PLAIN),
        (chat, "renamed", PLAIN),
        (Plain, "whole", raw.always(raw.STREAM_HEAD, *raw.chunked(whole().partition(b"\r\n\r\n")[2]))),
        (Stream, "begin", STREAMED),
        (Stream, "whole", PLAIN),
    ],
)
async def test_a_mistake_before_the_first_byte_is_a_500(tmp_path, monkeypatch, caplog, where, what, handler):
    monkeypatch.setattr(where, what, mistake)
    async with behind(tmp_path, handler) as served:
        response = await served.ask(stream=where is Stream)

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "a mistake of ours" not in response.text
    assert [record.levelno for record in caplog.records if record.name == "lyceum"] == [logging.ERROR]


async def test_a_mistake_at_the_end_of_a_stream_is_its_last_event(tmp_path, monkeypatch):
    monkeypatch.setattr(Stream, "finish", mistake)
    async with behind(tmp_path, STREAMED) as served:
        response = await served.ask(stream=True)

    assert '"internal_error"' in response.text
    assert "[DONE]" not in response.text

"""Secrets and prompts on every path that can fail: they are found nowhere but where they belong (row 64)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.experts import raw
from tests.gateway.processes import Gateway, running

EXPERT_KEY = "sk-canary-of-the-expert-0123456789"
WRONG_KEY = "lyc-canary-of-a-wrong-client-0123456789"
PROMPT = "canary prompt that nobody else may read"
CONFIG = """
[experts.{name}]
use = "experts.openai_http:OpenAIHTTP"
url = "{url}/{name}/v1"
api_key_env = "LYCEUM_TEST_CANARY"
price = {{ prompt = 1.0, completion = 2.0 }}
limits = {{ first_seconds = 0.3, idle_seconds = 0.3, total_seconds = 2.0 }}
"""


def told(status: bytes, **error: str) -> raw.Handler:
    """An error that repeats what must not be repeated."""

    async def handler(talk: raw.Talk) -> None:
        head, body = await talk.request()
        echo = {"message": f"Incorrect API key provided: {EXPERT_KEY}", "type": "x", **error}
        assert EXPERT_KEY.encode() in head
        await talk.say(raw.answer(json.dumps({"error": echo}).encode(), status))

    return handler


async def html(talk: raw.Talk) -> None:
    head, body = await talk.request()
    await talk.say(raw.answer(b"<html>%b %b</html>" % (head, body), b"502 Bad Gateway", b"text/html"))


async def noise(talk: raw.Talk) -> None:
    head, body = await talk.request()
    await talk.say(raw.answer(head + body))


async def no_http(talk: raw.Talk) -> None:
    head, body = await talk.request()
    await talk.say(head + body)


async def broken_event(talk: raw.Talk) -> None:
    head, body = await talk.request()
    await talk.say(raw.STREAM_HEAD, *raw.chunked(b"data: {%b %b\n\n" % (head.replace(b"\r\n", b" "), body)))


async def error_event(talk: raw.Talk) -> None:
    _, body = await talk.request()
    choice = {"index": 0, "delta": {"content": "half"}, "finish_reason": None}
    first = json.dumps({"object": "chat.completion.chunk", "model": "m", "choices": [choice]}).encode()
    error = json.dumps({"error": {"message": f"{EXPERT_KEY} {body.decode()}", "code": "x"}}).encode()
    await talk.say(raw.STREAM_HEAD, *raw.chunked(b"data: %b\n\n" % first, b"data: %b\n\n" % error))


async def silence(talk: raw.Talk) -> None:
    await talk.request()
    await talk.closed()


FAULTS = {
    "e400": told(b"400 Bad Request"),
    "e401": told(b"401 Unauthorized", code="invalid_api_key"),
    "e403": told(b"403 Forbidden"),
    "e404": told(b"404 Not Found", code="model_not_found"),
    "e429": told(b"429 Too Many Requests"),
    "e500": told(b"500 Internal Server Error"),
    "html": html,
    "noise": noise,
    "nohttp": no_http,
    "event": broken_event,
    "error": error_event,
    "silence": silence,
}


@contextmanager
def faulty() -> Iterator[str]:
    """A server whose path's first word picks the fault; its address."""
    loop, ready, found = asyncio.new_event_loop(), threading.Event(), []
    over = asyncio.Event()

    async def dispatch(talk: raw.Talk) -> None:
        line = await talk.reader.readuntil(b"\r\n")
        talk.reader._buffer[:0] = line  # type: ignore[attr-defined] # read again by the fault
        await FAULTS[line.split(b"/")[1].decode()](talk)

    async def serve() -> None:
        async with raw.serving(dispatch) as server:
            found.append(server.url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": PROMPT}]},
    "/v1/responses": {"input": PROMPT, "store": False},
    "/v1/messages": {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 9},
    "/v1/completions": {"prompt": PROMPT},
}
MISTAKES = [
    json.dumps({"model": PROMPT, "messages": [{"role": "user", "content": PROMPT}]}),
    json.dumps({"model": "one", "messages": PROMPT}),
    json.dumps({"model": "one", "messages": [{"role": PROMPT, "content": PROMPT}]}),
    json.dumps({"model": "one", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": PROMPT}),
    f'{{"{PROMPT}": ',
]


def everything(gateway: Gateway) -> list[str]:
    """Asks on every route and every fault, with right and wrong keys; all that came back."""
    seen = []
    with gateway.client() as client:
        for path, body in BODIES.items():
            for name in FAULTS:
                for stream in (False, True):
                    response = client.post(path, json={"model": name, "stream": stream, **body})
                    seen.append(f"{response.headers} {response.text}")
        for mistake in MISTAKES:
            response = client.post("/v1/chat/completions", content=mistake.encode())
            seen.append(f"{response.headers} {response.text.replace(PROMPT, '')}")  # its own mistake, told to itself
        for key in (WRONG_KEY, f"Bearer {WRONG_KEY}", f"Basic {WRONG_KEY}"):
            response = httpx2.get(f"{gateway.url}/v1/models?key={WRONG_KEY}", headers={"authorization": key})
            seen.append(f"{response.headers} {response.text}")
        seen += [client.get(path).text for path in ("/metrics", "/readyz", "/healthz", "/v1/models")]
    return seen


def test_no_secret_and_no_prompt_is_where_it_does_not_belong(tmp_path, monkeypatch):
    monkeypatch.setenv("LYCEUM_TEST_CANARY", EXPERT_KEY)
    with faulty() as url:
        experts = "".join(CONFIG.format(name=name, url=url) for name in FAULTS)
        with running(tmp_path, experts, workers=1) as gateway:
            seen = everything(gateway)
            os.kill(gateway.process.pid, signal.SIGTERM)
            assert gateway.process.wait(40) == 0
            log, key = gateway.log.read_text(), gateway.key
    kept = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in (tmp_path / "state").rglob("*")
        if path.is_file() and path.name != "key"
    }
    assert len(seen) > 100
    assert sum("provided" in text for text in seen) > 4, "what the faulty server says gets as far as it may"
    assert not [text for text in seen if EXPERT_KEY in text or WRONG_KEY in text or key in text]
    for canary in (EXPERT_KEY, WRONG_KEY, PROMPT, key):
        assert canary not in log
        assert not [name for name, data in kept.items() if canary.encode() in data], canary
    assert "Traceback" not in log

"""A strict caller of a gateway: reads a streamed or a plain answer as OpenAI's own library does, and what it tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from experts.http1 import Client
from experts.http1_exchange import Deadlines, HTTPError


@dataclass(slots=True)
class View:
    """What the caller saw. `broken` says how the wire was wrong, empty if it was right."""

    status: int = 0
    text: str = ""
    reason: str | None = None
    done: bool = False
    error: dict[str, Any] | None = None
    usage: bool = False
    model: str = ""
    cost: float | None = None
    decision: str = ""
    seconds: float = 0.0
    retry_after: str = ""
    broken: str = ""
    raw: list[bytes] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether a client takes it for a whole answer."""
        return self.status == 200 and self.error is None and self.reason is not None and not self.broken


class Caller:
    """Asks one gateway."""

    def __init__(self, port: int, key: str, patience: float) -> None:
        self.client = Client(f"http://127.0.0.1:{port}")
        self.headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self.deadlines = Deadlines(5.0, patience, patience, patience)

    async def ask(self, prompt: str, model: str = "auto", stream: bool = True, **more: Any) -> View:
        """One request, with more fields of the body; a hang ends as `broken`."""
        body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": prompt}], **more}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        view, began = View(), time.monotonic()
        try:
            data = await self.read(view, orjson.dumps(body))
            (streamed if stream and view.status == 200 else single)(view, data)
        except HTTPError as error:
            view.broken = str(error)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            view.broken = f"not OpenAI's form: {type(error).__name__}"
        view.seconds = time.monotonic() - began
        return view

    async def read(self, view: View, body: bytes) -> bytes:
        """The whole body of an answer."""
        path = "/v1/chat/completions"
        async with self.client.request("POST", path, self.headers, body, self.deadlines) as response:
            view.status = response.status
            headers = dict(response.headers)
            view.decision = headers.get(b"x-request-id", b"").decode()
            view.retry_after = headers.get(b"retry-after-ms", headers.get(b"retry-after", b"")).decode()
            return await response.read()

    async def get(self, path: str) -> Any:
        """A JSON answer."""
        async with self.client.request("GET", path, self.headers, deadlines=self.deadlines) as response:
            return orjson.loads(await response.read())


def single(view: View, data: bytes) -> None:
    """A plain answer, or an error."""
    payload = orjson.loads(data)
    if view.status != 200:
        view.error = payload["error"]
        assert {"message", "type", "code", "param"} <= payload["error"].keys()
        return
    choice = payload["choices"][0]
    view.text, view.reason, view.model = choice["message"]["content"] or "", choice["finish_reason"], payload["model"]
    view.done, view.usage = True, bool(payload.get("usage"))


def streamed(view: View, data: bytes) -> None:
    """The events of a stream. Raises ValueError where a strict reader would."""
    if not data.endswith(b"\n\n"):
        raise ValueError("it ends inside an event")
    for block in data[:-2].split(b"\n\n"):
        if not block.startswith(b"data: ") or b"\n" in block or view.done or view.error:
            raise ValueError("no event, or one after the end")
        if block == b"data: [DONE]":
            view.done = True
            continue
        one(view, orjson.loads(block[6:]))
    if view.done and view.reason is None:
        raise ValueError("[DONE] without a reason")


def one(view: View, payload: dict[str, Any]) -> None:
    """One event."""
    if "error" in payload:
        view.error = payload["error"]
        return
    if payload["object"] != "chat.completion.chunk":
        raise ValueError("an event of another kind")
    view.model = payload["model"]
    if payload.get("usage"):
        view.usage, view.cost = True, payload.get("lyceum", {}).get("cost")
    for choice in payload["choices"]:
        if view.reason is not None and choice["delta"].get("content"):
            raise ValueError("words after the reason")
        view.text += choice["delta"].get("content") or ""
        view.reason = choice["finish_reason"] or view.reason

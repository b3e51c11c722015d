"""An expert at any provider that litellm knows; the only module that knows litellm, which is an optional extra.

Its import takes seconds, so it happens in a thread at start. It is called without retries, telemetry or price
downloads; of the client's fields only OpenAI's own pass, so that none can name another address or key.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import orjson

from experts.base import Chunk, Declined, ExpertError, Request, SetupError, Unavailable
from experts.card import Card
from experts.openai_answer import Progress
from experts.openai_errors import of_status
from experts.openai_http import Limits, whole
from experts.reading import Message

FIELDS = re.compile(
    "audio|frequency_penalty|function_call|functions|logit_bias|logprobs|max_completion_tokens|max_tokens|metadata|"
    "modalities|n|parallel_tool_calls|prediction|presence_penalty|prompt_cache_key|reasoning_effort|response_format|"
    "safety_identifier|seed|service_tier|stop|store|stream|stream_options|temperature|tool_choice|tools|top_logprobs|"
    "top_p|user|verbosity|web_search_options"
)
"""What a client may set: OpenAI's fields of a chat completion, never litellm's own, such as api_base."""

PREFIX = re.compile(r"^(?:litellm\.\w+: )?(?:\w+: )?(?:\w+Exception - )?")
"""What litellm puts before the server's message."""
MISSING = "litellm is not installed: pip install 'lyceum-gateway[litellm]'"


@dataclass(slots=True, eq=False)
class LiteLLMExpert:
    """`model` is litellm's name of it, such as `anthropic/claude-sonnet-5`. `api_key_env` names the environment
    variable that holds the key; without it litellm looks for the provider's usual one. `url` is the server, where
    it is not the provider's usual one. `arguments` are further ones of `litellm.acompletion`."""

    name: str
    card: Card
    _: KW_ONLY
    model: str
    url: str | None = None
    api_key_env: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limits: Limits = Limits()
    _litellm: Any = field(default=None, init=False, repr=False)

    async def start(self) -> None:
        """Raises SetupError if litellm or the key is missing."""
        await self._load()
        self._own()

    async def stop(self) -> None:
        """Nothing runs between requests."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        progress = Progress(self.card.price)
        try:
            litellm = await self._load()
            arguments = {**self._own(), **self._fields(request)}
        except SetupError as error:
            raise Unavailable(str(error), status=503) from error
        arguments["timeout"] = self.limits.deadlines(request.deadline).total
        try:
            async with aclosing(_ask(litellm, arguments, progress)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (litellm.exceptions.openai.OpenAIError, TimeoutError) as error:
            raise progress.failed(_typed(error)) from error

    async def _load(self) -> Any:
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(_import)
        return self._litellm

    def _own(self) -> dict[str, Any]:
        """The operator's side of a call. Raises SetupError."""
        own = {**self.arguments, "model": self.model, "max_retries": 0, "num_retries": 0}
        if self.url is not None:
            own["api_base"] = self.url
        if self.api_key_env is not None:
            own["api_key"] = os.environ.get(self.api_key_env)
            if not own["api_key"]:
                raise SetupError(f"experts.{self.name}.api_key_env: set the environment variable {self.api_key_env}")
        return own

    def _fields(self, request: Request) -> dict[str, Any]:
        """The client's side of a call. Raises Declined for a field that litellm cannot be trusted with."""
        for key in request.options:
            if not FIELDS.fullmatch(key):
                raise Declined("the expert does not take one of the request's fields", status=400, param=key)
        if any(map(_points_elsewhere, request.messages)):
            raise Declined("the expert takes images and files inside the request only", status=400, param="messages")
        fields = {**request.options, "messages": list(request.messages)}
        if request.stream:
            options = request.options.get("stream_options")
            fields["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return fields


async def _ask(litellm: Any, arguments: dict[str, Any], progress: Progress) -> AsyncGenerator[Chunk, None]:
    due = asyncio.get_running_loop().time() + arguments["timeout"]
    async with asyncio.timeout_at(due):
        answer = await litellm.acompletion(**arguments)
    if not arguments.get("stream"):
        yield whole(_encoded(answer), progress)
        return
    while True:
        async with asyncio.timeout_at(due):
            piece = await anext(answer, None)
        if piece is None:
            break
        data = _encoded(piece)
        chunk = progress.take(orjson.loads(data), data)
        if chunk.finish_reason and _is_made_up(answer):
            raise progress.broken_off("no finish_reason came")
        yield chunk
    progress.end()
    if rest := progress.rest():
        yield rest


def _is_made_up(stream: Any) -> bool:
    """Whether the finish_reason is litellm's own: it ends a stream that was cut with "stop"."""
    told = (getattr(stream, f"{kind}_finish_reason", "unknown") for kind in ("received", "intermittent"))
    return not any(told)


def _points_elsewhere(message: Message) -> bool:
    """Whether litellm would fetch a part of the message from an address that the client names."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return any(isinstance(part, dict) and "text" not in part and b"://" in orjson.dumps(part) for part in parts)


def _import() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import downloads a price list
    try:
        import litellm
    except ImportError as error:
        raise SetupError(MISSING) from error
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    return litellm


def _encoded(answer: Any) -> bytes:
    return orjson.dumps(answer.model_dump(mode="json", exclude_none=True))


def _typed(error: Exception) -> ExpertError:
    """The error that one of litellm's means: all carry a status, some the server's headers."""
    if isinstance(error, TimeoutError):
        return Unavailable("the expert did not answer in time", status=504, code="upstream_timeout")
    status = getattr(error, "status_code", None)
    about = {key: getattr(error, key, None) for key in ("message", "type", "code", "param")}
    about["message"] = PREFIX.sub("", str(about["message"]))
    sent = getattr(error, "litellm_response_headers", None) or {}
    headers = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    body = orjson.dumps({"error": about}, default=str)
    return of_status(status if isinstance(status, int) and status >= 400 else 502, headers, body, time.time())

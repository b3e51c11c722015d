"""Asks one expert one task and takes down what came: over HTTP as any client, or in process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Protocol

from bench.tasks.base import Task
from experts.base import Chunk, Expert, ExpertError, Request, SetupError, text
from experts.card import NANO

if TYPE_CHECKING:
    import httpx2

SECONDS = 600.0
"""How long one answer may take before it counts as failed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, or why there is none: `reason` is empty only for an answer that ended by itself.

    `cost` is nano-dollars."""

    answer: str = ""
    reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: int | None = None
    seconds: float = 0.0


class Asker(Protocol):
    """Somebody who can be sent to an expert."""

    async def ask(self, expert: str, task: Task) -> Reply: ...


def body(task: Task) -> dict[str, Any]:
    """The options of every question: the same for all experts, greedy."""
    return {"max_tokens": task.max_tokens, "temperature": 0}


@dataclass(frozen=True, slots=True)
class InProcess:
    """Asks experts of this process."""

    experts: Mapping[str, Expert]

    async def ask(self, expert: str, task: Task) -> Reply:
        """The expert's reply; an ExpertError is a reply with its reason and its cost."""
        request = Request(({"role": "user", "content": task.prompt},), body(task), expert, task.id)
        began, chunks = time.monotonic(), list[Chunk]()
        try:
            async with asyncio.timeout(SECONDS):
                async for chunk in self.experts[expert].stream(request):
                    chunks.append(chunk)
        except ExpertError as error:
            cost = known_cost(error.reason, error.about.get("cost"))
            return Reply(reason=error.reason, cost=cost, seconds=time.monotonic() - began)
        except TimeoutError:
            return Reply(reason="timeout", seconds=time.monotonic() - began)
        return _whole(chunks, time.monotonic() - began)


def known_cost(reason: str, cost: int | None) -> int | None:
    """The cost of a failure: who declines and reports none did nothing; else it is unknown, which is not 0."""
    return 0 if cost is None and reason == "declined" else cost


def _whole(chunks: list[Chunk], seconds: float) -> Reply:
    usage = next((chunk.usage for chunk in reversed(chunks) if chunk.usage is not None), None)
    finish = next((chunk.finish_reason for chunk in reversed(chunks) if chunk.finish_reason), "stop")
    return Reply(
        answer="".join(text(chunk.delta.get("content")) for chunk in chunks),
        reason="" if finish == "stop" else finish,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cost=next((chunk.cost for chunk in reversed(chunks) if chunk.cost is not None), None),
        seconds=seconds,
    )


@dataclass(frozen=True, slots=True)
class OverHTTP:
    """Asks through a gateway, as its clients do; `model` is the expert's name."""

    client: httpx2.AsyncClient

    async def experts(self) -> list[str]:
        """The names of the gateway's experts. Raises SetupError if it does not answer."""
        import httpx2

        try:
            answer = await self.client.get("/v1/models")
        except httpx2.HTTPError as error:
            raise SetupError("no gateway answers at this address: start one with `lyceum serve`") from error
        if answer.status_code == 401:
            raise SetupError("the gateway does not know this key: give --key or --key-file")
        models = answer.json()["data"]
        return [model["id"] for model in models if model.get("kind", "expert") == "expert"]

    async def ask(self, expert: str, task: Task) -> Reply:
        """The expert's reply; an error answer is a reply with its code and its cost."""
        import httpx2

        question = {"model": expert, "messages": [{"role": "user", "content": task.prompt}], **body(task)}
        began = time.monotonic()
        try:
            answer = await self.client.post("/v1/chat/completions", json=question)
        except httpx2.HTTPError as error:
            return Reply(reason=type(error).__name__, seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        if answer.status_code != 200:
            reason, cost = await self._failure(answer)
            return Reply(reason=reason, cost=cost, seconds=seconds)
        return _parsed(answer.json(), nano(answer.headers.get("x-lyceum-cost")), seconds)

    async def _failure(self, answer: httpx2.Response) -> tuple[str, int | None]:
        """Why there is no answer, and what that cost: an error says neither, the decision's story does."""
        import httpx2

        try:
            path = f"/v1/decisions/{answer.headers.get('x-request-id')}"
            (outcome,) = (await self.client.get(path)).json()["outcomes"]
            reason, cost = str(outcome["reason"]), outcome["cost"]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            return _error(answer), None
        return reason, known_cost(reason, cost)


def nano(dollars: str | None) -> int | None:
    """Nano-dollars of dollars in decimal, exactly; `None` if there are none or it is no number."""
    try:
        return None if dollars is None else int(Decimal(dollars) * NANO)
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _error(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)


def _parsed(found: dict[str, Any], cost: int | None, seconds: float) -> Reply:
    choice, usage = found["choices"][0], found.get("usage") or {}
    finish = choice.get("finish_reason") or "stop"
    return Reply(
        answer=text(choice["message"].get("content")),
        reason="" if finish == "stop" else finish,
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
        cost=cost,
        seconds=seconds,
    )

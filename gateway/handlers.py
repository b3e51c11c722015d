"""What each address does, written once for every server: a call comes, a reply goes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from experts.base import Request
from experts.card import dollars
from experts.catalog import Demand, eligible
from gateway import admin, chat, completions, embeddings, errors, hot, messages_handlers, passing, responses_handlers
from gateway.auth import Keys
from gateway.born import AUTO, born, policy_of
from gateway.custom_chat import in_functions, translated
from gateway.errors import APIError
from gateway.explained import Explaining, explained_by
from gateway.frames import framed
from gateway.habits import follows, habit_of
from gateway.http import Handler, HTTPCall, Reply, send_error, send_json
from gateway.idempotency import Idempotency, Recorder
from gateway.life import Life
from gateway.messages_errors import formed
from gateway.messages_handlers import bearer
from gateway.metrics import Metrics
from gateway.openapi import handlers as openapi_handlers
from gateway.replays import HEADER as IDEMPOTENCY_KEY
from gateway.run import Result, run, send
from gateway.school import School
from gateway.sink import JSON
from gateway.stored import Stored
from gateway.turn import Turn
from policies.base import Accept, Ask, State
from policies.record import born_of


@dataclass(slots=True)
class Door:
    """Everything that handlers share."""

    school: School
    keys: Keys
    admin_key: bytes | None = None
    """The digest of the key for /admin; `None`: nobody may go there."""
    names_expert: bool = True
    """Whether `model` in an answer is the expert's name; else it is the model that was requested."""
    started: int = field(default_factory=lambda: int(time.time()))
    ready: bool = False
    once: Idempotency | None = None
    """Keeps the answers of clients that name their requests; `None`: the operator wants none kept."""
    stored: Stored | None = None
    """Keeps responses for the clients that want them kept; `None`: the operator wants none kept."""
    leaving: bool = False
    """Whether the gateway drains: every answer says that its connection ends."""
    everyone: Callable[[], Awaitable[Metrics]] | None = None
    """What all workers have counted together, if there are several."""

    async def stop(self) -> None:
        """Ends what runs without a client, then the school."""
        if self.once is not None:
            await self.once.close()
        if self.stored is not None:
            await self.stored.close()
        await self.school.stop()
        await self.keys.close()

    @property
    def metrics(self) -> Metrics:
        """What is counted."""
        return self.school.books.metrics

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The handler of each method and address; a trailing `/` takes the rest of the address."""
        return {
            ("POST", "/v1/chat/completions"): self.chat,
            ("GET", "/v1/models"): self.models,
            ("GET", "/v1/models/"): self.model,
            ("POST", "/v1/route"): self.route,
            ("GET", "/v1/decisions/"): self.decision,
            ("GET", "/healthz"): self.healthz,
            ("GET", "/readyz"): self.readyz,
            ("GET", "/metrics"): self.show_metrics,
            **admin.handlers(self),
            **completions.handlers(self),
            **embeddings.handlers(self),
            **messages_handlers.handlers(self),
            **openapi_handlers(self),
            **passing.handlers(self),
            **responses_handlers.handlers(self),
        }

    async def guarded(self, handler: Handler, call: HTTPCall, reply: Reply) -> None:
        """Runs a handler; the one place where every exception becomes an error body."""
        try:
            if self.once is not None and IDEMPOTENCY_KEY in call.headers and not isinstance(reply, Recorder):
                await self.once.run(partial(self.guarded, handler), call, reply, self.keys.name(bearer(call.headers)))
            else:
                await handler(call, reply)
        except Exception as error:  # noqa: BLE001 the marked boundary: a bug, a store or an expert that failed
            known = formed(errors.of(error), call.path, call.id)
            errors.log(known, error, call.path, call.id)
            if reply.started:  # a stream: it ends with an error event and without [DONE]
                await reply.write(known.event())
                await reply.end()
            else:
                await send_error(reply, known)

    def hot(self, route: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether requests with such a head may be answered in callbacks."""
        return route == "/v1/chat/completions" and IDEMPOTENCY_KEY not in headers

    def now(self, turn: Turn) -> bool:
        """Answers a turn in callbacks, if its head and its request allow that; else a handler must."""
        head, school = turn.head, self.school
        if not head.hot:
            return False
        try:
            key = head.key or self.keys.of(head)
            request = framed(turn.body, turn.id) or chat.parsed(turn.body, turn.id)
            turn.by = life = hot.Hot(school, request, school.policy, AUTO, key, turn=turn, door=self)
            habit = head.habit
            if habit is None or habit.options is not request.options:
                habit = habit_of(head, school, request.options)
            if (habit is None or not follows(life, habit)) and not life.begins(head):
                return False
        except Exception as error:  # noqa: BLE001 the callbacks' side of the marked boundary
            known = errors.of(error)
            errors.log(known, error, head.path, turn.id)
            turn.respond(known.http_status, [*JSON, *known.all_headers()], known.encoded())
            return True
        if life.usual is None:
            life.again()
        else:
            life.start(life.usual)
        return True

    def life(self, request: Request, key: str, headers: Mapping[bytes, bytes]) -> Life:
        """Raises APIError."""
        life = Life(self.school, request, self.school.policy, AUTO, key)
        born(life, headers)
        return life

    async def chat(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/chat/completions: an answer of the school, whole or as server-sent events."""
        key, headers = self.keys.name(call.headers), call.headers
        life = self.life(chat.parse(call.body, call.id), key, headers)
        await life.embed()
        life.begin()
        if (names := translated(life)) is not None:
            await in_functions(self, life, reply, names)
        else:
            await self.answer(life, reply)

    def resume(self, life: Life, decision: Ask | Accept, turn: Turn) -> None:
        """Goes on in a task with what callbacks cannot do: from `decision` on."""

        async def handler(call: HTTPCall, reply: Reply) -> None:
            await self.answer(life, reply, decision)

        turn.line.spawn(turn, handler)

    async def answer(self, life: Life, reply: Reply, decision: Ask | Accept | None = None) -> None:
        """Sends a result in the form the client asked for; goes on from `decision` if one has been made."""
        send = self.stream if life.request.stream else self.plain
        with Explaining(life) as told:
            result = await run(life, decision)
            told.expert = result.expert
            await send(life, result, reply)

    async def plain(self, life: Life, result: Result, reply: Reply) -> None:
        """One JSON body."""
        request = life.request
        async with aclosing(result.chunks) as chunks:
            async for chunk in chunks:
                body = chat.whole(chunk, request.id, self.model_of(request, result), int(time.time()))
                headers = [*explained_by(result), (b"x-lyceum-cost", chat.money(result.spent + (chunk.cost or 0)))]
                await send_json(reply, body, 200, headers)

    async def stream(self, life: Life, result: Result, reply: Reply) -> None:
        """Server-sent events."""
        request = life.request
        events = chat.Events(request, self.model_of(request, result), int(time.time()))
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        async with aclosing(result.chunks):
            await reply.start(200, [*head, (b"x-accel-buffering", b"no"), *explained_by(result)])
            await send(life, events, result.chunks, reply)

    def model_of(self, request: Request, result: Result) -> str:
        """What `model` says in the answer."""
        return result.expert if self.names_expert else request.model

    async def models(self, call: HTTPCall, reply: Reply) -> None:
        """GET /v1/models: `auto`, the policies and the experts, each to be named as `model`."""
        names = self._names(self.keys.name(call.headers))
        await send_json(reply, {"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, call: HTTPCall, reply: Reply) -> None:
        """GET /v1/models/{id}: one of them."""
        key = self.keys.name(call.headers)
        name = unquote(call.path.removeprefix("/v1/models/"))
        if name not in self._names(key):
            raise APIError("model_not_found", param="model")
        await send_json(reply, self._model(name))

    def _names(self, key: str) -> list[str]:
        """What a key may name as model."""
        policies = [name for name in (AUTO, *self.school.policies) if self.keys.may(key, name)]
        own = [embeddings.ENCODER] if self.school.encoder is not None else []
        return list(dict.fromkeys([*policies, *self.keys.experts(key, self.school.experts), *own]))

    def _model(self, name: str) -> dict[str, Any]:
        expert = self.school.experts.get(name)
        about = {} if expert is None else {"description": expert.card.description, "domain": expert.card.domain}
        kind = "expert" if expert else "encoder" if name == embeddings.ENCODER else "policy"
        return {"id": name, "object": "model", "created": self.started, "owned_by": "lyceum", "kind": kind, **about}

    async def route(self, call: HTTPCall, reply: Reply) -> None:
        """POST /v1/route: what would happen to this request, and why; nothing is asked, nothing is spent."""
        key = self.keys.name(call.headers)
        request = chat.parse(call.body, call.id)
        name, policy = policy_of(self.school, request.model)
        request = await self.school.embedded(request)
        catalog = self.school.books.permit(key, request.model, self.school.catalog(request.model))
        demand = Demand.of(request)
        able = eligible(demand, catalog)
        estimates = self.school.estimates(request, demand, able)
        allowance = self.school.books.allowance(key, request)
        policy = self.school.books.steered(key, request, policy)
        decision = policy.decide(State(request, estimates, (), allowance, self.school.draw()))
        await send_json(reply, explained(name, decision, estimates, [name for name in catalog if name not in able]))

    async def decision(self, call: HTTPCall, reply: Reply) -> None:
        """GET /v1/decisions/{id}: the whole story of one request of this key."""
        key = self.keys.name(call.headers)
        name = call.path.removeprefix("/v1/decisions/")
        # A name that no gateway made could be anywhere: the whole ledger would be read for nothing.
        story = None if born_of(name) is None else await self.school.books.explain(name, key)
        if story is None:
            raise APIError("decision_not_found")
        await send_json(reply, story)

    async def healthz(self, call: HTTPCall, reply: Reply) -> None:
        """GET /healthz: the process is alive."""
        await send_json(reply, {"status": "ok"})

    async def readyz(self, call: HTTPCall, reply: Reply) -> None:
        """GET /readyz: 200 once every expert has been started."""
        experts = {name: bool(getattr(expert, "ready", True)) for name, expert in self.school.experts.items()}
        body = {"status": "ready" if self.ready else "starting", "experts": experts}
        await send_json(reply, body, 200 if self.ready else 503)

    async def show_metrics(self, call: HTTPCall, reply: Reply) -> None:
        """GET /metrics: Prometheus' text format."""
        self.keys.name(call.headers)
        metrics = self.metrics if self.everyone is None else await self.everyone()
        body = metrics.text()
        headers = [(b"content-type", b"text/plain; version=0.0.4"), (b"content-length", str(len(body)).encode())]
        await reply.start(200, headers)
        await reply.write(body)
        await reply.end()


def explained(policy: str, decision: Any, estimates: Any, excluded: list[str]) -> dict[str, Any]:
    """A decision and its candidates, best first, for people."""
    candidates = [
        {
            "expert": estimate.expert,
            "quality": round(estimate.quality, 4),
            "std": round(estimate.std, 4),
            "cost": dollars(estimate.cost),
            "cost_high": dollars(estimate.cost_high),
            "latency": round(estimate.latency, 3),
        }
        for estimate in sorted(estimates.values(), key=lambda estimate: -estimate.quality)
    ]
    return {
        "policy": policy,
        "decision": type(decision).__name__.lower(),
        "experts": list(getattr(decision, "experts", ())),
        "reason": getattr(decision, "reason", None),
        "why": decision.why,
        "probability": getattr(decision, "probability", None),
        "candidates": candidates,
        "excluded": excluded,
    }

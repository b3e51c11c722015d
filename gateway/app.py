"""The ASGI application: finds the handler of an address; what has none is a 404 or 405 in OpenAI's form."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain
from operator import add

from gateway import asgi
from gateway.errors import APIError
from gateway.handlers import Door
from gateway.heirs import Heirs
from gateway.http import Handler, HTTPCall, Reply
from gateway.known import Known

Table = Mapping[tuple[str, str], Handler]


def find(table: Table, method: str, path: str) -> tuple[Handler, str]:
    """The handler of an address and the route's name. A route is an exact address, or one that ends in `/` and takes
    one more part, or one with `{id}` before its last part. Raises APIError."""
    handler = table.get((method, path))
    if handler is not None:
        return handler, path
    routes = (path, path[: path.rfind("/") + 1], _with_id(path))
    for route in routes[1:]:
        handler = table.get((method, route))
        if handler is not None:
            return handler, route
    allowed = sorted({known for known, route in table if route in routes})
    if allowed:
        raise APIError("method_not_allowed", headers={"allow": ", ".join(allowed)})
    raise APIError("not_found")


def _with_id(path: str) -> str:
    head, _, verb = path.rpartition("/")
    return f"{head.rpartition('/')[0]}/{{id}}/{verb}"


class App:
    """The whole gateway behind ASGI."""

    def __init__(self, door: Door, body_cap: int) -> None:
        self.door, self.body_cap = door, body_cap
        self.table = door.handlers()
        self.known: Known | None = None
        """The head that was learned last, on any connection: the next one may begin with it."""
        self.heirs: Heirs | None = None
        """Who takes the idle connections of a gateway that leaves, if anybody does."""

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)

    async def http(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """One exchange: counted, guarded, cancelled when the client leaves."""
        reply = asgi.ASGIReply(send, request_id())
        route = "other"
        try:
            handler, route = find(self.table, scope["method"], scope["path"])
        except APIError as error:
            handler = raiser(error)
        cap = self.body_cap

        async def guarded(call: HTTPCall, reply_: Reply) -> None:
            await self.door.guarded(handler, call, reply_)

        try:
            await asgi.serve(guarded, scope, receive, reply, cap)
        finally:
            self.door.metrics.requests[route, str(reply.status)] += 1

    async def lifespan(self, receive: asgi.Receive, send: asgi.Send) -> None:
        """The server starts and stops what the door needs elsewhere; here is only the protocol's answer."""
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return


def raiser(error: APIError) -> Handler:
    """A handler that does nothing but refuse."""

    async def handler(call: HTTPCall, reply: Reply) -> None:
        raise error

    return handler


def _bits() -> list[str]:
    return os.urandom(8 * 256).hex(" ", 8).split()  # for many at once: each call of the system costs more than a name


SECONDS = map(lru_cache(maxsize=2)("{:08x}".format), map(int, iter(time.time, None)))
BITS = chain.from_iterable(iter(_bits, None))
request_id: Callable[[], str] = map(add, SECONDS, BITS).__next__
"""The name of a request in headers, answers and the ledger: the second of its birth, which tells the ledger where to
look, and 64 random bits, all in hexadecimal."""

"""What an HTTP/1.1 client exchanges: a request, its deadlines, the sink that takes the answer, and how it can fail.

* HTTPError
  + ConnectFailed    no connection could be made
  + TooBusy          too many requests wait for a connection
  + TimedOut         a deadline passed: `stage` is connect, first, idle or total
  + ClosedEarly      the connection ended inside an answer, after `received` bytes
  + ProtocolBroken   the answer is not HTTP/1.1, or larger than its cap
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from msgspec import Struct

from experts.http1_chunks import Opening
from experts.http1_head import Whole
from experts.slots import slotted

if TYPE_CHECKING:
    from experts.http1_connection import Connection

Headers = list[tuple[bytes, bytes]]
"""Names are lower-case."""
Payload = bytes | tuple[bytes | memoryview, ...]
"""A request that is not long, or the parts of one that is: they are not copied to be sent."""


class HTTPError(Exception):
    """No whole answer came. The message names no address."""


class ConnectFailed(HTTPError):
    """No connection could be made."""


class TooBusy(HTTPError):
    """Too many requests wait for a connection."""


class TimedOut(HTTPError):
    """A deadline passed."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the {stage} deadline passed")
        self.stage = stage


class ClosedEarly(HTTPError):
    """The connection ended inside an answer."""

    def __init__(self, received: int) -> None:
        super().__init__("the connection closed inside the answer" if received else "the connection closed unanswered")
        self.received = received


class ProtocolBroken(HTTPError):
    """The answer is not HTTP/1.1, or larger than its cap."""


class Deadlines(NamedTuple):
    """Seconds: to a connection (waiting for a free one included), from there to the first byte of the body,
    between two pieces of the body, and for all of it."""

    connect: float = 5.0
    first: float = 120.0
    idle: float = 60.0
    total: float = 600.0


class Sink(Protocol):
    """Takes one answer, in order; the last call is `on_end` or `on_error`, unless the exchange is cancelled."""

    __slots__ = ()
    takes_whole: ClassVar[bool] = False
    """Whether a 200 that came in one piece may come in the one call of `on_whole`, instead of all others."""

    def on_whole(self, body: bytes) -> None:
        """A whole answer, which is over."""
        raise AssertionError("only for sinks that take answers whole")

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_error(self, error: HTTPError) -> None: ...


class Pool(Protocol):
    """What exchanges and connections need of their owner."""

    whole: Whole
    """How the server's answers begin that come whole."""
    opening: Opening
    """How the server's streams begin."""
    head_bytes: int
    """The most bytes of an answer's head."""
    idle: list[Connection]
    """Connections that may carry an exchange."""
    waiting: OrderedDict[Exchange, None]
    """Exchanges that are carried as soon as one can."""

    def time(self) -> float: ...

    def watch(self, due: float) -> None:
        """An exchange is due earlier than it was."""
        ...

    def forget(self, exchange: Exchange) -> None:
        """The exchange is over."""
        ...

    def free(self, connection: Connection) -> None:
        """Its exchange is over and the connection can carry another."""
        ...

    def lost(self, connection: Connection, stale: Exchange | None) -> None:
        """The connection is gone; `stale` must be sent again on a new one."""
        ...


@slotted
class Exchange(Struct, eq=False):
    """One request and its answer, from the moment it is submitted."""

    pool: Pool
    payload: Payload
    deadlines: Deadlines
    sink: Sink
    started: float
    touched: float
    """When it got its connection, or its answer went on last."""
    connection: Connection | None = None
    quick: Callable[[bytes], bool] | None = None
    """Takes a read that begins between two chunks as it came, framing and all, if it can; tells whether it did."""
    flowing: bool = False
    paused: bool = False
    done: bool = False
    retried: bool = False
    came: bool = False
    """Whether all of the answer has come, so that nothing is left to wait for."""

    def due(self) -> float:
        """The loop's time at which this exchange is late, unless something happens until then."""
        if self.connection is None:
            stage = self.touched + self.deadlines.connect
        elif not self.flowing:
            stage = self.touched + self.deadlines.first
        else:
            stage = math.inf if self.paused else self.touched + self.deadlines.idle
        return min(stage, self.started + self.deadlines.total)

    def expire(self, now: float) -> None:
        """Ends the exchange with the deadline that passed."""
        if now >= self.started + self.deadlines.total:
            stage = "total"
        else:
            stage = "connect" if self.connection is None else "idle" if self.flowing else "first"
        self.fail(TimedOut(stage))

    def fail(self, error: HTTPError) -> None:
        """Ends the exchange with an error; its connection, if any, is closed."""
        if not self.done:
            self.cancel()
            self.sink.on_error(error)

    def cancel(self) -> None:
        """Ends the exchange without a further call of the sink; its connection, if any, is closed."""
        if self.done:
            return
        self.done = True
        self.pool.forget(self)
        if self.connection is not None:
            self.connection.abort()

    def hasten(self, seconds: float) -> None:
        """From now on the exchange has at most as many seconds."""
        if not (self.done or self.came):
            total = min(self.deadlines.total, self.pool.time() - self.started + seconds)
            self.deadlines = self.deadlines._replace(total=total)
            self.resume()
            self.pool.watch(self.due())

    def hang_up(self, seconds: float) -> bool:
        """Tells the server that nobody waits any more; what it has said until it hears that still comes, within as
        many seconds. False where a connection cannot do that."""
        self.hasten(seconds)
        return not self.done and self.connection is not None and self.connection.hang_up()

    def pause(self) -> None:
        """Stops the answer until `resume`; some more data may still come."""
        if self.connection is not None and not self.paused and not self.done:
            self.paused = True
            self.connection.pause()

    def resume(self) -> None:
        if self.paused and not self.done and self.connection is not None:
            self.paused = False
            self.touched = self.pool.time()
            self.pool.watch(self.due())
            self.connection.resume()

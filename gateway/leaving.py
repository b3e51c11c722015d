"""What becomes of an answer whose client has left: ended at once, or read on until its expert has said what it cost."""

from __future__ import annotations

import time

from msgspec.structs import replace

from experts import sse
from experts.base import Answer, BrokenOff, ExpertError, Failure
from experts.http1_exchange import ClosedEarly, Headers, HTTPError, Sink
from experts.openai_errors import of_status
from experts.openai_http import piece, whole
from gateway.sink import Call
from gateway.stream import Stream

LEFT = "client_left"
SECONDS = 1.0
"""How long a server may take to end an answer once we have hung up."""


def leave(call: Call) -> None:
    """The client of a call went away: what was said is written down, once it is known what that cost."""
    exchange = call.exchange
    if exchange is None or exchange.done or call.settled:
        call.left()
    elif exchange.connection is None:
        exchange.cancel()
        call.settle(Answer(call.expert.name, {}, cost=0, timing=call.timing()), LEFT)
    elif call.expert.when_left == "cancel":
        exchange.cancel()
        call.left()
    else:
        exchange.sink = rest = Leaving(call)
        exchange.quick = None
        exchange.resume()
        rest.look()


class Leaving(Sink):
    """A sink for the rest of an answer that nobody waits for."""

    __slots__ = ("call", "hung")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.hung = False

    def look(self) -> None:
        """Hangs up as soon as the expert has said what was used so far; from then on it says it with every event."""
        call, usage = self.call, self.call.usage
        known = usage is not None and usage.prompt_tokens is not None and usage.completion_tokens is not None
        if self.hung or not known or not call.expert.counts or call.exchange is None:
            return
        self.hung = True
        if not call.exchange.hang_up(SECONDS):
            call.exchange.cancel()
            self.end(guessed=True)

    def on_head(self, status: int, headers: Headers) -> None:
        self.call.on_head(status, headers)

    def on_data(self, data: bytes) -> None:
        call = self.call
        if not (isinstance(call, Stream) and call.open):
            if call.larger(data):
                self.drop(BrokenOff("the answer is larger than its cap"))
            return
        try:
            for event in call.reader.feed(data):
                if event.data != b"[DONE]":
                    call.note(piece(event, call.progress))
        except (ExpertError, sse.TooLong) as error:
            self.drop(error if isinstance(error, ExpertError) else call.progress.broken_off(str(error)))
            return
        self.look()

    def on_end(self) -> None:
        call = self.call
        streamed = isinstance(call, Stream) and call.open
        try:
            if call.status != 200:
                raise of_status(call.status, call.headers, call.came(), time.time())
            if not streamed:
                call.note(whole(call.came(), call.expert.progress()))
        except ExpertError as error:
            self.fail(error)
        else:
            self.end()

    def on_error(self, error: HTTPError) -> None:
        """The server hung up too, as it should; or it did not say all that it was still going to."""
        self.end(guessed=not isinstance(error, ClosedEarly))

    def drop(self, error: ExpertError) -> None:
        """Gives the expert up."""
        if self.call.exchange is not None:
            self.call.exchange.cancel()
        self.fail(error)

    def fail(self, error: ExpertError) -> None:
        """The expert failed beside."""
        failure: Failure = self.call.failure(error)
        self.call.settle(failure, LEFT)

    def end(self, guessed: bool = False) -> None:
        """Writes down what was said; `guessed`: more may have been made than we have heard of."""
        answer = replace(self.call.answer(), finish_reason=None)
        if guessed and answer.usage is not None:
            answer = replace(answer, usage=replace(answer.usage, estimated=True))
        self.call.settle(answer, LEFT)

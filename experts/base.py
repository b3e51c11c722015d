"""The vocabulary of the room: what is asked, what comes back, and whose fault it is when nothing does.

* ExpertError
  + Unavailable    the expert cannot be reached, is overloaded or too slow: another may answer
  + Rejected       the expert refuses this request: the client's business, unless another takes it
    - Declined     the request is not the expert's field: ask another
  + BrokenOff      the answer began and did not end
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from msgspec import Struct, field

from experts.card import Card, Usage
from experts.reading import LAST, Message, look
from experts.reading import text as text  # every reader of contents takes it from here

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHAT = "chat"
"""The dialect that every expert speaks unless its card says otherwise: chat completions."""


class Splice(NamedTuple):
    """How a body is written: as it came, but for what stands before and after the bytes that stay."""

    before: bytes
    stays: slice
    after: bytes
    more: int
    """Bytes by which it is longer then."""


class Body(Struct, frozen=True, gc=False):
    """A client's body in chat's form, and what was read from it: what a request still has of that needs no writing."""

    data: bytes
    messages: tuple[Message, ...]
    options: Mapping[str, Any]
    size: int = 0
    """Bytes of `data` once no letter is escaped: a bound of what a model is to read of it."""
    plain: bool = False
    """Whether it is certain that there are no tools in it, nor calls of any."""
    named: tuple[int, int] | None = None
    """Where in `data` the model's name stands, its quotation marks too, if that is known; below 0: from the end."""
    splices: dict[str, Splice] | None = None
    """How bodies that are this one but for the last words were written, by who wrote them."""


class Request(Struct, frozen=True):
    """One request of any dialect. `options` holds every other field of the client's body, untouched.

    A request of another dialect than chat is here in chat's form, to be routed on and for experts that speak no
    other; `native` is the body as it came, for those that speak its dialect.
    """

    messages: tuple[Message, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str = "auto"
    id: str = ""
    embedding: NDArray[np.float32] | None = None
    deadline: float | None = None
    """Monotonic second at which the caller stops waiting; `None` waits as long as the expert's own limit."""
    dialect: str = CHAT
    native: Mapping[str, Any] | None = None
    untold: str = ""
    """The field of `native` that chat's form cannot say: only an expert of the dialect can take the request."""
    body: Body | None = None
    """What the client sent, if that was in chat's form."""
    hops: int = 0
    """How many gateways have passed it on before us."""
    spare: str = ""
    """What of `untold` is a mere offer among others: where no expert of the dialect is, it may be left out and said."""

    @property
    def stream(self) -> bool:
        """Whether the client wants events; else an expert answers with one whole chunk."""
        return bool(self.options.get("stream"))

    @property
    def prompt(self) -> str:
        """The human's last words, without what an agent wrapped around them: what is routed on."""
        last = LAST[0]
        return last.prompt if last.messages is self.messages else look(self.messages).prompt


class Chunk(Struct, frozen=True, gc=False):
    """A piece of an answer, or a whole one if the request does not stream.

    `delta` adds to the message of choice 0. `data` is the expert's own JSON object (`chat.completion`
    or `chat.completion.chunk`) so that fields we do not know reach the client; `None` if it has none.
    `cost` is nano-dollars so far, reported by the expert; the last one that comes is final.
    `dialect` is that of `data`.
    """

    delta: Message = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage | None = None
    cost: int | None = None
    data: bytes | None = None
    dialect: str = CHAT
    continued_by: str | None = None
    """The expert that goes on from here with an answer that another began."""


class Timing(Struct, frozen=True, gc=False):
    """Seconds since the expert was asked: to its first chunk (`None`: there was none) and to its end."""

    first: float | None
    total: float


class Answer(Struct, frozen=True, gc=False):
    """What an expert said, whole. Where nobody has asked for the message yet it is in `data` alone, and
    `openai_answer.read` finds it: no policy is told of such an answer."""

    expert: str
    message: Message
    finish_reason: str | None = None
    usage: Usage | None = None
    cost: int | None = None
    timing: Timing = Timing(None, 0.0)
    data: bytes | None = None
    dialect: str = CHAT


class Failure(Struct, frozen=True):
    """Why an expert has no answer. `retryable`: another expert may succeed where this one did not."""

    expert: str
    reason: str
    retryable: bool = True
    cost: int | None = None
    timing: Timing = Timing(None, 0.0)
    error: ExpertError | None = None
    usage: Usage | None = None
    """What it used before it failed, if it said anything."""


Outcome = Answer | Failure


class Expert(Protocol):
    """Anything that answers."""

    @property
    def name(self) -> str: ...

    @property
    def card(self) -> Card: ...

    def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The answer in order; closing the iterator early cancels the work. Raises ExpertError only."""
        ...


class Startable(Protocol):
    """An expert with something to start and stop: a process, a pool. Both may be called twice."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class ExpertError(Exception):
    """An expert did not answer. The message names no prompt, key, path or address."""

    reason: ClassVar[str] = "error"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, **about: Any) -> None:
        """`about`: status (int), type, code, param, retry_after (seconds), cost (nano-dollars), where known."""
        super().__init__(message)
        self.about = about


class Unavailable(ExpertError):
    """The expert cannot be reached, is overloaded or too slow."""

    reason = "unavailable"


class Rejected(ExpertError):
    """The expert refuses this request: malformed, too long, not allowed."""

    reason = "rejected"
    retryable = False


class Declined(Rejected):
    """The request is not the expert's field."""

    reason = "declined"
    retryable = True


class BrokenOff(ExpertError):
    """The answer began and did not end."""

    reason = "broken_off"


class SetupError(Exception):
    """The operator must mend something. The message is one line that says what, where and how;
    the command line prints it without a traceback and exits with 2."""

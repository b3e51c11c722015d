"""Says with an error who was asked, by which decision, and what that cost: it is an answer of an asked expert, too."""

from __future__ import annotations

from types import TracebackType

from experts.base import ExpertError, Failure
from gateway import errors
from gateway.chat import money
from gateway.errors import LIMITED, APIError
from gateway.http import Headers
from gateway.life import Life
from gateway.run import Result
from policies.ledger import LedgerUnavailable

FAILURES = (APIError, ExpertError, LedgerUnavailable)
"""What may go wrong once somebody is asked; anything else is a bug."""
COST = "x-lyceum-cost"


def explained(life: Life, error: Exception, expert: str = "") -> APIError:
    """The client's view of what went wrong in a life; `expert` is who has answered, if anybody has."""
    known = errors.of(error)
    if isinstance(error, LedgerUnavailable) or known.code == "response_store_unavailable":
        life.school.retries.keep(life, recorded=known is error)
    asked = expert or _asked_last(life)
    told = {"x-lyceum-expert": asked} if asked else {}
    if life.recorded is not None and not isinstance(error, LedgerUnavailable):
        told["x-lyceum-decision"] = life.request.id
    if life.total:
        told[COST] = money(life.total).decode()
    known.headers = {**told, **known.headers}
    return known


def _asked_last(life: Life) -> str:
    asked = [each.expert for each in life.outcomes if not (isinstance(each, Failure) and each.reason in LIMITED)]
    return asked[-1] if asked else ""


def explained_by(result: Result) -> Headers:
    """The headers that explain an answer."""
    return [(b"x-lyceum-expert", result.expert.encode()), (b"x-lyceum-decision", result.decision.encode())]


class Explaining:
    """Explains what goes wrong inside of it. `expert`: who has answered, as soon as that is known."""

    def __init__(self, life: Life) -> None:
        self.life, self.expert = life, ""

    def __enter__(self) -> Explaining:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, FAILURES):
            raise explained(self.life, error, self.expert) from error

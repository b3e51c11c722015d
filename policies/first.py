"""What a policy asks first among known estimates, whatever the request says: worked out once, and then remembered."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct

from policies.base import Ask, Policy
from routers.base import Estimates


class First(Struct, frozen=True):
    """Its decision if nobody was asked yet and nobody has answered the conversation."""

    ask: Ask
    """Of one expert."""
    draw: float = 0.0
    """For draws from here on: below, it explores."""
    needs: float = 0.0
    """Nano-dollars that must be left, if there is a limit."""


@runtime_checkable
class Foreseen(Protocol):
    """A policy that can tell; `None`: that hangs on more than the estimates."""

    def first(self, estimates: Estimates) -> First | None: ...


def first(policy: Policy, estimates: Estimates) -> First | None:
    """What any policy asks first, if it can tell."""
    return policy.first(estimates) if isinstance(policy, Foreseen) else None

"""Who comes first when there is not room for all: what the operator says of keys, and a request of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experts.base import Request, SetupError

FLEX, DEFAULT, PRIORITY = RANKS = range(3)
"""In OpenAI's words, the last comes first."""
SAID = {"flex": FLEX, "default": DEFAULT, "priority": PRIORITY}
KINDS = ("key", "user", "team", "org")
"""Whose word counts before that of the next."""
SPREADS = (12.0, 3.0, 1.0)
"""Seconds over which those of a rank come back who were turned away at the same time."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """Whose requests come first, and whose last, when there is not room for all."""

    priority: tuple[str, ...] = ()
    """Whose requests come first: key:NAME, user:NAME, team:NAME or org:NAME."""
    flex: tuple[str, ...] = ()
    """Whose requests yield to all others."""

    def __post_init__(self) -> None:
        for name, scopes in (("priority", self.priority), ("flex", self.flex)):
            for scope in scopes:
                kind, _, who = scope.partition(":")
                if kind not in KINDS or not who:
                    raise SetupError(f"tiers.{name}: {scope!r} must be {', '.join(f'{each}:NAME' for each in KINDS)}")
        if both := set(self.priority) & set(self.flex):
            raise SetupError(f"tiers.flex: {min(both)!r} is in tiers.priority, too")

    def rank(self, scopes: Mapping[str, str], request: Request) -> int:
        """The rank of a key's request: the key's own, unless the request says in its `service_tier` that it can wait.
        That of a response made in the background can."""
        mine = self._of(scopes)
        if request.native is not None and request.native.get("background"):
            return FLEX
        said = request.options.get("service_tier")
        return min(mine, SAID.get(said, mine)) if isinstance(said, str) else mine

    def _of(self, scopes: Mapping[str, str]) -> int:
        for kind in KINDS:
            scope = f"{kind}:{scopes.get(kind)}"
            if scope in self.priority:
                return PRIORITY
            if scope in self.flex:
                return FLEX
        return DEFAULT

"""What the operator's file says of money: where accounts are kept, budgets, rates; an error names its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experts.base import SetupError
from experts.build import convert
from policies.limits import Limit, Rate
from policies.periods import Period

FILE = "accounts.sqlite"
URLS = ("postgresql://", "postgres://")
DAILY = "usd_per_day"
"""The name of the budget that a policy's `usd_per_day` becomes."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where what was spent is kept, and how much one call may take."""

    store: str = ""
    """A SQLite file; empty: accounts.sqlite in the state folder. Processes of one machine may share it."""
    store_env: str = ""
    """The environment variable that holds the URL of a PostgreSQL server, for gateways on many machines."""
    answer_tokens: int = 4096
    """The longest answer of a call that a budget limits, if neither its client nor the expert's card says less."""
    call_seconds: float = 120.0
    """The longest a call of an expert may take that a budget limits and that is paid by CPU time."""

    def __post_init__(self) -> None:
        if self.store and self.store_env:
            raise SetupError("accounts.store_env: give either store or store_env")
        if self.store.startswith(URLS):
            raise SetupError("accounts.store: a URL holds a password: put it into a variable, and name that: store_env")
        if self.answer_tokens < 1 or self.call_seconds <= 0:
            raise SetupError("accounts: answer_tokens and call_seconds must be above 0")

    def place(self, folder: Path) -> str:
        """The file or URL. Raises SetupError."""
        if not self.store_env:
            return self.store or str(folder / FILE)
        url = os.environ.get(self.store_env, "")
        if not url.startswith(URLS):
            raise SetupError(
                f"accounts.store_env: set the variable {self.store_env!r} to postgresql://USER@HOST/DATABASE"
            )
        return url


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget's keys."""

    usd: float
    """Dollars in each period."""
    scope: tuple[str, ...] = ()
    """What it covers, all of: org:NAME, team:NAME, key:NAME, user:NAME, expert:NAME; `user:*` gives each user a budget
    of their own; empty covers everything."""
    period: str = "day"
    """hour, day, week, month or total."""
    zone: str = "UTC"
    """The time zone in which periods begin, such as Europe/Berlin."""
    hard: bool = True
    """Never exceeded; else it only raises alarms."""
    alarms: tuple[float, ...] = (0.8, 1.0)
    """Shares of it at which the log says so."""

    steer: bool = False
    """Policies grow thriftier while it is spent too quickly and more generous while much is left, so that it lasts for
    its period: their `usd_per_quality` is where they start."""

    def limit(self, name: str) -> Limit:
        """The budget under its name. Raises ValueError."""
        period = Period(self.period, self.zone)  # type: ignore[arg-type] # it checks its kind
        return Limit(name, self.usd, self.scope, period, self.hard, self.alarms, self.steer)


def budgets(tables: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The budgets of `[budgets.NAME]` tables. Raises SetupError."""
    made = []
    for name, table in tables.items():
        path = f"budgets.{name}"
        if name == DAILY:
            raise SetupError(f"{path}: this is the name of a policy's own budget; take another")
        try:
            made.append(convert(_object(table, path), Budget, path).limit(name))
        except ValueError as error:
            raise SetupError(f"{path}: {error}") from error
    return tuple(made)


def rates(tables: Mapping[str, Any]) -> tuple[Rate, ...]:
    """The rates of `[rates.NAME]` tables. Raises SetupError."""
    made = []
    for name, table in tables.items():
        path = f"rates.{name}"
        made.append(convert({**_object(table, path), "name": name}, Rate, path))
        if not any(made[-1].limits):
            raise SetupError(f"{path}: give requests_per_minute, tokens_per_minute or concurrent")
    return tuple(made)


def daily(policy: Any) -> tuple[Limit, ...]:
    """The budget of the `usd_per_day` of a policy, or of what it wraps: the smallest."""
    found = []
    while policy is not None:
        if (usd := getattr(policy, "usd_per_day", None)) is not None:
            found.append(usd)
        policy = getattr(policy, "inner", None)
    return (Limit(DAILY, min(found)),) if found else ()


def _object(table: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise SetupError(f"{path}: this must be a table, [{path}]")
    return table

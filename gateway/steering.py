"""Keeps the pressure of every budget that steers, from what the accounts have seen of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from policies.accounts import Accounts
from policies.limits import Scopes
from policies.pressure import Pressure

STEP_SECONDS = 1.0
"""How often the price of quality follows."""
MOST = 4096
"""How many budgets are followed; one that is forgotten starts at the policy's own price again."""


class Steering:
    """The controllers by account. Each process has its own; all see what the others spend."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self.accounts, self.clock = accounts, clock
        self.known: dict[str, tuple[float, Pressure]] = {}

    def factor(self, scopes: Scopes) -> float:
        """What the price of quality of a call is multiplied by: what the tightest of its budgets says."""
        now, factors = self.clock(), []
        for account, standing in self.accounts.standings(scopes).items():
            since, pressure = self.known.get(account, (standing.start, Pressure(now, standing.spent)))
            if since != standing.start:  # a new period begins with nothing spent, at the price that was right
                pressure = replace(pressure, at=standing.start, spent=0)
            if now - pressure.at >= STEP_SECONDS:
                pressure = pressure.after(now, standing)
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[account] = standing.start, pressure
            factors.append(pressure.factor)
        return min(factors, default=1.0)

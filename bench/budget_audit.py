"""Hard budgets against the expert's own bill: what was overspent, lost, stuck, or booked otherwise than it was charged.

Only what operators can see is looked at: the balances of the budgets, and the rows of the gateways' ledgers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.book import Account
from policies.record import Record
from policies.rows import hash_of


@dataclass(slots=True)
class Books:
    """What all gateways of a run have recorded; `charged` and `answered` are by prompt, in nano-dollars and names."""

    charged: Mapping[str, int]
    answered: Mapping[str, str]
    keys: dict[str, str] = field(default_factory=dict)
    """Whose each prompt was."""
    costs: dict[str, list[int | None]] = field(default_factory=dict)
    """What the ledgers say that each prompt cost."""
    names: set[str] = field(default_factory=set)
    """Requests that have a decision and an outcome."""
    booked: int = 0
    dearest: int = 0
    """The most that was reserved for one call."""

    def read(self, ledgers: Iterable[Path]) -> None:
        """Takes in the rows of gateways that have ended."""
        prompts = {hash_of(prompt): prompt for prompt in self.charged}
        for path in ledgers:
            record = Record(path)
            asked = {row["id"]: prompts.get(row["prompt_hash"], "") for row in record.rows("decisions")}
            self.keys |= {asked[row["id"]]: row["key"] for row in record.rows("decisions")}
            for row in record.rows("outcomes"):
                if row["decision"] in asked and not (row["kind"] == "failure" and row["cost"] in (None, 0)):
                    cost = None if row["estimated"] else row["cost"]
                    self.costs.setdefault(asked[row["decision"]], []).append(cost)
                    self.names.add(row["decision"])
            for row in record.rows("settlements"):
                self.booked += row["booked"]
                self.dearest = max(self.dearest, row["hold"])

    def audit(self, balances: Iterable[Account], budget: int, budget_of_key: int) -> dict[str, Any]:
        """In nano-dollars and counts. All are to be 0 but what is `billed`, `unused` (the most that any key can still
        spend: less than one call), `unrecorded` (calls that ended with the gateway which had asked: the expert charged
        them, their clients heard nothing) and `swept` (what budgets hold beyond the rows: the slices of the dead,
        booked whole)."""
        spent = {account.bucket: account.spent for account in balances}
        held = sum(account.held for account in balances)
        billed, total = sum(self.charged.values()), spent.pop("all", 0)
        rest = budget - total
        unrecorded = [prompt for prompt in self.charged if prompt not in self.costs]
        return {
            "overspend": max(billed - budget, total - budget, *(each - budget_of_key for each in spent.values()), 0),
            "stuck": held,
            "money_error": self.error()
            + max(billed - total, self.booked - total, 0)
            + abs(total - sum(spent.values())),
            "rows_lost": sum(
                name not in self.names or prompt not in self.costs for prompt, name in self.answered.items()
            ),
            "unrecorded": len(unrecorded),
            "swept": total - self.booked,
            "unused": max((min(rest, budget_of_key - each) for each in spent.values()), default=rest),
            "billed": billed,
            "budget": budget,
            "dearest": self.dearest,
        }

    def error(self) -> int:
        """How far the rows are from the bill; what is not known for sure, or was never charged, is wrong as a whole."""
        wrong = 0
        for prompt, costs in self.costs.items():
            known = sum(cost for cost in costs if cost is not None)
            wrong += abs(self.charged.get(prompt, 0) - known)
        return wrong


def faults(result: Mapping[str, Any]) -> list[str]:
    """Which figures are wrong. Without kills nothing is swept, and every call has its row."""
    zero = ["overspend", "stuck", "money_error", "rows_lost", "asked_twice"]
    if not result["kills"]:
        zero += ["unrecorded", "swept"]
    wrong = [figure for figure in zero if result[figure]]
    return wrong if result["unused"] < max(result["dearest"], 1) else [*wrong, "unused"]

"""What a gateway leaves behind, beside an expert's own bill: rows lost or twice, money wrong, guessed or stuck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.accounts import Accounts
from policies.record import Record
from policies.rows import hash_of


@dataclass(frozen=True, slots=True)
class Spoils:
    """The state folder of a gateway that has ended."""

    folder: Path

    async def audit(self, bill: Mapping[str, int]) -> dict[str, int]:
        """`bill` tells what each prompt cost, each asked once by one client. In nano-dollars and counts."""
        record = Record(self.folder / "ledger.sqlite")
        hashes = {row["id"]: row["prompt_hash"] for row in record.rows("decisions")}
        outcomes: dict[str, list[dict[str, Any]]] = {}
        for row in record.rows("outcomes"):
            outcomes.setdefault(hashes.get(row["decision"], ""), []).append(row)
        charged = {hash_of(prompt): cost for prompt, cost in bill.items()}
        error, guessed = 0, 0
        for name, cost in charged.items():
            rows = outcomes.get(name, [])
            if any(row["cost"] is None or row["estimated"] for row in rows):
                guessed += 1
            else:
                error += abs(cost - sum(row["cost"] for row in rows))
        error += sum(row["cost"] or 0 for name, rows in outcomes.items() if name not in charged for row in rows)
        known = [row for rows in outcomes.values() for row in rows]
        return {
            "billed": sum(charged.values()),
            "in_ledger": sum(row["cost"] or 0 for row in known),
            "money_error": error,
            "guessed": guessed,
            "rows": len(known),
            "rows_left": sum(row["reason"] == "client_left" for row in known),
            "rows_lost": sum(name not in outcomes for name in charged) + len(hashes.keys() - _ids(known)),
            "rows_twice": sum(len(rows) > 1 for rows in outcomes.values()),
            **await self.balance(),
        }

    def recorded(self) -> set[str]:
        """The names of the requests that have a decision and an outcome."""
        record = Record(self.folder / "ledger.sqlite")
        return {row["id"] for row in record.rows("decisions")} & _ids(record.rows("outcomes"))

    async def balance(self) -> dict[str, int]:
        """Whether the one budget's spend is the sum of the settlements, and nothing is held."""
        accounts = Accounts.open(self.folder / "accounts.sqlite")
        balances = await accounts.store.balances()
        await accounts.close()
        settlements = Record(self.folder / "ledger.sqlite").rows("settlements")
        booked = sum(row["booked"] for row in settlements)
        return {
            "booked": booked,
            "booked_beside": abs(sum(account.spent for account in balances) - booked),
            "stuck": sum(account.held for account in balances),
        }


def _ids(rows: Iterable[dict[str, Any]]) -> set[str]:
    return {row["decision"] for row in rows}

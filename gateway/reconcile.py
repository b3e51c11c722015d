"""The command `lyceum reconcile`: a provider's bill against the ledger, and the cents that nobody can explain."""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from experts.base import SetupError
from experts.card import NANO, dollars
from gateway import config
from gateway.fit import config_argument
from gateway.why import record

HELP = "compare a provider's bill with the ledger: a line for each expert and day, and the unexplained cents"
EXAMPLE = "lyceum reconcile invoice.csv --columns expert=model usd=amount date=day"
CENT = NANO // 100

Line = tuple[str, str]
"""An expert and a day (UTC, ISO 8601); an empty day is the whole bill's time."""


class Sum(Struct):
    """What the ledger and the bill have of one line, in nano-dollars."""

    billed: int = 0
    booked: int = 0
    estimated: int = 0
    """The part of what is booked whose tokens we counted ourselves."""
    answers: int = 0
    unknown: int = 0
    """Calls whose cost nobody knows."""

    @property
    def unexplained(self) -> int:
        """What was billed and not booked; below 0, what was booked and not billed."""
        return self.billed - self.booked


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("invoice", type=Path, help="a CSV file with the columns expert, usd and, if it has days, date")
    parser.add_argument("--columns", nargs="*", default=[], metavar="OURS=THEIRS", help="what the file calls them")
    parser.add_argument("--since", type=date.fromisoformat, help="first day of a bill without days (UTC)")
    parser.add_argument("--until", type=date.fromisoformat, help="the day after its last")
    parser.add_argument("--tolerance", type=float, help="exit with 1 if more cents than this are unexplained")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the comparison. Raises SetupError."""
    ledger = record(config.read(config.path(args.config)))
    bill = read(args.invoice, dict(pair.partition("=")[::2] for pair in args.columns))
    since, until = moment(args.since, 0.0), moment(args.until, float("inf"))
    sums = compared(bill, ledger.rows("outcomes", since, until))
    total = sum(each.unexplained for each in sums.values())
    console = Console()
    console.print_json(data=shown(sums, total)) if args.json else tell(console, sums, total)
    return int(args.tolerance is not None and abs(total) > args.tolerance * CENT)


def moment(day: date | None, otherwise: float) -> float:
    """The beginning of a day in UTC as a Unix second."""
    return otherwise if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def read(path: Path, columns: Mapping[str, str]) -> dict[Line, int]:
    """The bill's nano-dollars. Raises SetupError that names the line."""
    names = {name: columns.get(name, name) for name in ("expert", "usd", "date")}
    bill: dict[Line, int] = defaultdict(int)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            for row in lines:
                place = f"{path}: line {lines.line_num}"
                bill[row[names["expert"]], _day(row.get(names["date"]) or "", place)] += _nano(row[names["usd"]], place)
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: cannot read the bill: {error}") from error
    except KeyError as error:
        raise SetupError(f"{path}: there is no column {error}; name it with --columns OURS=THEIRS") from error
    return dict(bill)


def _nano(text: str | None, place: str) -> int:
    try:
        return int((Decimal((text or "").strip().lstrip("$").replace(",", "")) * NANO).to_integral_value())
    except InvalidOperation as error:
        raise SetupError(f"{place}: {text!r} is no amount of dollars") from error


def _day(text: str, place: str) -> str:
    try:
        return text and datetime.fromisoformat(text.strip()).date().isoformat()
    except ValueError as error:
        raise SetupError(f"{place}: {text!r} is no day; write it as 2026-11-22") from error


def compared(bill: Mapping[Line, int], outcomes: Iterable[Mapping[str, Any]]) -> dict[Line, Sum]:
    """Both sides of every line; with a bill by days, only those days count, and only the experts that are on it."""
    sums: dict[Line, Sum] = {line: Sum(billed=amount) for line, amount in bill.items()}
    experts = {expert for expert, _ in bill}
    by_day = {day for _, day in bill if day}
    for row in outcomes:
        day = datetime.fromtimestamp(row["time"], UTC).date().isoformat() if by_day else ""
        if row["expert"] in experts and (not by_day or min(by_day) <= day <= max(by_day)):
            _book(sums.setdefault((row["expert"], day), Sum()), row)
    return dict(sorted(sums.items()))


def _book(line: Sum, row: Mapping[str, Any]) -> None:
    line.answers += 1
    if row["cost"] is None:
        line.unknown += 1
        return
    line.booked += row["cost"]
    line.estimated += row["cost"] if row["estimated"] else 0


def shown(sums: Mapping[Line, Sum], total: int) -> dict[str, Any]:
    """The comparison for JSON, in nano-dollars."""
    names = ("billed", "booked", "unexplained", "estimated", "answers", "unknown")
    lines = [
        {"expert": expert, "date": day or None, **{name: getattr(each, name) for name in names}}
        for (expert, day), each in sums.items()
    ]
    return {"lines": lines, "unexplained": total, "unexplained_cents": total / CENT}


def tell(console: Console, sums: Mapping[Line, Sum], total: int) -> None:
    """The comparison as a table."""
    table = Table("expert", "day", "billed $", "booked $", "unexplained $", "by our count $", "calls", "cost unknown")
    for (expert, day), each in sums.items():
        amounts: Sequence[int] = (each.billed, each.booked, each.unexplained, each.estimated)
        money = (f"{dollars(amount):.6f}" for amount in amounts)
        table.add_row(expert, day, *money, str(each.answers), str(each.unknown))
    console.print(table)
    console.print(f"unexplained: {total / CENT:.4f} cents", highlight=False)

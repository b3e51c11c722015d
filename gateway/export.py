"""The command `lyceum export`: the ledger as Parquet, a file for each kind of row, and one for the prices."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress

from experts.base import SetupError
from experts.card import PRICED
from gateway import config
from gateway.fit import config_argument
from gateway.why import record
from policies import prices
from policies.record import Record
from policies.rows import COLUMNS

HELP = "write the ledger as Parquet, a file for each kind of row and one for the prices"
EXAMPLE = "lyceum export --out ledger/ --since 2026-11-01"
OPEN = frozenset({"estimates", "budgets"})
"""Fields of another shape in each row: JSON text in the files."""
GROUP = 50_000
"""Rows that are in memory at once."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="the folder for the files; made if it is missing")
    parser.add_argument("--since", type=second, default=0.0, help="first moment, ISO 8601; without a zone, of here")
    parser.add_argument("--until", type=second, default=float("inf"), help="moment before which rows were written")


def second(value: str) -> float:
    """A moment as a Unix second."""
    return datetime.fromisoformat(value).timestamp()


def run(args: argparse.Namespace) -> int:
    """Writes the files and says how many rows each has."""
    ledger = record(config.read(config.path(args.config)))
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"--out: cannot make {args.out}: {error.strerror}") from error
    with Progress(console=Console(stderr=True), transient=True) as progress:
        tables = {table: ledger.rows(table, args.since, args.until) for table in COLUMNS}
        for table, found in {**tables, "prices": priced(ledger)}.items():
            path = args.out / f"{table}.parquet"
            task = progress.add_task(table, total=None)
            rows = write(path, found, partial(progress.advance, task))
            Console().print(f"{path}: {rows} rows", highlight=False)
    return 0


def priced(ledger: Record) -> Iterator[dict[str, Any]]:
    """Every version of prices that was ever used, a column for each kind: dollars of a million tokens, or an hour."""
    for one in prices.kept(ledger.path):
        usd = one["usd"] or {}
        yield {"version": one["version"], "seen": one["seen"], **{kind: usd.get(kind) for kind in PRICED}}


def write(path: Path, rows: Iterable[Mapping[str, Any]], advance: Any = lambda count: None) -> int:
    """Writes rows to a Parquet file, group by group; how many there were. Whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, writer, partly = 0, None, path.with_suffix(".partly")
    try:
        for group in grouped(rows):
            made = pa.Table.from_pylist(group, schema=None if writer is None else writer.schema)
            writer = writer or pq.ParquetWriter(partly, schema_of(made), compression="zstd")
            writer.write_table(made.cast(writer.schema))
            count += len(group)
            advance(len(group))
    finally:
        if writer is not None:
            writer.close()
    partly.replace(path) if writer is not None else path.unlink(missing_ok=True)
    return count


def schema_of(table: Any) -> Any:
    """The table's columns; one that held nothing yet may hold text, numbers may be missing later."""
    import pyarrow as pa

    numbers = {"cost": pa.int64(), "allowance": pa.int64(), "first": pa.float64(), "status": pa.int64()}
    numbers |= dict.fromkeys(PRICED, pa.float64())
    fields = []
    for field in table.schema:
        kind = numbers.get(field.name, pa.int64() if field.name.endswith("_tokens") else field.type)
        fields.append(pa.field(field.name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)


def grouped(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows in groups."""
    source = iter(rows)
    while group := [flat(row) for row in islice(source, GROUP)]:
        yield group


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of plain values."""
    return {key: orjson.dumps(value).decode() if key in OPEN else value for key, value in row.items()}

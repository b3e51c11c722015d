"""The outcome table: what every expert answered to every prompt, how good it was and what it cost.

On disk it is long, one row a prompt and expert, as Parquet or JSONL; in memory it is wide.
Columns: prompt_id, group, domain, split, prompt, expert, score, prompt_tokens, completion_tokens,
cost (nano-dollars), seconds. Only prompt, expert and score are required. A row may be without a score: a prompt of
which all rows are so teaches a router what prompts are like, and nothing of its experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.base import SetupError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TableError(SetupError):
    """The outcome table cannot be used; the message names the file and the mend."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """N prompts by M experts. Arrays have shape (N, M); NaN where an expert was not asked."""

    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    """Prompts of one group share a template or are near-duplicates: never split one."""
    domains: tuple[str, ...]
    splits: tuple[str, ...]
    experts: tuple[str, ...]
    score: NDArray[np.float64]
    cost: NDArray[np.float64]
    """Nano-dollars."""
    prompt_tokens: NDArray[np.float64]
    completion_tokens: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, index: Sequence[int]) -> Outcomes:
        """The prompts at `index`, in that order."""
        keep = list(index)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in keep),
            groups=tuple(self.groups[i] for i in keep),
            domains=tuple(self.domains[i] for i in keep),
            splits=tuple(self.splits[i] for i in keep),
            **{name: getattr(self, name)[keep] for name in ARRAYS},
        )

    def split(self, name: str) -> Outcomes:
        """The prompts of one split: `train`, `validation` or `test`."""
        return self.rows([i for i, split in enumerate(self.splits) if split == name])

    def only(self, experts: Sequence[str]) -> Outcomes:
        """The same prompts with these experts, in this order."""
        columns = [self.experts.index(name) for name in experts]
        return replace(self, experts=tuple(experts), **{name: getattr(self, name)[:, columns] for name in ARRAYS})


ARRAYS = ("score", "cost", "prompt_tokens", "completion_tokens", "seconds")


def read(path: Path) -> Outcomes:
    """Reads Parquet or JSONL, by the ending of the name. Raises TableError."""
    if not path.exists():
        raise TableError(f"outcome table {path.name} is missing: make one with `lyceum probe`")
    try:
        rows = _rows(path)
    except (OSError, ValueError) as error:  # pyarrow and orjson raise kinds of ValueError
        raise TableError(f"outcome table {path.name} is neither Parquet nor JSONL that can be read") from error
    return from_rows(rows, path.name)


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        import orjson

        return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def from_rows(rows: Sequence[dict[str, Any]], name: str = "rows") -> Outcomes:
    """The wide table of long rows; a prompt that occurs twice for one expert keeps its last row."""
    import numpy as np

    for column, enough in (("prompt", all), ("expert", all), ("score", any)):
        if not rows or not enough(row.get(column) is not None for row in rows):
            raise TableError(
                f"outcome table {name} has no column {column!r} in {'some' if enough is all else 'any'} row"
            )
    keys = list(dict.fromkeys(_key(row) for row in rows))
    experts = tuple(dict.fromkeys(str(row["expert"]) for row in rows))
    place, column_of = {key: i for i, key in enumerate(keys)}, {expert: j for j, expert in enumerate(experts)}
    first = {_key(row): row for row in reversed(rows)}
    arrays = {array: np.full((len(keys), len(experts)), np.nan) for array in ARRAYS}
    for row in rows:
        for array, values in arrays.items():
            value = row.get(array)
            values[place[_key(row)], column_of[str(row["expert"])]] = np.nan if value is None else value
    return Outcomes(
        prompts=tuple(str(first[key]["prompt"]) for key in keys),
        groups=tuple(str(first[key].get("group") or key) for key in keys),
        domains=tuple(str(first[key].get("domain") or "general") for key in keys),
        splits=tuple(str(first[key].get("split") or "train") for key in keys),
        experts=experts,
        **arrays,
    )


def _key(row: dict[str, Any]) -> str:
    return str(row.get("prompt_id") or row["prompt"])

"""The answers of a probe: kept line by line as they come, scored again at will, written as a Parquet table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.asking import Reply
from bench.tasks.base import Task
from experts.base import SetupError

Row = dict[str, Any]
COLUMNS = (
    ("prompt_id", "string"), ("group", "string"), ("domain", "string"), ("split", "string"), ("prompt", "string"),
    ("expert", "string"), ("score", "double"), ("prompt_tokens", "int64"), ("completion_tokens", "int64"),
    ("cost", "int64"), ("seconds", "double"), ("answer", "string"), ("reason", "string"),
)  # fmt: skip

SETTLED = frozenset({"", "length", "declined", "rejected", "expert_rejected"})
"""Reasons that would come again; with any other one a resumed probe asks again."""


def row(task: Task, expert: str, reply: Reply, score: float) -> Row:
    """One line of the table."""
    return {
        "prompt_id": task.id,
        "group": task.group,
        "domain": task.family,
        "split": task.split,
        "prompt": task.prompt,
        "expert": expert,
        "score": score,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "cost": reply.cost,
        "seconds": round(reply.seconds, 4),
        "answer": reply.answer,
        "reason": reply.reason,
    }


@dataclass(frozen=True, slots=True)
class Journal:
    """The file of what was answered so far: JSONL, one row an answer."""

    path: Path

    def rows(self) -> list[Row]:
        """What it holds; a last line that was cut off by a crash is left out."""
        import orjson

        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        try:
            return [orjson.loads(line) for line in lines if line.strip()]
        except orjson.JSONDecodeError as error:
            raise SetupError(f"{self.path.name}: not a journal of a probe: remove it or give another --out") from error

    def begin(self, resume: bool) -> list[Row]:
        """The rows to go on from; without `resume` the file starts anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [one for one in self.rows() if one["reason"] in SETTLED] if resume else []
        self.replace(rows)
        return rows

    def replace(self, rows: Iterable[Row]) -> None:
        """Writes these rows in place of all others, at once."""
        new = self.path.with_suffix(".new")
        new.write_bytes(b"".join(map(_line, rows)))
        new.replace(self.path)

    def add(self, found: Row) -> None:
        """Appends one row."""
        with self.path.open("ab") as file:
            file.write(_line(found))


def _line(found: Row) -> bytes:
    import orjson

    return orjson.dumps(found) + b"\n"


def rescored(rows: Sequence[Row], tasks: Iterable[Task]) -> list[Row]:
    """The same answers with the scores, groups and splits that the tasks give today; rows whose prompt is not
    asked any more are left out."""
    known = {task.prompt: task for task in tasks}
    return [_today(one, known[one["prompt"]]) for one in rows if one["prompt"] in known]


def _today(found: Row, task: Task) -> Row:
    score = task.score(found["answer"]) if found["answer"] else 0.0
    about = {"prompt_id": task.id, "group": task.group, "domain": task.family, "split": task.split}
    return {**found, **about, "score": score}


def write(path: Path, rows: Sequence[Row], longest_answer: int | None = None) -> None:
    """Writes Parquet, in the order of prompts; answers are cut to `longest_answer` characters."""
    import pyarrow
    import pyarrow.parquet

    ordered = sorted(rows, key=lambda one: (one["prompt_id"], one["expert"]))
    cut = [{**one, "answer": one["answer"][:longest_answer]} for one in ordered]
    columns = {name: [one.get(name) for one in cut] for name, _ in COLUMNS}
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in COLUMNS])
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns, schema), path, compression="zstd", compression_level=19)


def summary(rows: Sequence[Row], split: str | None = None) -> Mapping[tuple[str, str], tuple[float, float, int]]:
    """Mean score, mean cost (nano-dollars, of the rows that have one) and number of answers by (domain, expert)."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for one in rows:
        if split in {None, one["split"]}:
            cells.setdefault((one["domain"], one["expert"]), []).append(one)
    return {key: (_mean(found, "score"), _mean(found, "cost"), len(found)) for key, found in sorted(cells.items())}


def _mean(rows: Sequence[Row], column: str) -> float:
    known = [one[column] for one in rows if one[column] is not None]
    return sum(known) / len(known) if known else float("nan")

"""Brings recorded outcomes from where they lie: a folder of shared data sets, ParetoBandit's wheel, our own table.

Nothing is fetched. Train and test never share a group of duplicates; what a live gateway would not know of a
test prompt (its subject) is kept for reports only.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.replay import Recording, complete
from experts.base import SetupError
from experts.card import nano
from routers.outcomes import Outcomes, read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VARIABLE = "LYCEUM_BENCH_DATA"
SHARED = Path("../shared/data")
OWN = Path(__file__).parent.parent / "routers" / "data" / "outcomes.parquet"
LEAST_COVERAGE = 0.95
"""Experts that answered fewer of the train prompts are left out of the pool."""

HIDDEN_TOKENS = ("o1-mini-2024-09-12", "o1-preview-2024-09-12")
"""Their reasoning tokens are not in the records, so their recorded cost is far too low to compare."""

COLUMNS = {
    "score": ("score",),
    "cost": ("cost_usd", "cost_usd_est"),
    "prompt_tokens": ("input_tokens", "input_tokens_est"),
    "completion_tokens": ("output_tokens", "output_tokens_est"),
    "seconds": ("latency_s",),
}


@dataclass(frozen=True, slots=True)
class DataSet:
    """Outcomes to fit on and to be scored on, for the same experts. `about` says what a reader must know."""

    name: str
    train: Outcomes
    test: Outcomes
    about: str = ""


def folder(given: Path | None = None) -> Path | None:
    """Where shared data sets lie: as given, by the environment, beside the project; `None` if there are none."""
    if given is not None and not given.is_dir():
        raise SetupError(f"--folder {given}: there is no such folder")
    places = [given, Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None, SHARED]
    return next((place for place in places if place is not None and place.is_dir()), None)


def names(place: Path | None) -> list[str]:
    """The data sets that can be had here, our own first."""
    found = ["own"] if OWN.exists() else []
    found += ["paretobandit"] if wheel() is not None else []
    if place is not None:
        found += sorted(path.parent.name for path in place.glob("*/models.json"))
    return found


def load(name: str, place: Path | None = None) -> DataSet:
    """A data set by name. Raises SetupError that names those that are there."""
    if name == "own" and OWN.exists():
        return own(OWN)
    if name == "paretobandit" and wheel() is not None:
        return paretobandit()
    if place is not None and (place / name / "models.json").exists():
        return shared(place / name)
    raise SetupError(f"--data {name}: there is no such data set here; known: {', '.join(names(place)) or 'none'}")


def size(name: str, place: Path | None) -> int:
    """Bytes of a shared data set, to begin with the largest; 0 for the others."""
    parts = (place / name).glob("*.gz") if place is not None else ()
    return sum(part.stat().st_size for part in parts)


def own(path: Path) -> DataSet:
    """The outcome table that is shipped, or one of the operator's own. Train and validation fit together."""
    table = read(path)
    fit = table.rows([i for i, split in enumerate(table.splits) if split != "test"])
    test = complete(priced(table.split("test")))
    return DataSet("own", priced(fit), test, "prompts with checkable answers, asked on this machine")


def priced(table: Outcomes) -> Outcomes:
    """A call without a known cost, such as one that was declined, is taken to cost what the expert costs on average."""
    import numpy as np

    known = np.isfinite(table.cost)
    mean = np.where(known, table.cost, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return replace(table, cost=np.where(known, table.cost, mean))


def recording(path: Path, outcomes: Outcomes) -> Recording:
    """`outcomes`, rows of the table at `path`, with the words and failures that the table keeps, if it does."""
    rows = [row for row in _said(path) if row.get("answer") is not None or row.get("reason")]
    keys = [(str(row["prompt"]), str(row["expert"])) for row in rows]
    return Recording(
        outcomes,
        words={key: str(row.get("answer") or "") for key, row in zip(keys, rows, strict=True)},
        failures={
            key: str(row["reason"])
            for key, row in zip(keys, rows, strict=True)
            if row.get("reason") and not row.get("answer")
        },
    )


def _said(path: Path) -> list[dict[str, Any]]:
    import orjson
    import pyarrow.parquet

    if path.suffix == ".jsonl":
        return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    there = pyarrow.parquet.read_schema(path).names
    wanted = [name for name in ("prompt", "expert", "answer", "reason") if name in there]
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path, columns=wanted).to_pylist()
    return rows


def shared(path: Path) -> DataSet:
    """A folder with models.json, train.jsonl.gz and test.jsonl.gz."""
    import orjson

    models = [model["model"] for model in orjson.loads((path / "models.json").read_bytes())]
    train, test = (_table(list(_lines(path / f"{split}.jsonl.gz")), models, split) for split in ("train", "test"))
    pool = _pool(train)
    return DataSet(path.name, train.only(pool), complete(test.only(pool)))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    import orjson

    with gzip.open(path) as lines:
        for line in lines:
            yield orjson.loads(line)


def _table(rows: Sequence[Mapping[str, Any]], experts: Sequence[str], split: str) -> Outcomes:
    arrays = {array: _array(rows, keys, len(experts)) for array, keys in COLUMNS.items()}
    arrays["cost"] = arrays["cost"] * nano(1.0)
    return Outcomes(
        prompts=tuple(_prompt(row) for row in rows),
        groups=tuple(row["dup_group"] for row in rows),
        domains=tuple(_domain(row) for row in rows),
        splits=(split,) * len(rows),
        experts=tuple(experts),
        **arrays,
    )


def _array(rows: Sequence[Mapping[str, Any]], keys: Sequence[str], width: int) -> NDArray[np.float64]:
    import numpy as np

    unknown = [None] * width
    values = [next((row[key] for key in keys if key in row), unknown) for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), width)


def _prompt(row: Mapping[str, Any]) -> str:
    """What a router is shown of a live request: the last human turn, here the question without worked examples."""
    return str(row.get("question_only") or row["prompt"])


def _domain(row: Mapping[str, Any]) -> str:
    """As fine as the set tells it: what a classifier of domains learns from, never shown of a test prompt."""
    return "/".join(str(row[key]) for key in ("domain", "subdomain") if row.get(key))


def _pool(train: Outcomes) -> list[str]:
    import numpy as np

    coverage = (~np.isnan(train.score)).mean(axis=0)
    enough = coverage >= LEAST_COVERAGE
    return [name for name, keep in zip(train.experts, enough, strict=True) if keep and name not in HIDDEN_TOKENS]


def wheel() -> Path | None:
    """The folder of ParetoBandit's example data, if its wheel is installed; the package is not imported."""
    spec = importlib.util.find_spec("pareto_bandit")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "data" / "examples"


def paretobandit(place: Path | None = None) -> DataSet:
    """ParetoBandit's validation part to fit on and its test part, with the duplicates of test dropped from fit."""
    from bench.duplicates import groups

    place = place or wheel()
    if place is None:
        raise SetupError("ParetoBandit's data: install its wheel (pip install paretobandit==0.1.1)")
    parts = [_pareto(place / name) for name in ("val.jsonl", "test_holdout.jsonl")]
    labels = groups([prompt for part in parts for prompt in part.prompts])
    train, test = _labelled(parts[0], labels), _labelled(parts[1], labels[len(parts[0]) :])
    tested = set(test.groups)
    kept = [i for i, group in enumerate(train.groups) if group not in tested]
    return DataSet("paretobandit", train.rows(kept), complete(test), "scores are a judge's rewards")


def _labelled(part: Outcomes, labels: Sequence[str]) -> Outcomes:
    return replace(part, groups=tuple(labels[: len(part)]))


def _pareto(path: Path) -> Outcomes:
    import numpy as np
    import orjson

    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    experts = tuple(rows[0]["arms"])
    unknown = np.full((len(rows), len(experts)), np.nan)
    read_arm = {"score": "reward", "cost": "cost"}
    known = {
        array: np.array([[row["arms"][expert][key] for expert in experts] for row in rows], dtype=np.float64)
        for array, key in read_arm.items()
    }
    return Outcomes(
        prompts=tuple(row["prompt"] for row in rows),
        groups=tuple(row["prompt"] for row in rows),
        domains=tuple(row["source"] for row in rows),
        splits=("train" if path.name == "val.jsonl" else "test",) * len(rows),
        experts=experts,
        score=known["score"],
        cost=known["cost"] * nano(1.0),
        prompt_tokens=unknown,
        completion_tokens=unknown.copy(),
        seconds=unknown.copy(),
    )

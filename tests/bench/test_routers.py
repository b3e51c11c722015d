"""`lyceum bench routers` on a small data set written here: the trivial policies are always in the table."""

import argparse
import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import contest, frontier, heads, routers
from bench.vectors import key, vectors
from experts.base import SetupError
from tests.bench.table import table

MODELS = [{"model": "words"}, {"model": "sums"}]
WORDS, SUMS = "translate the word number", "add up the sum number"


class Letters:
    """An encoder of words by their hashes: quick, and enough for prompts that differ in their words."""

    dimensions = 24

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % self.dimensions] += 1.0
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two experts of equal price, each good at one of two kinds of prompts."""
    folder, random = tmp_path / "data" / "kinds", np.random.default_rng(0)
    folder.mkdir(parents=True)
    (folder / "models.json").write_text(json.dumps(MODELS))
    for split, count in (("train", 200), ("test", 100)):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as out:
            for i in range(count):
                chance = [0.95, 0.2] if i % 2 else [0.5, 0.9]
                row = {"prompt": f"{(SUMS, WORDS)[i % 2]} {split} {i}", "domain": "d", "dup_group": f"{split}{i}"}
                costs = {"cost_usd": [1e-4, 3e-4]}
                score = [float(random.random() < each) for each in chance]
                out.write(json.dumps({**row, **costs, "score": score}) + "\n")
    return tmp_path


def bench(place: Path, *given: str) -> int:
    parser = argparse.ArgumentParser()
    routers.arguments(parser)
    usual = ["--folder", str(place / "data"), "--state", str(place / "state"), "--repetitions", "50"]
    encoder = ["--encoder", "tests.bench.test_routers:Letters"]
    return routers.run(parser.parse_args([*usual, *encoder, "--data", "kinds", *given]))


def test_best_single_zero_router_and_oracle_are_always_in_the_table(place, capsys):
    assert bench(place, "--router", "constant", "--jobs", "1") == 0
    shown = capsys.readouterr().out
    for name in ("best single: ", "zero router", "random", "noise", "oracle", "constant"):
        assert name in shown


def test_a_learned_router_is_above_the_zero_router_and_says_so_in_every_form(place, capsys):
    assert bench(place, "--router", "knn", "--jobs", "1", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["knn"]["over_single"]["low"] > 0
    assert rows["knn"]["apgr"]["value"] > rows["noise"]["apgr"]["value"]
    assert rows["zero router"]["over_zero"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 100}
    assert rows["oracle"]["best"]["value"] >= rows["knn"]["best"]["value"]
    assert "over_zero" not in rows["random"]
    assert (place / "state" / "kinds.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (place / "state" / "routers.html").read_text()


def test_several_data_sets_are_measured_at_once_in_processes_of_their_own(place, capsys):
    assert bench(place, "--data", "kinds", "--router", "constant", "--jobs", "2", "--json") == 0
    one, other = json.loads(capsys.readouterr().out)
    for found in (one, other):
        for row in found["rows"]:
            row.pop("fit_seconds"), row.pop("estimate_us")
    assert one == other


def test_an_unknown_router_names_those_that_are_known(place):
    with pytest.raises(SetupError, match="--router kn: .*known: .*knn"):
        bench(place, "--router", "kn")


def test_every_head_in_the_room_is_found():
    found = heads.heads()
    assert {"blend", "clusters", "constant", "domain", "knn", "linear", "mf"} <= found.keys()
    assert found["constant"] == "routers.simple:Constant"


def test_vectors_are_encoded_once_and_again_for_other_prompts(tmp_path):
    class Counting(Letters):
        calls = 0

        def encode(self, texts):
            self.calls += 1
            return super().encode(texts)

    encoder = Counting()
    first, again = (vectors(["a b", "c"], encoder, tmp_path) for _ in range(2))
    assert encoder.calls == 1
    assert np.array_equal(first, again)
    assert len({key(["a", "b"], "x"), key(["ab", ""], "x"), key(["b", "a"], "x"), key(["a", "b"], "y")}) == 4


def test_pair_figures_agree_with_routellms_own():
    from bench import pairs

    random = np.random.default_rng(0)
    outcomes = table((random.random((500, 2)) < [0.5, 0.8]).astype(np.float64), [1, 9])
    quality = random.random((500, 2))
    known, against = frontier.Predictions(quality, quality, outcomes.cost), frontier.baselines(outcomes, outcomes)
    found = contest.pair(known, against, 50)
    score = quality[:, 1] - quality[:, 0]
    assert found["apgr"].value == pytest.approx(pairs.apgr(score, outcomes.score[:, 0], outcomes.score[:, 1]))
    for name, share in (("cpt50", 0.5), ("cpt80", 0.8)):
        exact = pairs.cpt(score, outcomes.score[:, 0], outcomes.score[:, 1], share)
        assert exact <= found[name].value <= exact + 0.0101


def test_the_gap_is_calibrated_only_where_it_was_used():
    outcomes = table(np.tile([0.0, 1.0], (100, 1)), [1, 9])
    sure = np.tile([0.9, 0.2], (100, 1))
    against = frontier.baselines(outcomes, outcomes)
    choice = frontier.choose(frontier.Predictions(sure, sure, outcomes.cost), 1e18)
    assert contest.gap(frontier.Predictions(sure, sure, outcomes.cost), choice, against) == pytest.approx(1.7)
    assert np.isnan(contest.gap(frontier.Predictions(sure, sure, outcomes.cost), np.ones(100, np.int64), against))

"""`lyceum bench labels` on a small pair of experts."""

import argparse
import gzip
import json

import numpy as np
import pytest

from bench import labels
from experts.base import SetupError


def written(folder, experts):
    """Sums that only the strong expert gets right, words that everybody does."""
    random = np.random.default_rng(0)
    (folder / "pair").mkdir()
    (folder / "pair" / "models.json").write_text(json.dumps([{"model": f"e{i}"} for i in range(experts)]))
    for split, count in (("train", 200), ("test", 120)):
        with gzip.open(folder / "pair" / f"{split}.jsonl.gz", "wt") as out:
            for i in range(count):
                chance = [0.95, 0.3 if i % 2 else 0.95][:experts] + [0.5] * (experts - 2)
                row = {"prompt": f"{('word', 'sum')[i % 2]} {split} {i}", "domain": "d", "dup_group": f"{split}{i}"}
                score = [float(random.random() < each) for each in chance]
                out.write(json.dumps({**row, "score": score, "cost_usd": [3e-4, 1e-4, 2e-4][:experts]}) + "\n")


def bench(folder, *given):
    parser = argparse.ArgumentParser()
    labels.arguments(parser)
    usual = ["--folder", str(folder), "--state", str(folder), "--repetitions", "50", "--seeds", "2", "--data", "pair"]
    return labels.run(parser.parse_args([*usual, "--encoder", "tests.bench.test_routers:Letters", *given]))


def test_a_router_from_few_labels_recovers_more_than_chance(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--labels", "80", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["labels"] == 80
    assert row["apgr"]["low"] > 0.55
    assert row["cpt50"]["value"] < 0.45


def test_the_table_has_a_row_for_each_number_of_labels(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--labels", "80", "--labels", "40") == 0
    shown = capsys.readouterr().out
    assert "80" in shown
    assert "40" in shown


def test_a_set_of_three_experts_is_refused(tmp_path):
    written(tmp_path, 3)
    with pytest.raises(SetupError, match="3 experts"):
        bench(tmp_path)

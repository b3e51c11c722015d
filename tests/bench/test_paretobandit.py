"""`lyceum bench paretobandit` on a small copy of its format: streams keep to their budgets."""

import argparse
import json

import numpy as np
import pytest

from bench import paretobandit

ARMS = {"small": 2e-5, "large": 5e-4, "huge": 1e-2}


@pytest.fixture
def folder(tmp_path):
    """Sums that the small expert gets wrong, words that every expert gets right."""
    random = np.random.default_rng(0)
    for name, count in (("val.jsonl", 200), ("test_holdout.jsonl", 240)):
        rows = []
        for i in range(count):
            hard = i % 2 == 0
            prompt = f"add up the sum {name} {i}" if hard else f"translate the word {name} {i}"
            good = {"small": 0.3 if hard else 0.9, "large": 0.9, "huge": 0.95}
            arms = {
                arm: {"reward": good[arm], "cost": cost * float(random.uniform(0.7, 1.3))} for arm, cost in ARMS.items()
            }
            rows.append(json.dumps({"prompt": prompt, "source": "made", "arms": arms}))
        (tmp_path / name).write_text("\n".join(rows))
    return tmp_path


def bench(folder, *given):
    parser = argparse.ArgumentParser()
    paretobandit.arguments(parser)
    encoder = ["--encoder", "tests.bench.test_routers:Letters"]
    return paretobandit.run(
        parser.parse_args(["--folder", str(folder), "--state", str(folder), "--orders", "3", *encoder, *given])
    )


def test_every_stream_keeps_to_its_budget_and_beats_the_zero_router_where_the_prompt_tells(folder, capsys):
    assert bench(folder, "--json") == 0
    rows = {row["budget"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(paretobandit.BUDGETS)
    assert all(row["used_most"] <= 1.0 for row in rows.values())
    assert all(row["reward"]["value"] <= row["oracle"] + 1e-9 for row in rows.values())
    assert rows[2.3e-4]["over_zero"]["low"] > 0.02


def test_the_table_names_what_it_is_measured_against(folder, capsys):
    assert bench(folder) == 0
    shown = capsys.readouterr().out
    for head in ("zero router", "ParetoBandit", "oracle", "at most"):
        assert head in shown

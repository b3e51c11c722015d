"""`lyceum bench by-task`: the mean of tasks, however many prompts each has."""

import argparse
import json

import pytest

from bench import by_task
from experts.base import SetupError
from tests.bench.test_labels import written


def bench(tmp_path, *given):
    parser = argparse.ArgumentParser()
    by_task.arguments(parser)
    place = ["--folder", str(tmp_path), "--data", "pair", "--state", str(tmp_path)]
    return by_task.run(parser.parse_args([*place, "--encoder", "tests.bench.test_routers:Letters", *given]))


def test_the_mean_counts_each_task_once(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert list(rows) == ["d", by_task.MEAN]
    assert rows["d"] == rows[by_task.MEAN]
    assert rows["d"]["router"] <= rows["d"]["oracle"]


def test_a_task_that_is_not_there_is_named(tmp_path):
    written(tmp_path, 2)
    with pytest.raises(SetupError, match="--task law: no such task"):
        bench(tmp_path, "--task", "law")

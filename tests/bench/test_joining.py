"""`lyceum bench joining`: a newcomer's probes bring nearly what all its labels bring."""

import argparse
import json

import pytest

from bench import joining
from experts.base import SetupError
from tests.bench.test_labels import written


def bench(tmp_path, *given):
    parser = argparse.ArgumentParser()
    joining.arguments(parser)
    place = ["--folder", str(tmp_path), "--data", "pair", "--state", str(tmp_path), "--probes", "60"]
    return joining.run(parser.parse_args([*place, "--encoder", "tests.bench.test_routers:Letters", *given]))


def test_each_newcomer_in_turn_is_set_against_its_own_labels(tmp_path, capsys):
    written(tmp_path, 3)
    assert bench(tmp_path, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["expert"] for row in rows} == {"e0", "e1", "e2"}
    assert all(0.8 < row["best"] < 1.2 for row in rows)
    assert all(row["probes"] == 60 for row in rows)


def test_one_expert_alone_has_nobody_to_join(tmp_path):
    written(tmp_path, 1)
    with pytest.raises(SetupError, match="nobody to join"):
        bench(tmp_path)

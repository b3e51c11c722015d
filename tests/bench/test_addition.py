"""`lyceum bench addition` on a small set: the blend against itself is no gain, and test prompts are not looked at."""

import argparse
import json

from bench import addition
from tests.bench.test_labels import written


def bench(folder, *given):
    parser = argparse.ArgumentParser()
    addition.arguments(parser)
    usual = ["--folder", str(folder), "--state", str(folder), "--repetitions", "50", "--data", "pair"]
    return addition.run(parser.parse_args([*usual, "--encoder", "tests.bench.test_routers:Letters", *given]))


def test_a_head_stands_beside_the_blend_with_its_gain_and_interval(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["router"] for row in rows] == ["blend", "blend and head", "head alone"]
    assert {row["prompts"] for row in rows} == {200}
    blend, both, alone = (row["gain"] for row in rows)
    assert (blend["low"], blend["high"]) == (0.0, 0.0)
    assert all(each["low"] <= each["value"] <= each["high"] for each in (both, alone))


def test_a_random_part_is_enough_and_what_ignores_the_prompt_gains_nothing(tmp_path, capsys):
    written(tmp_path, 2)
    assert bench(tmp_path, "--prompts", "120", "--head", "routers.simple:Constant") == 0
    shown = capsys.readouterr().out
    assert "120" in shown
    assert "head alone" in shown

"""`lyceum bench` finds its benchmarks by name, and each one speaks for itself."""

import argparse
import importlib
import json

import pytest

from bench import __main__ as bench
from bench import loop
from experts.base import SetupError


@pytest.mark.parametrize("name", sorted(bench.BENCHMARKS))
def test_every_benchmark_is_a_command(name):
    module = importlib.import_module(bench.BENCHMARKS[name][0])
    assert module.HELP
    assert module.EXAMPLE.startswith(f"lyceum bench {name}")
    module.arguments(argparse.ArgumentParser())


def parse(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    return parser.parse_args(given)


def test_what_follows_the_name_is_the_benchmarks_own():
    args = parse("loop", "--json", "--runs", "1")
    assert (args.name, args.rest) == ("loop", ["--json", "--runs", "1"])


def test_an_unknown_benchmark_is_refused_with_those_that_are_known(capsys):
    with pytest.raises(SystemExit):
        parse("lop")
    assert "loop" in capsys.readouterr().err


def test_the_loop_is_measured_step_by_step(capsys):
    few = ["--experts", "3", "--requests", "20", "--runs", "1", "--at-once", "4", "--prompts", "30"]
    assert bench.run(parse("loop", "--json", "--router", "routers.simple:Constant", *few)) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"parse the body", "estimate", "decide"} < figures["steps_us"].keys()
    assert list(figures["steps_us"])[-1].startswith("whole loop")
    assert all(micros > 0 for micros in figures["steps_us"].values())
    assert [room["room"] for room in figures["rooms"]] == list(loop.ROOMS)
    assert [room["heavy"] for room in figures["rooms"]] == [[]] * len(loop.ROOMS)


def test_a_room_that_cannot_be_imported_is_one_clear_line():
    with pytest.raises(SetupError, match="attic: cannot be imported: .*No module named 'attic'"):
        loop.imported("attic", runs=1)

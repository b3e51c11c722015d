"""The scorecard of faults, at a small size: a real fault expert, a real gateway; and verdicts that can fail."""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import replace

import pytest

from bench import faults
from bench.faults_caller import View, single, streamed
from bench.faults_cases import CASES, Gap, truncated, verdict
from bench.faults_gateway import configuration
from bench.wall import FAULTS
from bench.wall_talk import ANSWER, PIECES
from experts.base import SetupError

RIGHT = View(status=200, text=ANSWER, reason="stop", done=True, usage=True, model="sound", seconds=0.1)
NO_GAP = Gap(0, False)
ONE = CASES[0]


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    faults.arguments(parser)
    return parser.parse_args(given)


def test_answers_survive_faults_rows_1_8_to_12(capsys):
    given = ["--seeds", "2", "--cuts", "5", "--json", "--only", "S01", "S05", "S08", "S10", "S13", "S14", "R08"]
    assert faults.run(arguments(*given)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["truncated_as_success"] == 0
    assert {line["id"]: line["verdict"] for line in result["faults"]} == dict.fromkeys(given[6:], "pass")
    assert all(line["gap"] == 0 or line["estimated"] for line in result["faults"])


def test_the_scorecard_is_a_table_for_people(capsys):
    assert faults.run(arguments("--seeds", "1", "--cuts", "0", "--only", "S03")) == 0
    assert "S03" in capsys.readouterr().out


def test_an_unknown_fault_is_an_error_of_setup():
    with pytest.raises(SetupError, match="S99"):
        faults.run(arguments("--only", "S99"))


def test_the_sixteen_faults_and_more_are_there():
    ids = {case.id for case in CASES}
    assert {f"S{number:02}" for number in range(1, 17)} <= ids
    assert {case.fault for case in CASES} <= FAULTS.keys()
    assert len(PIECES) == 60


def test_only_an_expert_whose_fault_is_time_has_little_of_it():
    """A machine that stands still for a second is to change no verdict."""
    for case in CASES:
        experts = tomllib.loads(configuration(case, 1, 1.0))["experts"]
        seconds = {name: table["limits"]["first_seconds"] for name, table in experts.items()}
        assert seconds.pop("faulty") == (1.0 if case.timed else 20.0)
        assert set(seconds.values()) <= {20.0}


def test_a_right_answer_passes():
    assert verdict(ONE, RIGHT, 1, NO_GAP) == ("pass", "")


LIES = {
    "a truncated answer": (replace(RIGHT, text=ANSWER[:-5]), 1, NO_GAP),
    "words twice": (replace(RIGHT, text=ANSWER + " else"), 1, NO_GAP),
    "no end": (replace(RIGHT, reason=None), 1, NO_GAP),
    "too late": (replace(RIGHT, seconds=60.0), 1, NO_GAP),
    "hammering": (RIGHT, 3, NO_GAP),
    "lost money": (RIGHT, 1, Gap(5, False)),
    "money too much": (RIGHT, 1, Gap(-5, False)),
    "broken wire": (replace(RIGHT, broken="half an event"), 1, NO_GAP),
    "done after an error": (replace(RIGHT, error={"code": "x"}), 1, NO_GAP),
    "no usage": (replace(RIGHT, usage=False), 1, NO_GAP),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_verdict_can_fail(lie):
    assert verdict(ONE, *LIES[lie])[0] == "fail"


def test_a_clean_error_is_safe_and_no_rescue():
    view = View(status=502, error={"code": "all_experts_failed"})
    assert verdict(ONE, view, 1, NO_GAP)[0] == "safe"


def test_an_error_that_is_owed_passes_and_an_answer_in_its_place_does_not():
    case = next(case for case in CASES if case.id == "S13")
    assert verdict(case, View(status=400, error={"code": "content_policy_violation"}), 1, NO_GAP)[0] == "pass"
    assert verdict(case, RIGHT, 1, NO_GAP)[0] == "safe"


def test_a_gap_that_the_ledger_calls_a_guess_is_told():
    assert verdict(ONE, RIGHT, 1, Gap(5, True))[0] == "pass"


def test_an_answer_cut_but_called_whole_is_counted():
    assert truncated(replace(RIGHT, text="a gateway"))
    assert not truncated(View(status=200, text="a gateway", error={"code": "x"}))


CHUNK = '{"object":"chat.completion.chunk","model":"m","choices":[{"delta":{"content":"a"},"finish_reason":%s}]}'
STOPPED = CHUNK % '"stop"'
WRONG = {
    "a half event": f"data: {CHUNK % 'null'}",
    "done without a reason": f"data: {CHUNK % 'null'}\n\ndata: [DONE]\n\n",
    "an event after done": f"data: {CHUNK % 'null'}\n\ndata: [DONE]\n\ndata: {CHUNK % 'null'}\n\n",
    "words after the reason": f"data: {STOPPED}\n\ndata: {CHUNK % 'null'}\n\n",
    "another kind": 'data: {"object":"chat.completion"}\n\n',
    "no JSON": "data: {\n\n",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_caller_is_strict(wrong):
    with pytest.raises(ValueError, match=r".*"):
        streamed(View(status=200), WRONG[wrong].encode())


def test_the_caller_reads_plain_answers_and_errors():
    view = View(status=400)
    single(view, b'{"error": {"message": "m", "type": "t", "code": "c", "param": null}}')
    assert view.error is not None
    view = View(status=200)
    single(view, b'{"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}')
    assert (view.text, view.success, view.usage) == ("hi", True, False)

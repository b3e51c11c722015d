"""The probe: every expert gets every task, what it costs is told by the expert, and nothing is asked twice."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from bench import probe
from bench.answers import Journal, rescored, row, summary, write
from bench.asking import InProcess, OverHTTP, Reply, known_cost, nano
from bench.probe import Probe, sample
from bench.served import served
from bench.tasks import FAMILIES, tasks
from experts.base import Chunk, Declined, Request, SetupError, Unavailable
from experts.card import Card, Usage
from experts.scripted import Scripted
from routers.outcomes import read

ALL = sample(tasks(), None)
SUM = next(task for task in ALL if task.group == "arithmetic.add")
CODE = next(task for task in ALL if task.group == "code.sums")
CONFIG = """
[server]
port = 0
[state]
folder = "{folder}/state"
[experts.right]
use = "experts.scripted:recorded"
file = "{folder}/right.jsonl"
cost = 12345
[experts.broken]
use = "experts.scripted:faulty"
reason = "declined"
[router]
use = "routers.simple:Cards"
[policy]
use = "policies.pick:Utility"
usd_per_quality = 0.01
"""


def answer(task) -> str:
    """A right answer to a sum."""
    return str(sum(int(word) for word in task.prompt.strip("?").split() if word.isdigit()))


def oracle(name: str = "right", cost: int = 700) -> Scripted:
    return Scripted(name, answer=lambda request: str(sum(map(int, request.prompt.strip("?").split()[2::2]))), cost=cost)


class Counting:
    """An expert that notes what it was asked and how many asked at once."""

    name, card = "counting", Card()

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.options: list[dict[str, object]] = []
        self.now = self.most = 0

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.asked.append(request.prompt)
        self.options.append(dict(request.options))
        yield Chunk({"content": "42"}, "stop", Usage(5, 1), 10)
        self.now -= 1


def test_only_a_refusal_without_a_bill_is_known_to_be_free():
    assert (known_cost("declined", None), known_cost("declined", 7), known_cost("unavailable", None)) == (0, 7, None)


def test_a_limited_probe_is_an_even_sample_of_all_families():
    first = sample(tasks(), 80)
    assert {task.family for task in first} == set(FAMILIES)
    assert first == sample(tasks(), None)[:80]


async def test_every_expert_is_asked_one_request_at_a_time_with_the_same_greedy_options(tmp_path):
    one, two = Counting(), Counting()
    await Probe(InProcess({"one": one, "two": two}), Journal(tmp_path / "a.jsonl")).run(["one", "two"], ALL[:12])

    assert one.asked == two.asked == [task.prompt for task in ALL[:12]]
    assert one.most == two.most == 1
    assert one.options == [{"max_tokens": task.max_tokens, "temperature": 0} for task in ALL[:12]]


async def test_an_answer_is_a_row_with_its_score_cost_and_tokens(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    await Probe(InProcess({"right": oracle()}), journal).run(["right"], [SUM])

    (found,) = journal.rows()
    assert (found["score"], found["cost"], found["reason"], found["answer"]) == (1.0, 700, "", answer(SUM))
    assert (found["prompt_id"], found["group"], found["domain"]) == (SUM.id, "arithmetic.add", "arithmetic")
    assert found["completion_tokens"] == 1


@pytest.mark.parametrize("error", [Declined("not my field", cost=99), Unavailable("gone", cost=99)])
async def test_a_refusal_or_a_failure_is_a_row_with_score_zero_and_its_cost(tmp_path, error):
    journal = Journal(tmp_path / "a.jsonl")
    await Probe(InProcess({"e": Scripted("e", fail=error)}), journal).run(["e"], [SUM])

    (found,) = journal.rows()
    assert (found["score"], found["cost"], found["reason"], found["answer"]) == (0.0, 99, error.reason, "")


async def test_a_resumed_probe_asks_what_is_missing_and_what_failed_for_a_passing_cause(tmp_path):
    journal, expert = Journal(tmp_path / "a.jsonl"), Counting()
    journal.replace(
        [
            row(ALL[0], "e", Reply("42", cost=1), 1.0),
            row(ALL[1], "e", Reply(reason="declined"), 0.0),
            row(ALL[2], "e", Reply(reason="unavailable"), 0.0),
        ]
    )
    await Probe(InProcess({"e": expert}), journal).run(["e"], ALL[:5], resume=True)

    assert expert.asked == [task.prompt for task in ALL[2:5]]
    assert len(journal.rows()) == 5


async def test_a_probe_that_is_not_resumed_starts_anew(tmp_path):
    journal, expert = Journal(tmp_path / "a.jsonl"), Counting()
    for _ in range(2):
        await Probe(InProcess({"e": expert}), journal).run(["e"], ALL[:3])
    assert (len(expert.asked), len(journal.rows())) == (6, 3)


def test_a_journal_cut_off_in_a_line_keeps_the_whole_ones(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.replace([row(ALL[0], "e", Reply("a"), 1.0), row(ALL[1], "e", Reply("b"), 0.0)])
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-20])

    assert [found["prompt_id"] for found in journal.begin(resume=True)] == [ALL[0].id]
    journal.add(row(ALL[1], "e", Reply("b"), 0.0))
    assert journal.path.read_bytes() == whole


def test_a_journal_that_is_none_is_told_in_one_line(tmp_path):
    (tmp_path / "a.jsonl").write_text("no json\n")
    with pytest.raises(SetupError, match="a.jsonl: not a journal of a probe"):
        Journal(tmp_path / "a.jsonl").rows()


def test_answers_are_scored_again_without_asking_and_forgotten_prompts_drop_out():
    rows = [
        {**row(SUM, "e", Reply(answer(SUM)), 0.0), "split": "none"},
        {**row(SUM, "e", Reply("1"), 1.0), "prompt": "no longer asked"},
    ]
    (found,) = rescored(rows, ALL)
    assert (found["score"], found["split"]) == (1.0, SUM.split)


def test_the_table_is_read_back_by_the_routers(tmp_path):
    path = tmp_path / "t.parquet"
    rows = [
        row(SUM, "a", Reply("long" * 100, cost=2**40, prompt_tokens=9, completion_tokens=1, seconds=0.5), 1.0),
        row(SUM, "b", Reply(reason="declined"), 0.0),
    ]
    write(path, rows, longest_answer=10)

    table = read(path)
    assert (table.experts, table.prompts, table.domains) == (("a", "b"), (SUM.prompt,), ("arithmetic",))
    assert table.score.tolist() == [[1.0, 0.0]]
    assert table.cost[0][0] == 2**40
    assert table.cost[0][1] != table.cost[0][1], "an unknown cost is not 0"


def test_the_summary_averages_known_costs_only():
    rows = [row(SUM, "a", Reply(cost=10), 1.0), row(SUM, "a", Reply(cost=None), 0.0)]
    assert summary(rows) == {("arithmetic", "a"): (0.5, 10.0, 2)}
    assert summary(rows, "nowhere") == {}


@pytest.mark.parametrize(
    ("dollars", "goal"),
    [("0.000000001", 1), ("0.1", 10**8), ("12.345678901", 12345678901), (None, None), ("free", None), ("NaN", None)],
)
def test_dollars_in_decimal_become_nano_dollars_exactly(dollars, goal):
    assert nano(dollars) == goal


def test_hidden_tests_run_the_code_of_an_answer():
    good = f"Sure:\n```python\n{solution(CODE.prompt)}\n```\nIt adds."
    assert CODE.score(good) == 1.0
    assert CODE.score(solution(CODE.prompt)) == 1.0
    assert CODE.score(good.replace("return", "return 1 +")) == 0.0
    assert CODE.score(good.replace("return", "while True: pass\n    return")) == 0.0


def solution(prompt: str) -> str:
    bodies = {"sum_even": "sum(n for n in x if n % 2 == 0)", "sum_squares": "sum(n * n for n in x)"}
    bodies["alternating_sum"] = "sum(x[::2]) - sum(x[1::2])"
    name = next(name for name in bodies if name in prompt)
    return f"def {name}(x):\n    return {bodies[name]}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lines = [orjson.dumps({"prompt": SUM.prompt, "answer": f"The sum is {answer(SUM)}."})]
    (tmp_path / "right.jsonl").write_bytes(b"\n".join(lines))
    path = tmp_path / "lyceum.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


async def test_over_http_the_cost_is_exact_and_errors_are_rows(config, tmp_path):
    import httpx2

    async with served(str(config)) as url:
        headers = {"authorization": f"Bearer {(tmp_path / 'state' / 'key').read_text().strip()}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers) as client:
            asker = OverHTTP(client)
            assert await asker.experts() == ["right", "broken"]
            right, broken = await asker.ask("right", SUM), await asker.ask("broken", SUM)
        async with httpx2.AsyncClient(base_url=url) as stranger:
            with pytest.raises(SetupError, match="does not know this key"):
                await OverHTTP(stranger).experts()

    assert (right.cost, right.reason, SUM.score(right.answer)) == (12345, "", 1.0)
    assert right.completion_tokens == 4
    assert (broken.answer, broken.reason, broken.cost) == ("", "declined", 0)


async def test_nobody_at_the_address_is_told_in_one_line():
    import httpx2

    async with httpx2.AsyncClient(base_url="http://127.0.0.1:9") as client:
        with pytest.raises(SetupError, match="start one with `lyceum serve`"):
            await OverHTTP(client).experts()
        assert (await OverHTTP(client).ask("e", SUM)).reason == "ConnectError"


def test_the_command_asks_a_gateway_of_its_own_then_rescores_and_reports(config, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("LYCEUM_KEY", raising=False)
    common = ["--out", str(tmp_path / "t.parquet"), "--families", "arithmetic", "--json"]
    where = ["--config", str(config), "--key-file", str(tmp_path / "state" / "key")]
    assert probe.run(parsed([*common, *where, "--experts", "right", "--limit", "9"])) == 0

    asked = json.loads(capsys.readouterr().out)
    assert [(cell["domain"], cell["expert"], cell["n"]) for cell in asked] == [("arithmetic", "right", 9)]
    assert len(read(tmp_path / "t.parquet")) == 9
    assert probe.run(parsed([*common, "--rescore"])) == 0
    assert json.loads(capsys.readouterr().out) == asked


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    probe.arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--families", "cooking"], "--families: 'cooking' is not one of"),
        (["--rescore"], "there are no answers"),
        (["--url", "http://127.0.0.1:9", "--key", "k"], "no gateway answers"),
        (["--url", "http://127.0.0.1:9", "--key-file", "nowhere"], "--key-file: cannot read nowhere"),
    ],
)
def test_what_the_operator_must_mend_is_one_line(tmp_path, words, said, monkeypatch):
    monkeypatch.delenv("LYCEUM_KEY", raising=False)
    with pytest.raises(SetupError, match=said):
        probe.run(parsed([*words, "--out", str(tmp_path / "t.parquet")]))


async def test_a_gateway_that_cannot_start_says_why(tmp_path):
    (tmp_path / "bad.toml").write_text("[experts.one\n")
    with pytest.raises(SetupError, match="TOML"):
        async with served(str(tmp_path / "bad.toml")):
            pass

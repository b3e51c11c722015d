"""The benchmark of hard budgets, at a small size: real processes, really killed."""

import argparse
import asyncio
import json
import subprocess
import sys

import pytest

from bench import budgets
from bench.bill import Bill
from bench.budget_replica import limits
from policies.accounts import Accounts
from policies.book import Hold

FAULTS = ("overspend", "stuck", "money_error", "asked_twice")


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    budgets.arguments(parser)
    return parser.parse_args(given)


def test_two_replicas_of_which_some_are_killed_overspend_nothing_rows_42_and_43(capsys):
    given = ["--replicas", "2", "--requests", "400", "--flight", "100", "--afford", "150", "--kills", "4", "--json"]
    assert budgets.run(arguments(*given, "--pause", "0.25")) == 0
    result = json.loads(capsys.readouterr().out)
    assert {fault: result[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert result["rows_lost"] == result["in_swept_slices"]
    assert result["requests"] == 800
    assert result["ended"]["refused"] > 0
    assert 0 <= result["unused"] < budgets.MOST


def test_the_result_is_a_table_for_people(capsys):
    given = ["--replicas", "1", "--requests", "20", "--flight", "10", "--afford", "100"]
    assert budgets.run(arguments(*given)) == 0
    assert "overspend" in capsys.readouterr().out


async def test_the_audit_finds_what_is_wrong(tmp_path):
    bill = Bill(0, 0.0)
    accounts = Accounts.open(tmp_path / "accounts.sqlite", limits(1_000, 250))
    scopes = {"team": "all", "key": "k0"}
    for name, cost in {"right": 100, "wrong": 50}.items():
        hold = await accounts.reserve(name, scopes, 100)
        assert isinstance(hold, Hold)
        await accounts.settle(hold, cost)
    await accounts.reserve("open", scopes, 100)
    assert isinstance(hold, Hold)
    bill.costs.update(right=100, wrong=60, unknown=900)
    bill.slices.update(unknown=hold.slice)  # its slice is still open: nobody has paid for it
    found = await budgets.audit(accounts, bill, 1_000)
    await accounts.close()
    assert (found["overspend"], found["stuck"], found["rows_lost"]) == (60, 200, 1)
    assert (found["money_error"], found["in_swept_slices"]) == (10, 0)


async def test_a_bill_counts_calls_that_are_asked_twice_and_those_whose_caller_died():
    bill = Bill(0, 0.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", await bill.start())
    writer.write(b"a 5\na 5\n")
    assert (await reader.readline()).startswith(b"a ")
    writer.close()
    await writer.wait_closed()
    await bill.stop()
    assert (list(bill.costs), bill.twice) == (["a"], 1)


def test_a_replica_that_cannot_start_is_an_error_of_setup():
    code = "import json, sys; from bench.budget_replica import *; asyncio.run(main(Plan(**json.loads(sys.argv[1]))))"
    plan = {"name": "r", "store": "/dev/null/x", "port": 1, "requests": 1, "flight": 1} | dict.fromkeys(
        ("most", "budget", "key_budget", "seed"), 1
    )
    ended = subprocess.run([sys.executable, "-c", code, json.dumps(plan)], capture_output=True, check=False)
    assert ended.returncode not in (0, -9)


@pytest.mark.parametrize("store", ["postgresql://127.0.0.1:1/none"])
def test_a_named_database_is_used_as_it_is(store):
    with budgets.place(store) as where:
        assert where == store

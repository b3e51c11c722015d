"""The benchmark of hard budgets, at a small size: real gateways, really killed; and an audit that finds every fault."""

import asyncio
import json
import time
from typing import Any

import pytest

from bench import budgets
from bench.bill import Bill
from bench.budget_audit import Books, faults
from bench.budget_clients import WIDTH, Clients, Plan, read, request
from experts.base import Answer, Failure, Request, SetupError
from experts.card import Usage
from policies.base import Ask, State
from policies.book import Account
from policies.ledger import Ledger
from policies.rows import DecisionRow, OutcomeRow, SettlementRow
from tests.bench.line import arguments


def ran(capsys, *given):
    assert budgets.run(arguments(budgets, *given, "--json")) == 0
    return json.loads(capsys.readouterr().out)


def test_two_gateways_spend_a_budget_and_not_a_cent_more_row_42(capsys):
    result = ran(capsys, "--replicas", "2", "--requests", "250", "--flight", "125", "--afford", "80")
    assert result["ended"].keys() == {"answered", "budget_exceeded"}
    assert (result["overspend"], result["stuck"], result["money_error"], result["rows_lost"]) == (0, 0, 0, 0)
    assert (result["swept"], result["unrecorded"]) == (0, 0)
    assert result["requests"] >= 500
    assert result["billed"] == result["budget"] - result["unused"]


def test_gateways_that_are_killed_while_they_work_overspend_nothing_row_43(capsys):
    given = ["--replicas", "2", "--requests", "250", "--flight", "60", "--afford", "120", "--kills", "4"]
    result = ran(capsys, *given, "--pause", "0.4")
    assert (result["kills"], result["overspend"], result["stuck"], result["money_error"]) == (4, 0, 0, 0)
    assert result["rows_lost"] == result["asked_twice"] == 0
    assert result["billed"] <= result["budget"] - result["unused"]


ANSWERED = {"a": "d0", "b": "d1"}
CHARGED = {"a": 100, "b": 50}
BALANCES = {"all": (150, 0), "key key:k0": (100, 0), "key key:k1": (50, 0)}


async def audited(folder, costs, charged=CHARGED, balances=BALANCES, budget=200, booked=150):
    """The audit of a ledger in which the prompts a, b, ... cost that much."""
    ledger = Ledger.open(folder / "ledger.sqlite")
    for place, cost in enumerate(costs):
        asked = Request(({"role": "user", "content": "abc"[place]},), id=f"d{place}")
        ledger.write(DecisionRow.of(State(asked, {}), Ask(("e",), last=True), 0, time=time.time(), policy="auto"))
        answer = Answer("e", {}, "stop", Usage(1, 1), cost) if cost is not None else Failure("e", "budget", True)
        ledger.write(OutcomeRow.of(f"d{place}", 0, answer, time.time()))
    ledger.write(SettlementRow("d0", 0, "e", time.time(), "settled", 60, booked, "p"))
    await ledger.close()
    books = Books(charged, ANSWERED)
    books.read([folder / "ledger.sqlite"])
    accounts = [Account(bucket, 0, *sums) for bucket, sums in balances.items()]
    return books.audit(accounts, budget, budget // 2) | {"kills": 0, "asked_twice": 0}


async def test_an_audit_finds_nothing_where_nothing_is_wrong(tmp_path):
    result = await audited(tmp_path, [100, 50])
    assert faults(result) == []
    assert (result["unused"], result["dearest"], result["billed"]) == (50, 60, 150)


LIES: dict[str, tuple[dict[str, Any], list[int], str]] = {
    "a bill above the budget": ({"charged": {"a": 100, "b": 150}}, [100, 150], "overspend"),
    "a balance above the budget": ({"balances": {"all": (250, 0), "key key:k0": (250, 0)}}, [100, 50], "overspend"),
    "a key above its budget": ({"balances": {"all": (150, 0), "key key:k0": (150, 0)}}, [100, 50], "overspend"),
    "money that is held for ever": ({"balances": BALANCES | {"all": (150, 9)}}, [100, 50], "stuck"),
    "a row that tells another cost": ({}, [100, 40], "money_error"),
    "a charge that no budget has": ({"balances": {"all": (140, 0), "key key:k0": (140, 0)}}, [100, 50], "money_error"),
    "a row for what nobody charged": ({}, [100, 50, 7], "money_error"),
    "budgets that disagree": ({"balances": {"all": (150, 0), "key key:k0": (100, 0)}}, [100, 50], "money_error"),
    "a row more in the books than in the budget": ({"booked": 160}, [100, 50], "money_error"),
    "an answer without a row": ({}, [100], "rows_lost"),
    "a call without a row": ({"charged": CHARGED | {"c": 0}}, [100, 50], "unrecorded"),
    "money that only a sweep booked": ({"booked": 140}, [100, 50], "swept"),
    "money that nobody can spend": ({"budget": 220}, [100, 50], "unused"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_audit_can_fail(tmp_path, lie):
    about, costs, figure = LIES[lie]
    assert figure in faults(await audited(tmp_path, costs, **about))


async def test_kills_explain_what_was_swept_and_not_recorded_and_nothing_else(tmp_path):
    result = await audited(tmp_path, [100, None], {"a": 100, "c": 20}, booked=100)
    assert faults(result | {"kills": 1}) == ["rows_lost"]
    assert faults(result) == ["rows_lost", "unrecorded", "swept"]
    assert faults(result | {"kills": 1, "rows_lost": 0, "asked_twice": 1}) == ["asked_twice"]


async def test_a_bill_counts_calls_that_are_asked_twice_and_those_whose_caller_died():
    bill = Bill(0, 0.0)
    port = await bill.start()
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("a", "key"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        writer.transport.abort()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("b", "key"))
    await writer.drain()
    writer.transport.abort()
    async with asyncio.timeout(30):
        while len(bill.costs) < 2:
            await asyncio.sleep(0.01)
    await bill.stop()
    assert bill.twice == 1
    assert max(bill.costs.values()) <= budgets.DEAREST


async def test_clients_ask_again_under_another_name_what_broke_off():
    asked = []

    async def gateway(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        if len(asked) == 2:
            writer.write(b"HTTP/1.1 200 OK\r\nx-request-id: d1\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    clients = Clients(Plan("r", server.sockets[0].getsockname()[1], 1, 1, "key", 7))
    await clients.run()
    server.close()
    assert clients.ended == {"broken": 1, "answered": 1}
    assert clients.answered == {"7-r-2".rjust(WIDTH): "d1"}


def test_an_answer_that_is_not_whole_is_broken():
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 33\r\n\r\n"
    body = b'{"error":{"code":"budget_exceeded'
    assert read(head + body[:-1])[0] == "broken"
    assert read(b"")[0] == "broken"
    assert read(head.replace(b"33", b"36") + body + b'"}}')[:2] == ("429", "budget_exceeded")


def test_a_gateway_that_cannot_start_is_an_error_of_setup():
    with pytest.raises(SetupError, match="did not start"):
        budgets.run(arguments(budgets, "--replicas", "1", "--store", "/dev/null/x"))


@pytest.mark.parametrize("store", ["postgresql://127.0.0.1:1/none"])
def test_a_named_database_is_used_as_it_is(tmp_path, store):
    with budgets.place(store, tmp_path) as where:
        assert where == store

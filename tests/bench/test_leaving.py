"""Clients that leave at random points, at a small size: a real expert with a bill, a real gateway, real sockets."""

from __future__ import annotations

import json

import pytest

from bench import leaving
from bench.spoils import Spoils
from experts.base import Answer, Request
from experts.card import Usage
from policies.base import Ask, State
from policies.ledger import Ledger
from policies.rows import DecisionRow, OutcomeRow
from tests.bench.line import arguments


def test_no_cent_is_wrong_and_none_guessed_where_the_expert_counts_row_21(capsys):
    assert leaving.run(arguments(leaving, "--requests", "150", "--leave", "0.5", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["money_error"], result["guessed"], result["rows_lost"], result["failed"]) == (0, 0, 0, 0)
    assert result["rows_left"] > 0
    assert result["booked"] == result["billed"] == result["in_ledger"] > 0


def test_what_cannot_be_known_is_marked_where_the_expert_does_not_count(capsys):
    assert leaving.run(arguments(leaving, "--requests", "80", "--leave", "0.5", "--when-left", "cancel")) == 0
    shown = capsys.readouterr().out
    assert "guessed" in shown


async def ledger_of(folder, *outcomes: tuple[str, int | None, bool]) -> None:
    ledger = Ledger.open(folder / "ledger.sqlite")
    for place, (prompt, cost, estimated) in enumerate(outcomes):
        asked = Request(({"role": "user", "content": prompt},), id=f"d{place}")
        ledger.write(DecisionRow.of(State(asked, {}), Ask(("e",), last=True), 0, time=1.0, policy="auto"))
        answer = Answer("e", {}, "stop", Usage(1, 1, estimated=estimated), cost)
        ledger.write(OutcomeRow.of(f"d{place}", 0, answer, 1.0))
    await ledger.close()


async def audited(folder, bill, *outcomes):
    await ledger_of(folder, *outcomes)
    return await Spoils(folder).audit(bill)


LIES = {
    "money_error": ({"a": 5}, ("a", 4, False)),
    "rows_lost": ({"a": 5, "b": 5}, ("a", 5, False)),
    "rows_twice": ({"a": 10}, ("a", 5, False), ("a", 5, False)),
    "guessed": ({"a": 5}, ("a", 4, True)),
}


@pytest.mark.parametrize("figure", LIES)
async def test_an_audit_can_fail(tmp_path, figure):
    bill, *outcomes = LIES[figure]
    result = await audited(tmp_path, bill, *outcomes)
    wrong = {name for name in (*LIES, "stuck", "booked_beside") if result[name]}
    assert figure in wrong
    assert wrong <= {figure, "money_error"}


async def test_money_for_what_nobody_charged_is_an_error(tmp_path):
    assert (await audited(tmp_path, {}, ("a", 5, False)))["money_error"] == 5


@pytest.mark.parametrize(
    ("data", "stream", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", False, "answered"),
        (b"HTTP/1.1 200 OK\r\n\r\nd\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", True, "answered"),
        (b"HTTP/1.1 200 OK\r\n\r\nd\r\ndata: x", True, "an answer that is not whole"),
        (b"", True, "closed unanswered"),
        (b"HTTP/1.1 503 No\r\n\r\n{}", False, "HTTP/1.1 503 No\r\n\r\n{}"),
    ],
)
def test_a_client_that_stays_is_strict(data, stream, said):
    assert leaving.whole(data, stream) == said

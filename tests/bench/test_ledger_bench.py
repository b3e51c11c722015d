"""The bench of the ledger at a small size."""

from __future__ import annotations

import json

from bench import ledger
from tests.bench.line import arguments


def test_rows_survive_kill_9_and_a_restart_takes_under_a_second_row_46(capsys):
    assert ledger.run(arguments(ledger, "--rows", "2000", "--kills", "10", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rows_lost"], result["rows_twice"], result["groups_damaged"]) == (0, 0, 0)
    assert result["acknowledged"] > 10
    assert result["rows_per_second"] > 0

"""A disk that fails under a gateway that serves: nothing is answered that is not recorded (rows 46 and 47)."""

from __future__ import annotations

import pytest

from policies.record import Record
from tests.gateway.processes import Gateway, running, until

BREAKER = """
[experts.breaker]
use = "tests.gateway.disk_breaker:DiskBreaker"
calls = {calls}
error = "{error}"
[state]
durability = "{durability}"
"""
FAULTS = {
    "fsync fails": ('["fsync", "fdatasync"]', "EIO", "full"),
    "the disk is full": ('["pwrite64", "pwritev", "pwritev2"]', "ENOSPC", "normal"),
    "the file system has become read-only": ('["pwrite64", "pwritev", "pwritev2"]', "EROFS", "normal"),
    "writes fail": ('["pwrite64", "pwritev", "pwritev2"]', "EIO", "full"),
}


def asked(gateway: Gateway, model: str, prompt: str, stream: bool, answered: set[str]) -> str:
    """`answered`, or the error's code."""
    with gateway.client() as client:
        response = gateway.ask(client, model, prompt, stream=stream)
    if response.status_code != 200:
        return str(response.json()["error"]["code"])
    if stream and not response.text.endswith("data: [DONE]\n\n"):
        return "broken off"
    answered.add(response.headers["x-lyceum-decision"])
    return "answered"


@pytest.mark.parametrize("fault", FAULTS)
def test_no_answer_is_given_that_is_not_recorded(tmp_path, fault):
    calls, error, durability = FAULTS[fault]
    answered: set[str] = set()
    with running(tmp_path, BREAKER.format(calls=calls, error=error, durability=durability), workers=0) as gateway:
        before = [asked(gateway, "one", f"hi {n}", n % 2 == 0, answered) for n in range(4)]
        broke = asked(gateway, "breaker", "break", False, answered)
        after = {asked(gateway, "one", f"later {n}", n % 2 == 0, answered) for n in range(6)}
        assert gateway.process.poll() is None

    assert before == ["answered"] * 4
    assert broke == "ledger_unavailable"
    assert after == {"ledger_unavailable"}
    assert "ledger.sqlite cannot be written" in gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()
    with running(tmp_path, workers=0) as again:
        assert asked(again, "one", "once more", True, answered) == "answered"
        until(lambda: answered <= recorded(again))


def recorded(gateway: Gateway) -> set[str]:
    """The requests with a decision and an outcome."""
    record = Record(gateway.folder / "state" / "ledger.sqlite")
    return {row["id"] for row in record.rows("decisions")} & {row["decision"] for row in record.rows("outcomes")}

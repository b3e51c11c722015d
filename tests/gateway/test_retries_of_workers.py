"""A client's own retry that comes to another worker than its failed try, or after that has gone. Row 41."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.retries import NAME
from policies.record import Record
from tests.gateway.processes import Gateway, running, until

SHOP = """
[experts.shop]
use = "tests.gateway.disk_breaker:DiskBreaker"
calls = ["pwrite64", "pwritev", "pwritev2"]
error = "ENOSPC"
bill = "{bill}"
price = {{ prompt = 1.0, completion = 2.0 }}
"""
HI: Any = [{"role": "user", "content": "break"}]


def stopped(gateway: Gateway, worker: int) -> None:
    os.kill(worker, signal.SIGSTOP)


def killed(gateway: Gateway, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)
    until(lambda: len({*gateway.workers()} - {worker}) == 2)


def replaced(gateway: Gateway, worker: int) -> None:
    gateway.reload()


def sold(bill: Path) -> list[int]:
    """The processes that have asked the expert."""
    return [int(line) for line in bill.read_text().split()]


def client(gateway: Gateway, told: Callable[[], None], retries: int) -> openai.OpenAI:
    """OpenAI's own library, on a new connection for each try; `told` is called when it has heard a 503."""

    def heard(response: Any) -> None:
        response.read()
        if response.status_code == 503:
            told()

    http = openai.DefaultHttpxClient(event_hooks={"response": [heard]}, headers={"connection": "close"})
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=retries, http_client=http)


@pytest.mark.parametrize("happens", [stopped, killed, replaced])
def test_what_was_bought_is_delivered_by_another_worker_and_billed_once_row_41(tmp_path, happens):
    bill = tmp_path / "bill"
    with running(tmp_path, SHOP.format(bill=bill)) as gateway:
        workers = gateway.workers()
        with client(gateway, lambda: happens(gateway, sold(bill)[0]), retries=3) as made:
            try:
                answer = made.chat.completions.with_raw_response.create(model="shop", messages=HI)
            finally:
                if happens is stopped:
                    os.kill(sold(bill)[0], signal.SIGCONT)
        record = Record(tmp_path / "state" / "ledger.sqlite")
        rows = until(lambda: list(record.rows("outcomes")))
        decisions = list(record.rows("decisions"))

    assert answer.parse().choices[0].message.content == "done"
    assert answer.retries_taken == 1
    assert len(sold(bill)) == 1
    assert sold(bill)[0] in workers
    assert [row["expert"] for row in rows] == ["shop"]
    assert float(answer.headers["x-lyceum-cost"]) * 1e9 == pytest.approx(rows[0]["cost"])
    assert rows[0]["cost"] > 0
    assert [(row["policy"], row["id"]) for row in decisions] == [(NAME, rows[0]["decision"])]


def test_a_first_try_at_another_worker_buys_its_own_and_the_retry_gets_what_was_bought_first_row_41(tmp_path):
    bill = tmp_path / "bill"
    with running(tmp_path, SHOP.format(bill=bill)) as gateway:
        with client(gateway, lambda: killed(gateway, sold(bill)[-1]), retries=0) as never:
            for _ in range(2):
                with pytest.raises(openai.InternalServerError, match="cannot be written"):
                    never.chat.completions.create(model="shop", messages=HI)
            assert len(sold(bill)) == 2, "a first try says the same and is another request"
            for _ in range(2):
                retry = {"x-stainless-retry-count": "1"}
                answer = never.chat.completions.create(model="shop", messages=HI, extra_headers=retry)
                assert answer.choices[0].message.content == "done"
        assert len(sold(bill)) == 2

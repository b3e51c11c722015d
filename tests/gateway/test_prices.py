"""A call is settled at the prices of its decision, and what they and the policies were is told long after."""

import json
import signal
import sqlite3
import threading
from contextlib import closing

import pyarrow.parquet as pq

from experts.card import Price, Usage
from gateway import config
from gateway.__main__ import main
from tests.gateway.processes import Gateway, running, until

PRICED = """
[experts.priced]
use = "tests.gateway.gated:Gated"
answer = "a b c d e f g h"
gate = "gate"
price = { prompt = 1.0, completion = 2.0 }
[budgets.all]
usd = 1000.0
period = "total"
"""
OLD, NEW = Price(1.0, 2.0), Price(10.0, 20.0, cpu_hour=0.5)


def streamed(gateway: Gateway, begun: threading.Event, names: list[str]) -> None:
    body = {"model": "priced", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with gateway.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        for _ in answer.iter_lines():
            begun.set()
        names.append(answer.headers["x-lyceum-decision"])


def story(client, name):
    def whole():
        told = client.get(f"/v1/decisions/{name}").json()
        return told if told["settlements"] and told["outcomes"] else None

    return until(whole)


def asked(gateway, version):
    """The story of a plain request, if it was answered at these prices."""
    with gateway.client() as client:
        told = story(client, gateway.ask(client, "priced").headers["x-lyceum-decision"])
    return told if told["outcomes"][0]["price"] == version else None


def test_a_price_that_changes_mid_flight_holds_from_the_next_decision_on_and_both_are_told_row_51(tmp_path):
    names: list[str] = []
    with running(tmp_path, PRICED) as gateway:
        begun = threading.Event()
        stream = threading.Thread(target=streamed, args=(gateway, begun, names))
        stream.start()
        assert begun.wait(30), gateway.log.read_text()
        prices = "prompt = 10.0, completion = 20.0, cpu_hour = 0.5"
        gateway.file.write_text(gateway.text.replace("prompt = 1.0, completion = 2.0", prices))
        gateway.process.send_signal(signal.SIGHUP)
        after = until(lambda: asked(gateway, NEW.version))
        assert names == [], "the stream goes on over the reload"
        (tmp_path / "gate").touch()
        stream.join()
        with gateway.client() as client:
            before = story(client, names[0])

    for told, price in ((before, OLD), (after, NEW)):
        [outcome], [settlement], [known] = told["outcomes"], told["settlements"], told["prices"]
        usage = Usage(outcome["prompt_tokens"], outcome["completion_tokens"])
        assert outcome["price"] == settlement["price"] == known["version"] == price.version
        assert outcome["cost"] == settlement["booked"] == price.tokens(usage) > 0
        assert known["usd"] == json.loads(price.told)


def test_old_prices_are_told_by_why_and_export_when_the_configuration_has_others(tmp_path, monkeypatch, capsys):
    with running(tmp_path, PRICED, workers=0) as gateway, gateway.client() as client:
        name = gateway.ask(client, "priced").headers["x-lyceum-decision"]
        until(lambda: gateway.rows() == (1, 1))
    gateway.file.write_text(gateway.text.replace("prompt = 1.0", "prompt = 7.0"))
    monkeypatch.chdir(tmp_path)

    assert main(["why", name]) == 0
    said = capsys.readouterr().out
    assert f"prices {OLD.version} of priced: prompt $1, completion $2 for a million tokens" in said
    assert main(["why", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prices"][0]["usd"]["prompt"] == 1.0
    assert main(["export", "--out", "out"]) == 0
    rows = {row["version"]: row for row in pq.read_table(tmp_path / "out" / "prices.parquet").to_pylist()}
    assert (rows[OLD.version]["prompt"], rows[OLD.version]["image"]) == (1.0, None)
    outcome = pq.read_table(tmp_path / "out" / "outcomes.parquet").to_pylist()[0]
    assert outcome["price"] == OLD.version


def test_a_decision_names_the_policies_as_they_were_by_a_hash_that_check_tells(tmp_path, monkeypatch, capsys):
    with running(tmp_path, PRICED, workers=0) as gateway, gateway.client() as client:
        name = gateway.ask(client, "priced").headers["x-lyceum-decision"]
        until(lambda: gateway.rows() == (1, 1))
    monkeypatch.chdir(tmp_path)

    def said(*words):
        assert main([*words]) == 0
        return capsys.readouterr().out

    hashed = config.read(gateway.file).policy_hash
    assert f"hash {hashed}: all is well" in said("check", "--config", str(gateway.file))
    gateway.file.write_text(gateway.text.replace("usd_per_quality = 0.01", "usd_per_quality = 0.02"))
    assert f"hash {hashed}" not in said("check", "--config", str(gateway.file))
    assert f"policies' hash {hashed}" in said("why", name)
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT policy_hash FROM decisions").fetchall() == [(hashed,)]

"""One run for each Idempotency-Key (row 40)."""

import asyncio
import sys

import httpx2
import pytest

from experts.base import Unavailable
from gateway.http import HTTPCall, send_json
from gateway.idempotency import Idempotency
from gateway.replays import Name, Replays
from gateway.responses_handlers import Nobody
from policies.batches import StoreUnavailable
from tests.gateway.conftest import KEY, OTHER, make_door, scripted, serving

HI = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}

CLAIMANT = """
import asyncio, os, pathlib, sys
from gateway.replays import Name, Replays
from gateway.responses_handlers import Nobody

async def main():
    await Replays(pathlib.Path(sys.argv[1])).claim(Name("me", "a", b"1"))
    os._exit(9)

asyncio.run(main())
"""


@pytest.fixture
async def once(tmp_path):
    """A gateway that keeps answers; its expert takes its time."""
    door = make_door(tmp_path, [scripted("first", "one two three", seconds=0.05)])
    door.once = Idempotency(Replays(tmp_path / "replays.sqlite"))
    async with serving(door) as served:
        yield served


async def ask(served, name="a", key=KEY, **body):
    headers = {"idempotency-key": name}
    return await served.http(key).post("/v1/chat/completions", json=HI | body, headers=headers, timeout=60)


def runs(served):
    return len(served.ledger("outcomes"))


@pytest.mark.parametrize("body", [{}, {"stream": True}])
async def test_asking_again_brings_the_same_bytes_and_asks_nobody(once, body):
    first = await ask(once, **body)
    again = await ask(once, **body)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-lyceum-decision"] == first.headers["x-lyceum-decision"]
    assert "idempotent-replayed" not in first.headers
    assert runs(once) == 1


async def test_of_a_hundred_at_once_one_runs_and_the_others_are_told_to_wait(once):
    answers = await asyncio.gather(*(ask(once) for _ in range(100)))
    late = [answer for answer in answers if answer.status_code == 409]
    assert len(answers) - len(late) == 1
    assert {answer.json()["error"]["code"] for answer in late} == {"idempotency_key_in_use"}
    assert {(answer.headers["retry-after"], answer.headers["x-should-retry"]) for answer in late} == {("1", "true")}
    assert runs(once) == 1


async def test_another_body_under_the_same_key_is_refused(once):
    await ask(once)
    other = await ask(once, temperature=0)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reuse")
    assert runs(once) == 1


async def test_names_of_different_clients_are_different(once):
    await ask(once)
    other = await ask(once, key=OTHER)
    assert other.status_code == 200
    assert "idempotent-replayed" not in other.headers
    assert runs(once) == 2


async def test_the_answer_of_a_client_that_left_is_finished_and_kept(once):
    with pytest.raises(httpx2.ReadTimeout):
        await once.http().post(
            "/v1/chat/completions", json=HI, headers={"idempotency-key": "a"}, timeout=httpx2.Timeout(30, read=0.02)
        )
    while (again := await ask(once)).status_code == 409:
        await asyncio.sleep(0.01)
    assert again.json()["choices"][0]["message"]["content"] == "one two three"
    assert runs(once) == 1


async def test_a_client_that_leaves_while_its_name_is_taken_leaves_no_name_that_nobody_runs(tmp_path):
    once = Idempotency(Replays(tmp_path / "replays.sqlite"))
    call = HTTPCall("POST", "/v1/x", {b"idempotency-key": b"b"}, b"{}", "id")
    ran = []

    async def handler(call, reply):
        ran.append(call)
        await send_json(reply, {})

    leaving = asyncio.create_task(once.run(handler, call, Nobody(), "me"))
    await asyncio.sleep(0)  # the name is on its way to the file
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await once.drained()
    await once.run(handler, call, Nobody(), "me")
    await once.close()
    assert len(ran) == 1


async def test_a_refused_request_may_be_mended_under_the_same_name(once):
    refused = await ask(once, temperature=9)
    assert refused.status_code == 400
    assert (await ask(once)).status_code == 200


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_a_name_has_1_to_255_characters(once, name):
    refused = await ask(once, name)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_failure_that_an_expert_was_asked_for_is_replayed(tmp_path):
    door = make_door(tmp_path, [scripted("first", fail=Unavailable("down"))])
    door.once = Idempotency(Replays(tmp_path / "replays.sqlite"))
    async with serving(door) as served:
        first, again = [await ask(served) for _ in range(2)]
        assert (first.status_code, again.status_code) == (503, 503)
        assert first.content == again.content
        assert runs(served) == 1


async def test_a_run_that_a_crash_cut_off_is_not_run_again(tmp_path):
    path = str(tmp_path / "replays.sqlite")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CLAIMANT, path)
    assert await process.wait() == 9
    replays = Replays(tmp_path / "replays.sqlite")
    with pytest.raises(Exception, match="cut off by a crash"):
        await replays.claim(Name("me", "a", b"1"))
    assert await replays.claim(Name("me", "b", b"1")) is None
    await replays.close()


async def test_what_is_kept_is_forgotten_after_its_hours(tmp_path):
    now = [0.0]
    replays = Replays(tmp_path / "replays.sqlite", hours=1, clock=lambda: now[0])
    assert await replays.claim(Name("me", "a", b"1")) is None
    now[0] = 3601.0
    assert await replays.claim(Name("me", "a", b"2")) is None
    await replays.close()


class Shaky(Replays):
    """Cannot be written where a test says so."""

    claims = saves = True

    async def claim(self, name):
        if not self.claims:
            raise StoreUnavailable("the disk is full")
        return await super().claim(name)

    async def save(self, name, answer):
        if not self.saves:
            raise StoreUnavailable("the disk is full")
        await super().save(name, answer)


async def test_where_names_cannot_be_kept_nobody_is_asked_and_the_client_may_try_again(tmp_path, once):
    once.door.once.replays = shaky = Shaky(tmp_path / "shaky.sqlite")
    shaky.claims = False
    refused = await ask(once)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "idempotency_store_unavailable")
    assert refused.headers["x-should-retry"] == "true"
    assert runs(once) == 0
    shaky.claims = True
    assert (await ask(once)).status_code == 200


@pytest.mark.parametrize("body", [{}, {"stream": True}])
async def test_an_answer_that_cannot_be_kept_is_given_all_the_same_and_not_bought_twice(tmp_path, once, body):
    once.door.once.replays = shaky = Shaky(tmp_path / "shaky.sqlite")
    shaky.saves = False
    first, again = await ask(once, **body), await ask(once, **body)
    assert first.status_code == 200
    assert "three" in first.text
    assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert runs(once) == 1

"""The embedded expert, with the real 0.5B model in a real llama.cpp server."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from experts.base import BrokenOff, Chunk, ExpertError, Rejected, Request, SetupError, Unavailable
from experts.child import Address
from experts.llamacpp import LlamaCppExpert
from tests.models import FOLDER, SMALL, SMALL_CARD


def ask(prompt: str, **options: object) -> Request:
    return Request(({"role": "user", "content": prompt},), {"max_tokens": 16, "temperature": 0, **options})


async def answer(expert: LlamaCppExpert, request: Request) -> list[Chunk]:
    return [chunk async for chunk in expert.stream(request)]


@pytest.fixture
async def mortal(small_weights: Path) -> AsyncIterator[LlamaCppExpert]:
    """An expert with a server of its own, to be killed."""
    expert = LlamaCppExpert("mortal", SMALL_CARD, weights=str(small_weights))
    await expert.start()
    yield expert
    await expert.stop()


@pytest.fixture
async def narrow(small_server: Address) -> AsyncIterator[LlamaCppExpert]:
    """The session's server behind one place and a queue of one."""
    expert = LlamaCppExpert("narrow", SMALL_CARD, weights=SMALL, parallel=1, queue=1)
    await expert.attend(small_server)
    yield expert
    await expert.stop()


@contextmanager
def hanging(expert: LlamaCppExpert) -> Iterator[None]:
    """The server stands still inside."""
    os.kill(pid(expert), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid(expert), signal.SIGCONT)


def pid(expert: LlamaCppExpert) -> int:
    assert expert.address is not None
    return expert.address.pid


async def test_a_plain_answer_has_text_usage_and_a_cost(small_model: LlamaCppExpert) -> None:
    (chunk,) = await answer(small_model, ask("What is the capital of France? One word."))
    assert "Paris" in chunk.delta["content"]
    assert chunk.finish_reason == "stop"
    assert chunk.usage is not None
    assert chunk.usage.completion_tokens
    assert chunk.cost is not None
    assert chunk.cost > 0
    assert chunk.data is not None
    assert str(FOLDER).encode() not in chunk.data


async def test_a_streamed_answer_comes_in_pieces_and_ends_with_its_cost(small_model: LlamaCppExpert) -> None:
    chunks = await answer(small_model, ask("Count from 1 to 5, digits only.", stream=True))
    assert "1" in "".join(chunk.delta.get("content") or "" for chunk in chunks)
    assert len(chunks) > 5
    costs = [chunk.cost for chunk in chunks if chunk.cost is not None]
    assert len(costs) == len(chunks)
    assert 0 < costs[-1] == max(costs)
    assert chunks[-1].usage is not None


async def test_a_json_schema_is_enforced(small_model: LlamaCppExpert) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}}
    (chunk,) = await answer(small_model, ask("How warm is it in Paris?", max_tokens=32, response_format=form))
    assert set(json.loads(chunk.delta["content"])) == {"city", "unit"}


async def test_the_server_answers_nobody_without_its_key(small_model: LlamaCppExpert) -> None:
    assert small_model.address is not None
    await small_model.attend(replace(small_model.address, key="wrong"))
    with pytest.raises(ExpertError):
        await answer(small_model, ask("Hello"))


async def test_a_server_killed_in_mid_answer_breaks_off_and_comes_back(mortal: LlamaCppExpert) -> None:
    """Rows 7 and 8: cut in mid-stream, dead, then back."""
    first, seen = pid(mortal), list[Chunk]()

    async def read_and_kill() -> None:
        async for chunk in mortal.stream(ask("Tell a story.", max_tokens=400, stream=True)):
            seen.append(chunk)
            if len(seen) == 5:
                os.kill(first, signal.SIGKILL)

    with pytest.raises(BrokenOff) as caught:
        await read_and_kill()
    assert caught.value.about["cost"] > 0
    assert not any(chunk.finish_reason for chunk in seen)
    while mortal.ready:
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="not running"):
        await answer(mortal, ask("Hello"))
    while not mortal.ready:
        await asyncio.sleep(0.05)
    assert pid(mortal) != first
    (chunk,) = await answer(mortal, ask("Hello", max_tokens=2))
    assert chunk.cost


async def test_a_hanging_server_is_ended_by_the_deadline(narrow: LlamaCppExpert) -> None:
    """Row 5: silence."""
    with hanging(narrow), pytest.raises(Unavailable) as caught:
        await answer(narrow, structs.replace(ask("Hello"), deadline=time.monotonic() + 0.3))
    assert caught.value.about["cost"] is not None
    assert await answer(narrow, ask("Hello", max_tokens=2))


async def test_more_than_the_queue_holds_is_refused_at_once(narrow: LlamaCppExpert) -> None:
    with hanging(narrow):
        tasks = [asyncio.create_task(answer(narrow, ask("Hello", max_tokens=2))) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(Unavailable, match="overloaded") as caught:
                await answer(narrow, ask("Hello"))
            assert caught.value.about == {"status": 503, "code": "upstream_overloaded", "retry_after": 1, "cost": 0}
    assert all(await asyncio.gather(*tasks))


async def test_a_request_waits_in_the_queue_no_longer_than_its_deadline(narrow: LlamaCppExpert) -> None:
    with hanging(narrow):
        first = asyncio.create_task(answer(narrow, ask("Hello", max_tokens=2)))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="busy until the deadline"):
            await answer(narrow, structs.replace(ask("Hello"), deadline=time.monotonic() + 0.2))
    assert await first


async def test_a_client_that_leaves_frees_its_place_and_knows_what_it_used(narrow: LlamaCppExpert) -> None:
    chunks = narrow.stream(ask("Tell a story.", max_tokens=400, stream=True))
    spent = [(await anext(chunks)).cost for _ in range(3)]
    assert spent[-1]
    await chunks.aclose()
    (chunk,) = await answer(narrow, ask("Hello", max_tokens=2))
    assert chunk.finish_reason


async def test_a_prompt_longer_than_the_context_is_rejected(small_model: LlamaCppExpert) -> None:
    """Row 13: no other try on the same model."""
    with pytest.raises(Rejected) as caught:
        await answer(small_model, ask("word " * 3000))
    assert caught.value.about["status"] == 400
    assert str(FOLDER) not in str(caught.value)


async def test_a_model_without_tool_calls_still_answers(small_model: LlamaCppExpert) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    (chunk,) = await answer(small_model, ask("Add 2 and 3.", tools=[tool]))
    assert chunk.finish_reason


async def test_starting_and_stopping_twice_does_nothing_more(mortal: LlamaCppExpert) -> None:
    first = pid(mortal)
    await mortal.start()
    assert pid(mortal) == first
    await mortal.stop()
    await mortal.stop()
    assert not mortal.ready
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_weights_that_are_no_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="neither a file nor one of") as caught:
        await LlamaCppExpert("x", SMALL_CARD, weights="qwen-9000").start()
    assert SMALL in str(caught.value)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing more")
    with pytest.raises(SetupError, match="x: the local server did not start: ") as caught:
        await LlamaCppExpert("x", SMALL_CARD, weights=str(broken)).start()
    assert "\n" not in str(caught.value)


PARENT = """
import asyncio, sys
from experts.card import Card
from experts.llamacpp import LlamaCppExpert

async def main():
    expert = LlamaCppExpert("x", Card(context=512), weights=sys.argv[1])
    await expert.start()
    print(expert.address.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_the_server_dies_with_a_parent_that_was_killed(small_weights: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(small_weights)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([child], [], [], 60)[0], "readable when the process has ended"
    os.close(child)


async def test_the_real_server_goes_on_with_what_was_said_without_repeating_it(narrow):
    """Row 8."""
    request = ask("Count from 1 to 9, separated by commas.", stream=True, max_tokens=12)
    rest = narrow.continuation(request, "1, 2, 3, 4,")
    said = "".join(chunk.delta.get("content") or "" for chunk in await answer(narrow, rest))

    assert said.lstrip().startswith("5")

"""A Python function as an expert: what it takes, what it returns, whose fault it is when it fails."""

import asyncio
import time

import pytest

from experts.base import Declined, Rejected, Request, SetupError, Unavailable
from experts.card import Card, Price, Usage
from experts.function import FunctionExpert, Reply

CARD = Card("a function", price=Price(cpu_hour=3600.0))  # a dollar a CPU second


def shout(prompt: str) -> str:
    return prompt.upper()


async def whisper(prompt: str) -> str:
    await asyncio.sleep(0)
    return prompt.lower()


def count(request: Request) -> str:
    return str(len(request.messages))


def paid(prompt: str) -> Reply:
    return Reply("said", cost=7, cpu_seconds=2.0, usage=Usage(1, 2))


def unpaid(prompt: str) -> Reply:
    return Reply("said", cost=None)


def declines(prompt: str) -> str:
    raise Declined("not my field")


def breaks(prompt: str) -> str:
    raise KeyError("the secret key")


def returns_a_number(prompt: str):
    return 42


def burns(prompt: str) -> str:
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    return "done"


async def burns_and_waits(prompt: str) -> str:
    burns(prompt)
    await asyncio.sleep(0.2)
    burns(prompt)
    return "done"


async def sleeps(prompt: str) -> str:
    await asyncio.sleep(60)
    return "late"


def expert(function, **keys):
    return FunctionExpert("fun", CARD, function=f"{__name__}:{function.__name__}", **keys)


async def chunks(one, prompt="Hello", **fields):
    request = Request(({"role": "user", "content": prompt},), **fields)
    return [chunk async for chunk in one.stream(request)]


@pytest.mark.parametrize(("function", "said"), [(shout, "HELLO"), (whisper, "hello"), (count, "1"), (paid, "said")])
async def test_a_function_answers_in_one_chunk(function, said):
    (chunk,) = await chunks(expert(function), options={"stream": True})
    assert chunk.delta == {"role": "assistant", "content": said}
    assert chunk.finish_reason == "stop"
    assert chunk.data is None


async def test_a_function_costs_its_cpu_seconds_and_what_it_asked_of_others():
    (chunk,) = await chunks(expert(paid))
    assert chunk.cost >= 2_000_000_007
    assert chunk.usage == Usage(1, 2)


async def test_an_unknown_cost_of_others_stays_unknown():
    (chunk,) = await chunks(expert(unpaid))
    assert chunk.cost is None
    assert chunk.usage is None


async def test_cpu_seconds_are_counted_in_threads_and_between_waits():
    (sync,) = await chunks(expert(burns))
    (waiting,) = await chunks(expert(burns_and_waits))
    assert 0.04e9 < sync.cost < 1e9
    assert 0.08e9 < waiting.cost < 1e9


async def test_a_function_declines_by_its_own_error():
    with pytest.raises(Declined, match="not my field"):
        await chunks(expert(declines))


@pytest.mark.parametrize(("function", "error"), [(breaks, "KeyError"), (returns_a_number, "TypeError")])
async def test_a_broken_function_is_unavailable_and_its_message_stays_inside(function, error):
    with pytest.raises(Unavailable) as caught:
        await chunks(expert(function))
    assert str(caught.value) == f"the function failed: {error}"
    assert caught.value.about["cost"] >= 0
    assert not isinstance(caught.value, Rejected)


async def test_a_slow_function_is_unavailable():
    with pytest.raises(Unavailable, match="too long"):
        await chunks(expert(sleeps, seconds=0.05))
    with pytest.raises(Unavailable, match="too long"):
        await chunks(expert(sleeps), deadline=time.monotonic() + 0.05)


async def test_a_cancelled_answer_cancels_the_function():
    waiting = asyncio.create_task(chunks(expert(sleeps)))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_function_that_cannot_be_imported_is_the_operators_to_mend():
    one = FunctionExpert("fun", CARD, function="experts.nowhere:function")
    with pytest.raises(SetupError, match=r"experts\.fun\.function: cannot import"):
        await one.start()
    await one.stop()

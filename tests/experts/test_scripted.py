"""The test double keeps its script: text, records, functions, faults."""

from typing import Any

import pytest

from experts.base import BrokenOff, Chunk, Declined, Rejected, Request, SetupError, Unavailable
from experts.build import build
from experts.card import Card, Price, Usage
from experts.scripted import Scripted, faulty, recorded


def ask(text: str = "hello there", **options: Any) -> Request:
    return Request(({"role": "user", "content": text},), options)


async def chunks(expert: Scripted, request: Request) -> list[Chunk]:
    return [chunk async for chunk in expert.stream(request)]


async def test_a_plain_request_gets_one_whole_chunk_with_usage_and_cost():
    (chunk,) = await chunks(Scripted("a", Card(price=Price(1.0, 2.0)), answer="four little words here"), ask())
    assert chunk.delta == {"role": "assistant", "content": "four little words here"}
    assert (chunk.finish_reason, chunk.usage) == ("stop", Usage(2, 4))
    assert chunk.cost == 10_000


async def test_a_stream_comes_word_by_word_and_says_the_same():
    text = "  two  words\nand\tmore \n"
    got = await chunks(Scripted("a", answer=text, cost=7), ask(stream=True))
    assert "".join(chunk.delta.get("content", "") for chunk in got) == text
    assert got[0].delta["role"] == "assistant"
    assert len(got) == 7
    assert (got[-1].finish_reason, got[-1].cost, got[-1].usage) == ("stop", 7, Usage(2, 4))
    assert all(chunk.finish_reason is None and chunk.usage is None for chunk in got[:-1])


async def test_recorded_answers_are_looked_up_by_the_prompt_and_others_are_declined():
    expert = Scripted("a", answer={"2+2": "4"})
    assert (await chunks(expert, ask("2+2")))[0].delta["content"] == "4"
    with pytest.raises(Declined):
        await chunks(expert, ask("3+3"))


async def test_a_function_may_answer_with_a_whole_message_or_an_error():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    (chunk,) = await chunks(Scripted("a", answer=lambda request: message), ask())
    assert chunk.delta == message
    assert chunk.finish_reason == "tool_calls"

    def refuse(request):
        raise Rejected("too long", status=400)

    with pytest.raises(Rejected):
        await chunks(Scripted("a", answer=refuse), ask())


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_fault_comes_after_as_many_chunks_as_it_says(after):
    seen = []
    expert = Scripted("a", answer="a b c d", fail=BrokenOff("cut", after=after))

    async def collect() -> None:
        async for chunk in expert.stream(ask(stream=True)):
            seen.append(chunk)

    with pytest.raises(BrokenOff):
        await collect()
    assert len(seen) == after


async def test_a_fault_without_a_place_comes_before_the_first_chunk():
    with pytest.raises(Unavailable, match="down"):
        await chunks(Scripted("a", fail=Unavailable("down", retry_after=3)), ask())


async def test_it_is_built_from_a_table(tmp_path):
    (tmp_path / "answers.jsonl").write_text(
        '{"prompt": "2+2", "answer": "4"}\n\n{"prompt": "x\u2028", "answer": "y"}\n'
    )
    table = {"use": "experts.scripted:recorded", "file": str(tmp_path / "answers.jsonl"), "cost": 5}
    assert (await chunks(build(table, "experts.a", {"name": "a"}), ask("2+2")))[0].cost == 5
    plain = build({"use": "experts.scripted:Scripted", "answer": "hi", "seconds": 0.0}, "experts.b", {"name": "b"})
    assert (await chunks(plain, ask()))[0].delta["content"] == "hi"
    with pytest.raises(Unavailable):
        await chunks(build({"use": "experts.scripted:faulty"}, "experts.c", {"name": "c"}), ask())


def test_a_bad_file_of_answers_is_a_clear_error(tmp_path):
    with pytest.raises(SetupError, match=r"experts\.a\.file: cannot read none\.jsonl"):
        recorded("a", file=str(tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_text('{"prompt": 1}\n')
    with pytest.raises(SetupError, match=r"each line of bad\.jsonl"):
        recorded("a", file=str(tmp_path / "bad.jsonl"))
    assert faulty("a").name == "a"

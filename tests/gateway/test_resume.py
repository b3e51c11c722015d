"""A streamed answer that breaks off is said to its end by others, without loss or repetition, or ends with an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experts.base import BrokenOff, Rejected, Unavailable
from experts.continuation import Joint
from experts.openai_http import OpenAIHTTP
from policies.budget import Budget
from policies.cascade import Cascade
from policies.pick import Utility
from tests.experts import raw
from tests.gateway.conftest import CARD, make_door, scripted, serving
from tests.gateway.test_hot import DONE, ONE, ROLE, cut, event, events_of, stream

WHOLE = "one two three four five six"


def text_of(events: list[str]) -> str:
    choices = [choice for each in events if each != "[DONE]" for choice in json.loads(each).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def reasons_of(events: list[str]) -> list[str]:
    choices = [choice for each in events if each != "[DONE]" for choice in json.loads(each).get("choices", [])]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def broken(after: int = 3, answer: Any = WHOLE) -> Any:
    return scripted("broken", answer, fail=BrokenOff("cut", after=after))


async def told(tmp_path: Any, experts: list[Any], policy: Any = None, **body: Any) -> tuple[list[str], Any]:
    """The events of a stream, and the ledger's outcomes."""
    async with serving(make_door(tmp_path, experts, policy)) as served:
        response = await served.ask(stream=True, **body)
        return events_of(response), served.ledger("outcomes")


async def test_an_expert_that_can_says_the_rest_and_the_answer_says_so_row_8(tmp_path):
    events, outcomes = await told(tmp_path, [broken(), scripted("other", WHOLE, continues=True)])

    assert text_of(events) == WHOLE
    assert (events[-1], reasons_of(events)) == ("[DONE]", ["stop"])
    marks = [json.loads(each)["lyceum"] for each in events[:-1] if "lyceum" in each]
    assert marks == [{"continued_by": "other"}]
    assert len({json.loads(each)["id"] for each in events[:-1]}) == 1
    assert [(row["expert"], row["kind"], row["reason"], row["step"]) for row in outcomes] == [
        ("broken", "failure", "broken_off", 0),
        ("other", "answer", None, 1),
    ]
    assert all(row["cost"] > 0 for row in outcomes)
    assert outcomes[0]["estimated"]


async def test_the_usage_event_counts_the_whole_answer_and_tells_what_both_cost(tmp_path):
    experts = [broken(), scripted("other", WHOLE, continues=True)]
    events, outcomes = await told(tmp_path, experts, stream_options={"include_usage": True})

    usage = json.loads(events[-2])
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] + usage["usage"]["completion_tokens"] == usage["usage"]["total_tokens"]
    assert usage["lyceum"]["cost"] == sum(row["cost"] for row in outcomes) / 1e9


async def test_a_stream_tells_its_cost_in_the_usage_event(served):
    response = await served.ask(stream=True, stream_options={"include_usage": True})
    quiet = await served.ask(stream=True)

    assert json.loads(events_of(response)[-2])["lyceum"] == {"cost": served.ledger("outcomes")[0]["cost"] / 1e9}
    assert "lyceum" not in quiet.text


async def test_a_second_break_is_continued_as_well(tmp_path):
    second = scripted("second", WHOLE, continues=True, fail=BrokenOff("cut", after=2))
    events, outcomes = await told(tmp_path, [broken(), second, scripted("third", WHOLE, continues=True)])

    assert text_of(events) == WHOLE
    assert [row["expert"] for row in outcomes] == ["broken", "second", "third"]


@pytest.mark.parametrize("fault", [Unavailable("down"), Rejected("no prefill", status=400)], ids=["down", "rejects"])
async def test_one_that_cannot_after_all_gives_way_to_the_next(tmp_path, fault):
    bad = scripted("bad", WHOLE, continues=True, fail=fault)
    events, _ = await told(tmp_path, [broken(), bad, scripted("good", WHOLE, continues=True)])

    assert text_of(events) == WHOLE
    assert events[-1] == "[DONE]"


async def test_where_answers_repeat_another_expert_says_it_all_again(tmp_path):
    """S14 of row 1: the fallback takes no beginning, so it starts anew, and what the client has is taken off."""
    events, outcomes = await told(tmp_path, [broken(), scripted("other", WHOLE)], temperature=0)

    assert text_of(events) == WHOLE
    assert [row["kind"] for row in outcomes] == ["failure", "answer"]


async def test_one_that_refuses_a_beginning_may_still_say_it_all_again(tmp_path):
    """S14 of row 1, with one fallback that claims too much."""

    def answer(request: Any) -> str:
        if request.messages[-1]["role"] == "assistant":
            raise Rejected("prefill is not supported", status=400)
        return WHOLE

    events, outcomes = await told(tmp_path, [broken(), scripted("other", answer, continues=True)], seed=7)

    assert text_of(events) == WHOLE
    assert [(row["expert"], row["reason"]) for row in outcomes] == [
        ("broken", "broken_off"),
        ("other", "rejected"),
        ("other", None),
    ]


@pytest.mark.parametrize("other", ["one more, in other words", "one"], ids=["other words", "less"])
async def test_other_words_are_never_joined_to_what_was_said(tmp_path, other):
    events, outcomes = await told(tmp_path, [broken(), scripted("other", other)], temperature=0)

    assert WHOLE.startswith(text_of(events[:-1]))
    assert json.loads(events[-1])["error"]["code"] == "upstream_error"
    assert outcomes[1]["reason"] == "broken_off"


UNSAFE = {
    "several choices": {"n": 2},
    "logprobs": {"logprobs": True},
    "a schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
}


@pytest.mark.parametrize("body", UNSAFE.values(), ids=UNSAFE)
async def test_what_is_more_than_one_text_ends_with_an_error(tmp_path, body):
    events, outcomes = await told(tmp_path, [broken(), scripted("other", WHOLE, continues=True)], **body)

    assert "[DONE]" not in events
    assert "error" in json.loads(events[-1])
    assert len(outcomes) == 1


async def test_a_tool_call_half_said_is_not_continued(tmp_path):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    handler = cut(ROLE, event({"tool_calls": [call]}))
    async with raw.serving(handler) as server:
        experts = [OpenAIHTTP("e0", CARD, url=f"{server.url}/v1"), scripted("other", WHOLE, continues=True)]
        events, outcomes = await told(tmp_path, experts)

    assert "error" in json.loads(events[-1])
    assert [row["expert"] for row in outcomes] == ["e0"]


async def test_the_operator_can_turn_it_off(tmp_path):
    door = make_door(tmp_path, [broken(), scripted("other", WHOLE, continues=True)])
    door.school.continues = False
    async with serving(door) as served:
        events = events_of(await served.ask(stream=True))

    assert "error" in json.loads(events[-1])


async def test_a_budget_holds_for_the_rest_too(tmp_path):
    """Row 42."""
    policy = Budget(Utility(1.0), usd_per_request=0.000_002)
    events, outcomes = await told(tmp_path, [broken(), scripted("other", WHOLE, continues=True)], policy)

    assert "error" in json.loads(events[-1])
    assert len(outcomes) == 1


async def test_an_expert_asked_for_by_name_is_not_replaced(tmp_path):
    experts = [broken(), scripted("other", WHOLE, continues=True)]
    events, _ = await told(tmp_path, experts, model="broken", temperature=0)

    assert "error" in json.loads(events[-1])


async def test_an_answer_that_a_cascade_looked_at_first_is_not_taken_for_the_rest(tmp_path):
    experts = [scripted("dear", WHOLE, fail=BrokenOff("cut", after=3)), scripted("cheap", "poor")]
    events, _ = await told(tmp_path, experts, Cascade(threshold=1.0, longest=2))

    assert events[-1] == "[DONE]" or "error" in json.loads(events[-1])


@pytest.mark.parametrize("manner", ["prefill", "sglang", "vllm"])
async def test_a_server_goes_on_in_its_own_manner_and_bytes_that_came_before_stay_as_they_were(tmp_path, manner):
    asked: list[Any] = []

    async def rest(talk: raw.Talk) -> None:
        _, body = await talk.request()
        asked.append(json.loads(body))
        pieces = [event({"role": "assistant", "content": " t"}), event({"content": "wo"}), event({}, "stop"), DONE]
        await talk.say(*stream(*pieces))

    async with raw.serving(cut(ROLE, ONE)) as first, raw.serving(rest) as second:
        experts = [
            OpenAIHTTP("e0", CARD, url=f"{first.url}/v1"),
            OpenAIHTTP("e1", CARD, url=f"{second.url}/v1", continues=manner),
        ]
        events, outcomes = await told(tmp_path, experts, max_tokens=10)

    assert text_of(events) == "one two"
    assert asked[0]["messages"][-1] == {"role": "assistant", "content": "one"}
    assert asked[0].get("continue_final_message", False) is (manner != "prefill")
    assert asked[0]["max_tokens"] < 10
    assert {json.loads(each)["id"] for each in events[:-1]} == {"up-1"}
    assert [row["kind"] for row in outcomes] == ["failure", "answer"]


async def test_sdk_reads_a_continued_stream_as_one_answer(tmp_path):
    async with serving(make_door(tmp_path, [broken(), scripted("other", WHOLE, continues=True)])) as served:
        messages: Any = [{"role": "user", "content": "count"}]
        client = served.openai().chat.completions
        async with client.stream(model="auto", messages=messages, stream_options={"include_usage": True}) as events:
            final = await events.get_final_completion()

    assert final.choices[0].message.content == WHOLE
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None
    assert final.usage.completion_tokens > 0


words = st.text(alphabet="ab \n\u2028é😀", max_size=12)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=words, rest=words, data=st.data())
def test_a_joint_loses_and_repeats_nothing(said, rest, data):
    """What is known comes again, wholly or from the white space at its end on, in any pieces."""
    whole = data.draw(st.booleans())
    known = said if whole else said[len(said.rstrip()) :]
    joint, text, new = Joint(known, whole), known + rest, ""
    while text:
        size = data.draw(st.integers(1, len(text)))
        new, text = new + joint.take(text[:size]), text[size:]
    joint.end()
    assert said + new == said + rest


@pytest.mark.parametrize("after", range(1, 9))
async def test_wherever_it_breaks_nothing_is_lost_or_repeated(tmp_path, after):
    answer = "one  two\nthree \n four  "
    events, _ = await told(tmp_path, [broken(after, answer), scripted("other", answer, continues=True)], temperature=0)

    assert text_of(events) == answer
    assert events[-1] == "[DONE]"

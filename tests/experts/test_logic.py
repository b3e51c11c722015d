"""Logic and claims on whole numbers: real Z3 in a real sandbox, English read by rule, a helper's formulas checked."""

import json
from typing import Any

import pytest
import pytest_asyncio

from experts.base import Declined, Request
from experts.card import Card, Price
from experts.logic import LogicExpert
from experts.scripted import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")
CARD = Card("Z3", domain="logic", price=Price(cpu_hour=0.05))

ANSWERS = {
    "If it rains then the ground is wet. It rains. Is the ground wet?": "yes",
    "If it rains, the ground is wet. The ground is wet. Does it follow that it is raining?": "no",
    "If A then B. If B then C. A. Does C follow?": "yes",
    "If A then B. Not B. Does not A follow?": "yes",
    "If U then P. If P then T. T does not hold. Must U fail to hold? Answer yes or no.": "yes",
    "Either the butler or the cook did it. The butler did not do it. Can we conclude that the cook did it?": "yes",
    "Unless the alarm is set, the house is unsafe. The alarm is not set. Is the house unsafe?": "yes",
    "The light is on only if the switch is up. The light is on. Is the switch up?": "yes",
    "Is the formula (p -> q) and p -> q a tautology?": "yes",
    "Is p and not p satisfiable?": "no",
    "All cats are animals. All animals are mortal. Are all cats mortal?": "yes",
    "All roses are flowers. Some flowers fade quickly. Does it follow that some roses fade quickly?": "no",
    "No reptiles are mammals. All snakes are reptiles. Can we conclude that no snakes are mammals?": "yes",
    "All men are mortal. Socrates is a man. Is Socrates mortal?": "yes",
    "No fish can fly. Nemo is a fish. Can Nemo fly?": "no",
    "Every square is a rectangle. Does it follow that every rectangle is a square?": "no",
    "Premises: All dogs bark. Rex is a dog. Conclusion: Rex barks. Is the argument valid?": "yes",
    "Is it true that for all integers n, n^2 + n is even?": "yes",
    "Is it true that for every integer n, n^2 + 1 is divisible by 2?": "no",
    "For every integer n, is n^3 - n divisible by 6?": "yes",
    "Does 7 divide n^7 - n for every integer n?": "yes",
    "Is n^2 - n + 41 prime for every positive integer n?": "no",
    "Prove or disprove: the square of any integer n leaves remainder 0 or 1 when divided by 4.": "yes",
    "True or false: for all integers a and b, if a*b is even then a is even or b is even.": "yes",
    "For all positive integers n, is 2^n greater than n?": "unknown",
    "Is the sum of two odd numbers always even?": "yes",
    "Is there an integer x such that x^2 = 2?": "no",
    "Are there positive integers x and y such that x^2 + y^2 = 25?": "yes",
    "Do there exist integers a and b with 6a + 9b = 5?": "no",
    "Is it possible for an integer n to be both even and odd?": "no",
    "If n is odd, must n^2 be odd?": "yes",
    "If n is even, does it follow that n is divisible by 4?": "no",
    "Given that x > 5 and y > x, is y > 4?": "yes",
    "What is the smallest positive integer divisible by 7 that leaves remainder 1 when divided by 5?": "21",
    "A two-digit number has digit sum 7. Its tens digit minus its ones digit is -5. Which number is it?": "16",
    "A farm has hens and rabbits, 12 heads and 34 legs in all. How many rabbits are there?": "5",
    "In how many ways can exactly 25 cents be paid with 7-cent and 4-cent coins only?": "1",
    "Ann is taller than Bob. Bob is taller than Carl. Is Ann taller than Carl?": "yes",
    "Tom is older than Jim. Jim is older than Sue. Who is the youngest?": "Sue",
    "Tom is older than Jim. Jim is older than Sue. Who is the second oldest?": "Jim",
    "Alice, Bob and Carol ran a race. Alice finished before Bob. Carol finished last. Who finished first?": "Alice",
    "Ann, Ben and Cleo each have one pet: a cat, a dog and a fish. Ann does not have the dog. Ben has the fish. "
    "Who has the dog?": "Cleo",
    "Knights always tell the truth and knaves always lie. A says: B is a knave. B says: We are both knights. "
    "Is A a knight?": "yes",
}
OTHER_FIELDS = (
    *("Hello!", "", "Who wrote Hamlet?", "Is the Nile longer than the Amazon?", "Tell me a story about knights."),
    *("Write a function that says whether all numbers are even.", "If you had a dog, what would you call it?"),
    *("What is the capital of France?", "Is it true that cats are mammals?", "All the best! Who are you?"),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def logic():
    expert = LogicExpert("z3", CARD)
    yield expert
    await expert.stop()


async def answer(expert, prompt, **options):
    request = Request(({"role": "user", "content": prompt},), options)
    (chunk,) = [chunk async for chunk in expert.stream(request)]
    return chunk


def last_line(chunk):
    return chunk.delta["content"].splitlines()[-1]


@pytest.mark.parametrize("prompt", ANSWERS)
async def test_questions_in_varied_english_are_decided(logic, prompt):
    assert last_line(await answer(logic, prompt)) == f"Answer: {ANSWERS[prompt]}"


@pytest.mark.parametrize("prompt", OTHER_FIELDS)
async def test_what_is_not_its_field_is_declined(logic, prompt):
    with pytest.raises(Declined):
        await answer(logic, prompt)


async def test_a_proof_shows_the_formal_claim_and_what_its_letters_mean(logic):
    chunk = await answer(logic, "If it rains then the ground is wet. It rains. Is the ground wet?")
    said = chunk.delta["content"].splitlines()
    assert said[0].startswith("A: ")
    assert "rains" in said[0]
    assert said[2:] == ["Claim: A -> B, A |- B", "Proved", "Answer: yes"]
    assert chunk.cost > 0


async def test_a_refutation_shows_a_counter_example_that_refutes(logic):
    chunk = await answer(logic, "Is n^2 + n + 41 prime for every positive integer n?")
    assert "Refuted by a counter-example: n = 40" in chunk.delta["content"]


async def test_contradicting_names_of_one_thing_single_nobody_out(logic):
    with pytest.raises(Declined, match="single one out"):
        await answer(logic, "Tom is older than Jim. Tom is older than Sue. Who is the youngest?")


async def test_what_takes_too_long_is_unknown():
    expert = LogicExpert("z3", CARD, seconds=1)
    try:
        prompt = "Is it true that for all positive integers x and y and z, x^3 + y^3 != z^3?"
        assert last_line(await answer(expert, prompt)) == "Answer: unknown"
    finally:
        await expert.stop()


async def test_json_answers_and_several_at_once_are_declined(logic):
    several: tuple[dict[str, Any], ...] = ({"response_format": {"type": "json_object"}}, {"n": 2}, {"tools": [{}]})
    for options in several:
        with pytest.raises(Declined):
            await answer(logic, "If A then B. A. Does B follow?", **options)


WORDY = "Whenever the bell rings the dog barks, or else it hides. It rang, and there was no barking. Must it hide?"
FORMULA = {"task": "entails", "premises": ["rings -> barks or hide", "rings", "not barks"], "claim": "hide"}


async def helped(written, prompt=WORDY):
    text = written if isinstance(written, str) else json.dumps(written)
    expert = LogicExpert("z3", CARD, helper=Scripted("helper", answer=text, cost=1000))
    try:
        return await answer(expert, prompt)
    finally:
        await expert.stop()


async def test_a_helper_writes_the_formula_that_no_rule_reads_and_its_cost_counts():
    chunk = await helped(FORMULA)
    assert chunk.delta["content"] == "Claim: rings -> barks or hide, rings, not barks |- hide\nProved\nAnswer: yes"
    assert chunk.cost > 1000


@pytest.mark.parametrize(
    "written",
    [
        "no JSON at all",
        {},
        {"task": "none", "premises": [], "claim": ""},
        {**FORMULA, "claim": "rings"},  # a premise for a claim
        {**FORMULA, "claim": "howls"},  # a word that nobody said
        {**FORMULA, "premises": ["rings -> hide", "count > 17"]},  # a number that nobody said
        {**FORMULA, "premises": ["__import__('os')"]},
        {**FORMULA, "premises": ["rings + 1"]},
        {"task": "satisfiable", "premises": [], "claim": ""},
    ],
)
async def test_a_helper_that_writes_nonsense_is_not_believed_but_paid(written):
    with pytest.raises(Declined) as caught:
        await helped(written)
    assert caught.value.about["cost"] >= 1000


async def test_questions_of_other_fields_are_declined_without_asking_the_helper():
    def never(request):
        raise AssertionError("the helper was asked")

    expert = LogicExpert("z3", CARD, helper=Scripted("helper", answer=never))
    try:
        for prompt in ("Hello!", "Write a poem about all integers.", "Is the Nile longer than the Amazon?"):
            with pytest.raises(Declined):
                await answer(expert, prompt)
    finally:
        await expert.stop()

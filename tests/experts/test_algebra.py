"""Arithmetic and algebra: real SymPy in a real sandbox, English read by rule, a helper's formulas checked."""

import json
from typing import Any

import pytest
import pytest_asyncio

from experts.algebra import AlgebraExpert
from experts.base import Declined, Request, Unavailable
from experts.card import Card, Price
from experts.scripted import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")
CARD = Card("SymPy", domain="algebra", price=Price(cpu_hour=0.05))

ANSWERS = {
    "What is 17 * 23?": "391",
    "Compute 48 + 379. Give only the number.": "427",
    "What is seventeen times twenty-three?": "391",
    "Please calculate (12 + 8) / 4 - 3.": "2",
    "Compute 7 × 8 − 6 ÷ 2": "53",
    "What is 1,234 + 4,321?": "5555",
    "What is $\\frac{3}{4} + \\frac{1}{8}$?": "0.875",
    "What is 1/2 + 1/3?": "5/6",
    "What is 10 / 3 rounded to two decimal places?": "3.33",
    "What is 15% of 80?": "12",
    "20 is what percent of 80?": "25",
    "What is 20% off 150?": "120",
    "Increase 80 by 15%": "92",
    "What is three quarters of 120?": "90",
    "Subtract 17 from 50": "33",
    "What is 7 less than 20?": "13",
    "What is the sum of 12, 15 and 30?": "57",
    "What is the difference between 100 and 37?": "63",
    "What is the average of 4, 8 and 15?": "9",
    "What is the greatest common divisor of 48 and 36?": "12",
    "Find the least common multiple of 4, 6 and 10": "60",
    "What is the remainder when 2^10 is divided by 7?": "2",
    "What is 3^200 mod 13?": "9",
    "What is 5!?": "120",
    "What is the square root of 144?": "12",
    "What is log base 2 of 32?": "5",
    "What is two thousand five hundred plus one hundred and five?": "2605",
    "How many ways can you choose 3 items from 10?": "120",
    "What is the sum of the first 100 positive integers?": "5050",
    "How many minutes pass from 9:05 to 11:10?": "125",
    "convert 45 to binary": "101101",
    "Is 97 a prime number?": "yes",
    "Is 3/4 greater than 2/3?": "yes",
    "What is the prime factorization of 360?": "2^3 * 3^2 * 5",
    "A coat costs $250. It is reduced by 25%, and then 5% sales tax is added. How much is paid in the end?": "196.875",
    "Ana buys 9 candles at 7 dollars each and pays with 200 dollars. How much change does she get?": "137",
    "A train runs at 80 km/h for 45 minutes and then another 37 km. What distance does it cover?": "97",
    "One pump empties a tank in 6 hours, another needs 12 hours. How many hours do both together need?": "4",
    "A rectangle has length 8 and width 5. What is its area?": "40",
    "Solve x^2 - 5x + 6 = 0 for x.": "2, 3",
    "Solve for x: 3x + 7 = 22": "5",
    "Solve |x - 3| = 5": "-2, 8",
    "Solve x = x + 1": "no solution",
    "If 3x + 5 = 20, what is 2x - 1?": "9",
    "If x + y = 12 and x - y = 4, what is the value of xy?": "32",
    "Solve the system: x + y = 10, x - y = 2.": "x = 6, y = 4",
    "Solve 2x + 3 < 7": "x < 2",
    "Three times a number minus 4 equals 11. What is the number?": "5",
    "I think of a number, double it, add 5 and get 17. What is my number?": "6",
    "The sum of two numbers is 20 and their difference is 4. Find the numbers.": "12, 8",
    "Let f(x) = x^2 + 1. What is f(3)?": "10",
    "Evaluate 2x + 1 when x = 3.": "7",
    "Find the derivative of x^3 + 2x with respect to x.": "3*x**2 + 2",
    "Find the second derivative of x^4.": "12*x**2",
    "What is the slope of the curve y = x^2 at x = 3?": "6",
    "What is the integral of 2x dx?": "x**2 + C",
    "Integrate x^2 from 0 to 3.": "9",
    "What is the limit of sin(x)/x as x approaches 0?": "1",
    "Simplify 2x + 3x - x": "4*x",
    "Factor x^2 - 9": "(x - 3)*(x + 3)",
    "Expand (x+1)^2": "x**2 + 2*x + 1",
}
OTHER_FIELDS = (
    *("Hello!", "", "Write a poem about spring.", "What is the capital of France?", "Who are you?"),
    *("Write a Python function that adds 2 and 3", "In which year did World War 2 end?", "Tell me about the 3 kings."),
    *("Extract the price from: apples cost 3 dollars", "Is 2 a good grade?", "What is x?", "Solve my problem = life"),
    "A phone costs 300 dollars after a discount of 25%. What was the original price?",
    "A rectangle has area 40 and length 8. What is its width?",
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def algebra():
    expert = AlgebraExpert("sympy", CARD)
    yield expert
    await expert.stop()


def asked(prompt, **options):
    return Request(({"role": "user", "content": prompt},), options)


async def answer(expert, prompt, **options):
    (chunk,) = [chunk async for chunk in expert.stream(asked(prompt, **options))]
    return chunk


def last_line(chunk):
    return chunk.delta["content"].splitlines()[-1]


@pytest.mark.parametrize("prompt", ANSWERS)
async def test_questions_in_varied_english_are_answered_exactly(algebra, prompt):
    assert last_line(await answer(algebra, prompt)) == f"Answer: {ANSWERS[prompt]}"


@pytest.mark.parametrize("prompt", OTHER_FIELDS)
async def test_what_is_not_its_field_is_declined(algebra, prompt):
    with pytest.raises(Declined):
        await answer(algebra, prompt)


async def test_the_formal_claim_is_shown_and_its_cpu_seconds_are_the_cost(algebra):
    chunk = await answer(algebra, "Solve x^2 - 5x + 6 = 0", stream=True)
    assert chunk.delta["content"] == "Computed: solve(x**2 - 5 * x + 6 = 0; x) = {2, 3}\nAnswer: 2, 3"
    assert chunk.cost > 0
    assert chunk.finish_reason == "stop"


@pytest.mark.parametrize("prompt", ["What is 2^(10^9)?", "What is 99999999!?", "What is 1/0?", "What is 9^9^9^9?"])
async def test_what_has_no_sensible_value_is_declined_at_once(algebra, prompt):
    with pytest.raises(Declined):
        await answer(algebra, prompt)


async def test_a_computation_without_end_is_unavailable():
    expert = AlgebraExpert("sympy", CARD, seconds=0.5)
    try:
        with pytest.raises(Unavailable, match="timeout") as caught:
            await answer(expert, "Integrate sin(x)^10 * exp(x) * log(x)")
        assert caught.value.about["cost"] > 0
    finally:
        await expert.stop()


async def test_json_answers_and_several_at_once_are_declined(algebra):
    several: tuple[dict[str, Any], ...] = ({"response_format": {"type": "json_object"}}, {"n": 2}, {"tools": [{}]})
    for options in several:
        with pytest.raises(Declined):
            await answer(algebra, "What is 2 + 2?", **options)


WORDY = "Tom has 3 boxes with 12 pencils each and gives 7 pencils away. How many are left?"


async def helped(written, prompt=WORDY, **keys):
    text = written if isinstance(written, str) else json.dumps(written)
    expert = AlgebraExpert("sympy", CARD, helper=Scripted("helper", answer=text, cost=1000, **keys))
    try:
        return await answer(expert, prompt)
    finally:
        await expert.stop()


async def test_a_helper_writes_the_formula_of_a_word_problem_and_its_cost_counts():
    chunk = await helped({"task": "evaluate", "expressions": ["3*12 - 7"], "unknowns": []})
    assert chunk.delta["content"] == "Computed: 3 * 12 - 7 = 29\nAnswer: 29"
    assert chunk.cost > 1000


async def test_a_helper_may_write_a_system_and_name_what_is_asked_for():
    written = {"task": "solve", "expressions": ["a = b + 4", "a + b = 30"], "unknowns": ["b"]}
    prompt = "Anna is 4 years older than Ben. Together they are 30. How old is Ben?"
    assert last_line(await helped(written, prompt)) == "Answer: 13"


@pytest.mark.parametrize(
    "written",
    [
        "no JSON at all",
        "[1, 2]",
        {},
        {"task": "none", "expressions": [], "unknowns": []},
        {"task": "evaluate", "expressions": [], "unknowns": []},
        {"task": "evaluate", "expressions": ["3*12 - 8"], "unknowns": []},  # 8 is its own invention
        {"task": "evaluate", "expressions": ["3*12"], "unknowns": []},  # what became of 7?
        {"task": "evaluate", "expressions": ["7 - 3*12"], "unknowns": []},  # fewer than none are left
        {"task": "evaluate", "expressions": ["3*12 - 7*x"], "unknowns": []},
        {"task": "evaluate", "expressions": ["__import__('os')"], "unknowns": []},
        {"task": "evaluate", "expressions": ["3 // 12"], "unknowns": []},
        {"task": "solve", "expressions": ["3 = 12"], "unknowns": []},
        {"task": 3, "expressions": "x", "unknowns": None},
    ],
)
async def test_a_helper_that_writes_nonsense_is_not_believed_but_paid(written):
    with pytest.raises(Declined) as caught:
        await helped(written)
    assert caught.value.about["cost"] >= 1000


async def test_a_helper_that_fails_fails_the_answer():
    with pytest.raises(Unavailable):
        await helped("", fail=Unavailable("down"))


async def test_prose_is_declined_without_asking_the_helper():
    def never(request):
        raise AssertionError("the helper was asked")

    expert = AlgebraExpert("sympy", CARD, helper=Scripted("helper", answer=never))
    try:
        for prompt in OTHER_FIELDS[:7]:
            with pytest.raises(Declined):
                await answer(expert, prompt)
    finally:
        await expert.stop()


async def test_a_real_small_model_writes_the_formula(small_model):
    expert = AlgebraExpert("sympy", CARD, helper=small_model)
    try:
        chunk = await answer(expert, "A box holds 12 eggs. How many eggs are in 7 boxes?")
    finally:
        await expert.stop()
    assert last_line(chunk) == "Answer: 84"
    assert chunk.cost > 0

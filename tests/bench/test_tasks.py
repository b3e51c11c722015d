"""Tasks: the same for a seed, split by template, and scored by what the answer says, not how it is dressed."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from bench.tasks import FAMILIES, tasks
from bench.tasks.base import split
from bench.tasks.checks import exactly, fields, label, letter, name, number, number_set, sequence, values, yes
from bench.tasks.formulas import antiderivative, evaluate, expanded, factored, formula

ALL = tasks()


def test_a_seed_gives_the_same_tasks_and_another_seed_gives_others():
    again = {task.prompt for task in tasks()}
    assert again == {task.prompt for task in ALL}
    assert again != {task.prompt for task in tasks(1)}


def test_every_family_has_sixty_different_prompts_from_at_least_ten_templates():
    assert Counter(task.family for task in ALL) == dict.fromkeys(FAMILIES, 60)
    assert len({task.prompt for task in ALL}) == len(ALL) == len({task.id for task in ALL})
    for family in FAMILIES:
        assert len({task.group for task in ALL if task.family == family}) >= 10


def test_every_family_is_split_half_for_train_and_a_third_for_test():
    shares = Counter((task.family, task.split) for task in ALL)
    for family in FAMILIES:
        assert [shares[family, part] for part in ("train", "validation", "test")] == [30, 9, 21]


def test_a_group_is_never_in_two_splits():
    places = {(task.group, task.split) for task in ALL}
    assert len(places) == len({group for group, _ in places})


def test_a_split_depends_on_names_alone_not_on_their_order():
    groups = [f"family.{n}" for n in range(20)]
    assert split(groups) == split(groups[::-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_no_task_credits_silence_or_a_refusal(family):
    silent = ("", "I am sorry, I cannot help with that request.", "```\n```", "{}", "Hm.")
    assert [task.id for task in ALL if task.family == family for answer in silent if task.score(answer)] == []


@pytest.mark.parametrize(
    "answer",
    [
        "42", "42.", "**42**", "The answer is **42**.", "Answer: 42", "**Answer:** 42", "\\boxed{42}", "$42$", "42.0",
        "= 42",
        "First 40 + 1 = 41, then 41 + 1 = 42", "Step 1: take 7.\nStep 2: 6 * 7 = 42", "42\n\nThat is 6 times 7.",
        "x = 42", "The answer is:\n\n42", "\\[ x = 42 \\]", "There are 42 apples.", "Answer: 84/2", "Answer: $42",
        "The final answer is \\( \\boxed{42} \\) since 41 < 42.",
    ],
)  # fmt: skip
def test_a_right_number_counts_in_any_dress(answer):
    assert number(42)(answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    ["41", "-42", "420", "4.2", "42.5", "Answer: 41, not 42, no: 41", "The answer is 43.\n", "42 is wrong, it is 43",
     "42/5",
     "I would say 42 or 43", "1/42", "x42"],
)  # fmt: skip
def test_a_wrong_number_does_not_count(answer):
    assert number(42)(answer) == 0.0


def test_code_in_an_answer_is_not_its_statement():
    answer = (
        "Use Python:\n```python\nresult = 84 / 2\nprint(result)\n```\nIt prints:\n```\n42.0\n```\nSo 84 by 2 equals 42."
    )
    assert number(42)(answer) == 1.0
    assert number(2)(answer) == 0.0
    assert number(42)("```\n42\n```") == 1.0


@pytest.mark.parametrize(
    ("goal", "answer"),
    [
        (Fraction(-17, 9), "\\frac{-17}{9}"), (Fraction(-17, 9), "-\\frac{17}{9}"), (Fraction(-17, 9), "t = -17/9"),
        (1234567, "1,234,567"), (Fraction(11, 3), "The sum is $\\frac{11}{3}$."), (Fraction(1, 2), "0.5"),
        (-3, "x = −3"),
        (Fraction(175, 2), "87.50"), (10, "Answer: 10 cents, that is 0 dollars"), (105, "Answer: 105 km"), (35, "35%"),
        (7, "x_1 = 7"),
    ],
)  # fmt: skip
def test_fractions_signs_units_and_thousands_are_read(goal, answer):
    assert number(goal)(answer) == 1.0


def test_a_tolerance_takes_rounded_cents_only():
    check = number(Fraction("100.8"), 0.006)
    assert [check(answer) for answer in ("100.80", "$100.81", "101")] == [1.0, 0.0, 0.0]


def test_sets_of_numbers_must_be_complete_and_may_come_in_any_order():
    check = number_set([2, -5])
    right = ("Answer: -5, 2", "x = 2 or x = -5", "$x_1 = 2$ and $x_2 = -5$", "The solutions are 2 and -5.")
    wrong = ("Answer: 2", "Answer: 2, 5", "Answer: 2, -5, 7", "x = -2, x = 5")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_a_sequence_keeps_its_order():
    check = sequence([3, 7, 9])
    assert [check(answer) for answer in ("Answer: 3, 7, 9", "3,7,9", "Answer: 7, 3, 9", "3, 7")] == [1, 1, 0, 0]


def test_values_are_read_by_their_variable():
    check = values({"x": 3, "y": -2})
    right = ("x = 3, y = -2", "**x = 3** and **y = -2**", "So x=5-2.\nThus $y = -2$, $x = 3$", "x: 3\ny: -2")
    wrong = ("x = -2, y = 3", "x = 3", "(3, -2)", "x = 3, y = -2/3", "x = 3y, y = -2")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_yes_and_no_are_read_from_the_verdict_not_from_the_reasons():
    right = ("Yes", "yes.", "**Yes**, because no other case exists.", "Answer: yes", "True", "Proved: it always holds",
             "No counter-example exists.\nAnswer: Yes", "Yes\n\nThere is no n for which it fails.")  # fmt: skip
    wrong = ("No", "No, yes would need more.", "It is not true.", "Answer: no", "Maybe", "Refuted: n = 2", "yes and no")
    assert [yes(True)(answer) for answer in right] == [1.0] * len(right)
    assert [yes(True)(answer) for answer in wrong] == [0.0] * len(wrong)
    assert yes(False)("The claim is not true.") == 1.0
    assert yes(False)("There is no example within the limits.\nAnswer: unknown") == 0.0


def test_a_label_counts_only_if_no_other_one_is_chosen():
    check = label("spam", ["spam", "normal"])
    right = ("spam", "Spam.", "This message is **spam**.", "Answer: spam", "spam, since it is not a normal text")
    wrong = ("normal", "spam or normal", "It could be spam or normal.", "Answer: normal, not spam? normal")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_a_label_inside_another_one_is_not_confused_with_it():
    check = label("informal", ["formal", "informal"])
    assert (check("informal"), check("formal"), check("The tone is informal.")) == (1.0, 0.0, 1.0)


def test_a_letter_or_its_text_answers_a_choice():
    check = letter("C", ["six", "three", "ten", "twenty"])
    right = ("C", "C) ten", "(C)", "**C**", "The answer is C.", "Answer: C) ten", "ten", "C.", "Correct answer: C")
    wrong = ("A", "A) six", "Cats", "six", "B, not C", "The answer is A", "A student may borrow six")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_a_name_counts_if_it_comes_before_its_rivals():
    check = name(["Márquez", "Marquez"], ["Austen", "Orwell"])
    right = ("Gabriel García Márquez", "It was written by Gabriel Garcia Marquez.", "Márquez, not Orwell")
    wrong = ("George Orwell", "Orwell, not Márquez", "Marquezian", "I do not know")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_a_text_counts_quoted_fenced_or_after_an_introduction():
    check = exactly("She walked home.")
    right = ("She walked home.", '"She walked home."', "```\nShe walked home.\n```", "Here it is:\n\nShe walked home.",
             "Simple past: She walked home.", "She  walked home.\n", "**She walked home.**",
             'The sentence in the past is "She walked home."')  # fmt: skip
    wrong = (
        "She walks home.",
        "she walked home.",
        "She walked home",
        "She walked home. And slept.",
        "She walked\nhome.",
    )
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


def test_a_comma_before_and_is_a_matter_of_taste():
    assert exactly("We ran, sat and ate.")("We ran, sat, and ate.") == 1.0


def test_json_is_scored_field_by_field_and_extra_fields_count_against_it():
    check = fields({"name": "Noor Berg", "age": 33, "pets": False, "number": None, "people": ["A", "B"]})
    whole = '{"name": "noor berg", "age": 33.0, "pets": false, "number": null, "people": ["A", "B"]}'
    assert check(f"Here you go:\n```json\n{whole}\n```") == 1.0
    assert check(whole.replace("33.0", '"33"').replace("false", "0")) == pytest.approx(3 / 5)
    assert check(whole.replace("{", '{"extra": 1, ')) == pytest.approx(5 / 6)
    assert check('{"name": "Noor Berg", "age": 33') == 0.0
    assert check("[]") == 0.0


@pytest.mark.parametrize(
    "answer",
    ["2x^2 + 9x + 4", "$2x^2 + 9x + 4$", "\\(2x^{2} + 9x + 4\\)", "(x + 4)(2x + 1) = 2x^2 + 9x + 4", "2*x**2 + 9*x + 4",
     "The result is:\n\\[2x^2 + 9x + 4\\]", "2x² + 9x + 4", "**2x^2 + 9x + 4**", "```\n2x^2 + 9x + 4\n```",
     "Answer: 4+9x+2x^2."],
)  # fmt: skip
def test_a_formula_counts_by_its_value(answer):
    assert formula("2x^2 + 9x + 4", shape=expanded)(answer) == 1.0


@pytest.mark.parametrize(
    "answer", ["2x^2 + 8x + 4", "(x + 4)(2x + 1)", "9x", "x", "two x squared", "2x^2 + 9y + 4", ""]
)
def test_a_wrong_or_unchanged_formula_does_not_count(answer):
    assert formula("2x^2 + 9x + 4", shape=expanded)(answer) == 0.0


def test_a_factored_form_must_be_a_product():
    check = formula("x^2 - 9x + 14", shape=factored)
    assert [check(answer) for answer in ("(x - 2)(x - 7)", "(x-7)*(x-2)", "\\((x - 2)(x - 7)\\)")] == [1.0] * 3
    assert [check(answer) for answer in ("x^2 - 9x + 14", "(x^2 - 9x + 14)", "x(x - 9) + 14", "(x - 1)(x - 14)")] == [
        0.0
    ] * 4
    assert formula("x^2 + 6x + 9", shape=factored)("(x + 3)^2") == 1.0


def test_an_antiderivative_may_have_any_constant():
    check = antiderivative("6x + 2", "3x^2 + 2x")
    right = ("3x^2 + 2x + C", "$3x^2 + 2x$", "F(x) = 3x^2 + 2x + 5", "\\int (6x+2)\\,dx = 3x^2 + 2x + C")
    wrong = ("6x + 2", "3x^2 + 2", "3x^2 + x + C", "6")
    assert [check(answer) for answer in right] == [1.0] * len(right)
    assert [check(answer) for answer in wrong] == [0.0] * len(wrong)


@pytest.mark.parametrize(
    ("one", "two"),
    [("sin(2x)", "2sin(x)cos(x)"), ("\\frac{x}{3} + 1", "x/3 + 1"), ("e^{2x}", "exp(2*x)"), ("x^-1", "1/x"),
     ("-x^2", "-(x*x)"),
     ("ln x", "log(x)"), ("\\sqrt{x}", "x^(1/2)"), ("3\\cdot x", "x*3"), ("sin^2(x)", "1 - cos(x)^2"),
     ("2x(x+1)", "2x^2+2x")],
)  # fmt: skip
def test_ways_to_write_the_same_formula_agree(one, two):
    assert evaluate(one, "x") == pytest.approx(evaluate(two, "x"))


@pytest.mark.parametrize(
    "text", ["__import__('os')", "x.y", "9**9**9**9", "x;x", "f(x)", "((x)", "x)", "", "lambda", "[x]"]
)
def test_what_is_no_formula_is_refused_or_not_a_number(text):
    assert formula("x")(text) == 0.0

"""Laws of the grammar and of what reads English into it: no text does harm, and values are exact."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experts import algebra, algebra_engine, algebra_reader, logic, logic_values, logic_work
from experts.formula import MAX_CHARACTERS, FormulaError, names, numbers, operators, parse

ALGEBRA = (
    "what is the sum of and x y 3 4.5 17 = + - * / ^ ( ) ! % solve for derivative integral from to 2x two hundred "
    "half percent remainder when divided by number a less than squared , . ? factor limit as approaches is if"
)
LOGIC = (
    "If if then All Some No every is not are A B cats Rex Ann Ben taller than older finished before first last . ? , "
    "and or who Is integer integers n x for all such that even odd divisible by 3 does it follow says knave knight "
    "Therefore remainder smallest red blue one own car only unless either"
)


def texts(words):
    return st.one_of(st.text(max_size=200), st.lists(st.sampled_from(words.split()), max_size=25).map(" ".join))


@given(texts(ALGEBRA))
def test_no_text_breaks_the_reader_of_algebra(text):
    algebra.in_field(text)
    task = algebra_reader.read(text)
    assert task is None or json.loads(json.dumps(task)) == task


@given(texts(LOGIC))
def test_no_text_breaks_the_reader_of_logic(text):
    logic.in_field(text)
    task = logic_work.read(text)
    assert task is None or json.loads(json.dumps(task)) == task


@given(texts(ALGEBRA + " -> <-> not & | ~ mod"), st.booleans())
def test_no_text_breaks_the_grammar(text, logical):
    try:
        tree = parse(text, logic=logical)
    except FormulaError:
        return
    assert json.loads(json.dumps(tree)) == tree
    assert all(isinstance(name, str) for name in [*names(tree), *numbers(tree), *operators(tree)])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "__import__('os').system('true')",
            "x.y",
            "x[0]",
            "lambda: 0",
            "'a'",
            "f'{x}'",
            "x := 2",
            "2 3",
            "",
            "(",
            "2 +",
        ),
        *("1" * 61, "x" + "+x" * MAX_CHARACTERS, "(" * 50 + "1" + ")" * 50, "the cat sat", "sum_of 3", "gcd(1)"),
    ],
)
def test_what_the_grammar_does_not_have_is_an_error(text):
    with pytest.raises(FormulaError):
        parse(text)


def nested(parts):
    return f"({' '.join(parts)})"


def sums(terms):
    return st.tuples(terms, st.sampled_from("+-*"), terms).map(nested)


@settings(deadline=None)  # the first example imports SymPy
@given(st.recursive(st.integers(0, 99).map(str), sums, max_leaves=8))
def test_arithmetic_agrees_with_python(text):
    tree = parse(text)
    assert algebra_engine.compute({"task": "evaluate", "trees": [tree]})["answer"] == str(eval(text))
    assert logic_values.value(tree, {}) == eval(text)


def claims(terms):
    return st.one_of(
        terms.map(lambda a: f"(not {a})"), st.tuples(terms, st.sampled_from(["and", "or"]), terms).map(nested)
    )


@settings(deadline=None)  # the first example imports SymPy
@given(st.recursive(st.sampled_from("ab"), claims, max_leaves=8), st.booleans(), st.booleans())
def test_truth_agrees_with_python(text, a, b):
    assert logic_values.value(parse(text, logic=True), {"a": a, "b": b}) == eval(text)

"""The functions that the code tasks ask for: what each does, our solution, and the arguments it is tried with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from bench.tasks.solutions import (
    balanced,
    caesar,
    choose,
    collatz,
    depth,
    edit_distance,
    fibonacci,
    flat,
    longest_run,
    merge,
    prime,
    rising,
    roman,
    ways_to_pay,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spec:
    """One function. `says` ends the sentence "Write a function that ..."."""

    signature: str
    says: str
    solution: Callable[..., Any]
    cases: tuple[tuple[Any, ...], ...]


WORDS = (("The cat sat",), ("",), ("a bb  ccc",), ("Hello World hello",))
LISTS: tuple[tuple[list[int]], ...] = (([3, 1, 2],), ([],), ([5],), ([2, 2, -1, 7, 7, 0],))
FULL = tuple(case for case in LISTS if case[0])
SMALL = ((0,), (1,), (2,), (7,), (12,), (30,))


MATRICES = (([[1, 2], [3, 4]],), ([[5]],), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],))
SPECS: dict[str, tuple[Spec, ...]] = {
    "letters": (
        Spec("count_vowels(text)", "returns how many vowels (a, e, i, o, u in either case) the text has",
             lambda t: sum(c in "aeiouAEIOU" for c in t), WORDS),
        Spec("count_upper(text)", "counts the upper case letters of a string", lambda t: sum(map(str.isupper, t)),
             WORDS),
        Spec("count_letter(text, letter)", "counts how often a letter occurs in a text, ignoring case",
             lambda t, c: t.lower().count(c.lower()), (("Banana", "A"), ("", "x"), ("Tat", "t"))),
    ),
    "word_lists": (
        Spec("word_lengths(text)", "returns the list of the lengths of the words in a text, which are split at white "
                                   "space",
             lambda t: [len(w) for w in t.split()], WORDS),
        Spec("longest_word(text)", "returns the longest word of a text (the first one on ties, '' if there is none)",
             lambda t: max(t.split(), key=len, default=""), WORDS),
        Spec("word_counts(text)", "returns a dict from each lower-cased word to how often it occurs",
             lambda t: dict(Counter(t.lower().split())), WORDS),
    ),
    "reversals": (
        Spec("reverse_words(text)", "returns the words of a text in reverse order, joined by single spaces",
             lambda t: " ".join(t.split()[::-1]), WORDS),
        Spec("is_palindrome(text)", "tells whether a text reads the same backwards, ignoring case and everything that "
                                    "is not a "
             "letter or digit", lambda t: (s := re.sub("[^a-z0-9]", "", t.lower())) == s[::-1],
             (("A man, a plan, a canal: Panama",), ("abc",), ("",), ("No lemon, no melon",), ("12 2",))),
        Spec("swap_ends(items)", "returns a new list with the first and the last element swapped; shorter lists stay "
                                 "as they are",
             lambda x: [x[-1], *x[1:-1], x[0]] if len(x) > 1 else list(x), LISTS),
    ),
    "sums": (
        Spec("sum_even(numbers)", "returns the sum of the even numbers in a list",
             lambda x: sum(n for n in x if n % 2 == 0),
             LISTS),
        Spec("sum_squares(numbers)", "returns the sum of the squares of a list of numbers",
             lambda x: sum(n * n for n in x),
             LISTS),
        Spec("alternating_sum(numbers)", "returns first - second + third - fourth ... of a list of numbers",
             lambda x: sum(n * (-1) ** i for i, n in enumerate(x)), LISTS),
    ),
    "extremes": (
        Spec("second_largest(numbers)", "returns the second largest distinct number of a list, or None if there is "
                                        "none",
             lambda x: sorted(set(x))[-2] if len(set(x)) > 1 else None, LISTS),
        Spec("spread(numbers)", "returns the difference of the largest and the smallest number of a list, 0 for an "
                                "empty one",
             lambda x: max(x) - min(x) if x else 0, LISTS),
        Spec("index_of_max(numbers)", "returns the index of the largest number of a list, the last such index on ties",
             lambda x: max(range(len(x)), key=lambda i: (x[i], i)), FULL),
    ),
    "divisors": (
        Spec("divisors(n)", "returns the sorted list of the positive divisors of a positive integer n",
             lambda n: [d for d in range(1, n + 1) if n % d == 0], SMALL[1:]),
        Spec("gcd(a, b)", "returns the greatest common divisor of two positive integers, without importing anything",
             lambda a, b: max(d for d in range(1, a + 1) if a % d == b % d == 0),
             ((12, 18), (7, 5), (9, 9), (100, 75))),
        Spec("is_perfect(n)", "tells whether the positive integer n equals the sum of its divisors that are smaller "
                              "than n",
             lambda n: n == sum(d for d in range(1, n) if n % d == 0), ((6,), (28,), (12,), (1,), (496,), (7,))),
    ),
    "primes": (
        Spec("is_prime(n)", "tells whether the integer n is a prime number", prime, (*SMALL, (-3,), (97,), (49,))),
        Spec("primes_below(n)", "returns the list of all primes smaller than n",
             lambda n: [p for p in range(n) if prime(p)],
             SMALL),
        Spec("prime_factors(n)", "returns the list of the prime factors of n > 1 in rising order, with repetition",
             lambda n: [p for p in range(2, n + 1) if prime(p) for k in range(1, 9) if n % p**k == 0],
             ((2,), (12,), (97,), (360,))),
    ),
    "digits": (
        Spec("digit_sum(n)", "returns the sum of the decimal digits of an integer, which may be negative",
             lambda n: sum(map(int, str(abs(n)))), ((0,), (123,), (-49,), (9999,))),
        Spec("to_binary(n)", "returns the binary digits of a non-negative integer as a string without prefix",
             lambda n: f"{n:b}", SMALL),
        Spec("to_roman(n)", "returns the Roman numeral of an integer from 1 to 3999", roman,
             ((1,), (4,), (1994,), (3999,), (40,), (888,))),
    ),
    "sequences": (
        Spec("fibonacci(n)", "returns the n-th Fibonacci number, where fibonacci(0) is 0 and fibonacci(1) is 1",
             fibonacci, SMALL),
        Spec("collatz_steps(n)", "returns how many steps the Collatz rule (halve if even, else 3n + 1) needs from n >= "
                                 "1 to reach "
             "1", collatz, SMALL[1:]),
        Spec("triangle_row(n)", "returns the n-th row of Pascal's triangle as a list, where row 0 is [1]",
             lambda n: [choose(n, k) for k in range(n + 1)], SMALL[:5]),
    ),
    "filters": (
        Spec("drop_duplicates(items)", "returns the list without repeated elements, keeping the first of each in order",
             lambda x: list(dict.fromkeys(x)), LISTS),
        Spec("keep_positive(numbers)", "returns the list of the numbers greater than zero",
             lambda x: [n for n in x if n > 0],
             LISTS),
        Spec("common_items(first, second)", "returns the sorted list of the distinct elements that are in both lists",
             lambda a, b: sorted(set(a) & set(b)), (([1, 2, 2, 3], [2, 3, 4]), ([], [1]), ([5, 4], [4, 5]))),
    ),
    "grouping": (
        Spec("chunks(items, size)", "splits a list into consecutive lists of the given size; the last may be shorter",
             lambda x, n: [x[i : i + n] for i in range(0, len(x), n)], (([1, 2, 3, 4, 5], 2), ([], 3), ([1, 2], 5))),
        Spec("run_length(text)", "returns the run-length encoding of a text as a list of (character, count) tuples",
             lambda t: [(c, len(list(g))) for c, g in groupby(t)], (("aaabb",), ("",), ("abca",))),
        Spec("longest_run(items)", "returns the length of the longest run of equal neighbours in a list, 0 if it is "
                                   "empty",
             longest_run, (*LISTS, ([1, 1, 2, 2, 2, 1],))),
    ),
    "matrices": (
        Spec("transpose(matrix)", "returns the transpose of a matrix given as a list of rows, as a list of lists",
             lambda m: [list(r) for r in zip(*m, strict=True)], (*MATRICES, ([[1, 2, 3]],))),
        Spec("trace(matrix)", "returns the sum of the main diagonal of a square matrix", lambda m: sum(m[i][i] for i in
             range(len(m))), MATRICES),
        Spec("rotate(matrix)", "returns a matrix (a list of lists) rotated by 90 degrees clockwise",
             lambda m: [list(r) for r in zip(*m[::-1], strict=True)], (*MATRICES, ([[1, 2, 3]],))),
    ),
    "brackets": (
        Spec("is_balanced(text)", "tells whether the brackets (), [] and {} in a text are balanced and properly "
                                  "nested", balanced,
             (("([]{})",), ("([)]",), ("((",), ("",), ("a(b)c]",), ("x",))),
        Spec("max_depth(text)", "returns the greatest nesting depth of round brackets in a balanced text",
             lambda t: max([t[:i].count("(") - t[:i].count(")") for i in range(len(t) + 1)]),
             (("(()(()))",), ("",), ("(a)b",))),
        Spec("strip_brackets(text)", "removes every part in round brackets, with the brackets, from a text without "
                                     "nesting",
             lambda t: re.sub(r"\([^)]*\)", "", t), (("a(b)c",), ("(x)",), ("none",), ("1(2)3(4)5",))),
    ),
    "dicts": (
        Spec("invert(mapping)", "returns a dict that maps each value of the given dict to its key",
             lambda d: {v: k for k, v in d.items()}, (({"a": 1, "b": 2},), ({},))),
        Spec("merge_sum(first, second)", "merges two dicts of numbers, adding the values of keys that are in both",
             lambda a, b: {k: a.get(k, 0) + b.get(k, 0) for k in a | b},
             (({"a": 1}, {"a": 2, "b": 3}), ({}, {}), ({"x": 1}, {}))),
        Spec("group_by_length(words)", "returns a dict from word length to the list of the words of that length, in "
                                       "order",
             lambda w: {n: [x for x in w if len(x) == n] for n in map(len, w)}, ((["a", "bb", "c", "dd"],), ([],))),
    ),
    "nesting": (
        Spec("flatten(items)", "flattens a list that may hold lists nested to any depth", flat,
             (([1, [2, [3, [4]]], 5],), ([],), ([[], [[]]],))),
        Spec("depth(items)", "returns how deep a list is nested: depth([]) and depth([1]) are 1, depth([[1]]) is 2",
             depth, (([],), ([1],), ([1, [2, [3]]],), ([[], [[]]],))),
        Spec("deep_sum(items)", "adds all numbers in a list that may hold lists nested to any depth",
             lambda x: sum(flat(x)),
             (([1, [2, [3, [4]]], 5],), ([],), ([[], [[-7]]],))),
    ),
    "ciphers": (
        Spec("caesar(text, k)", "shifts every small letter a-z of a text by k places in the alphabet, from z on to a "
                                "again, and "
             "leaves all else", caesar, (("abc xyz!", 3), ("Hello", 1), ("zebra", 27), ("b", -1))),
        Spec("swap_case(text)", "turns small letters into capitals and capitals into small letters", str.swapcase,
             WORDS),
        Spec("title_case(text)", "makes the first letter of each word a capital and the others small; words are joined "
                                 "by single "
             "spaces", lambda t: " ".join(w[0].upper() + w[1:].lower() for w in t.split()),
             (*WORDS, ("o'neil can't gO",))),
    ),
    "intervals": (
        Spec("merge_intervals(intervals)", "merges overlapping or touching [start, end] intervals and returns them "
                                           "sorted, as a "
             "list of lists", merge, (([[1, 3], [2, 6], [8, 10]],), ([],), ([[5, 7], [1, 5]],), ([[1, 9], [2, 3]],))),
        Spec("overlap(a, b)", "returns the length of the overlap of two intervals given as (start, end) tuples, 0 if "
                              "there is none",
             lambda a, b: max(0, min(a[1], b[1]) - max(a[0], b[0])),
             (((1, 5), (3, 9)), ((1, 2), (3, 4)), ((0, 9), (2, 3)))),
        Spec("missing_numbers(numbers)", "returns the sorted list of the integers between the smallest and the largest "
                                         "element of a "
             "list that are not in it", lambda x: [n for n in range(min(x), max(x)) if n not in x] if x else [],
             (([1, 4, 6],), ([3],), ([2, 1, 3],), ([-2, 1],))),
    ),
    "searching": (
        Spec("binary_search(items, target)", "returns the index of target in a sorted list of distinct numbers, or -1",
             lambda x, t: x.index(t) if t in x else -1,
             (([1, 3, 5, 7], 5), ([], 1), ([1, 3], 2), ([4], 4), ([1, 2, 9], 9))),
        Spec("two_sum(numbers, target)", "returns the indices (i, j), i < j, of the two numbers that add up to target "
                                         "as a tuple, or "
             "None", lambda x, t: next(((i, j) for j in range(len(x)) for i in range(j) if x[i] + x[j] == t), None),
             (([2, 7, 11], 18), ([3, 3], 6), ([1], 2), ([1, 2], 9))),
        Spec("first_unique(text)", "returns the first character that occurs only once in a text, or None",
             lambda t: next((c for c in t if t.count(c) == 1), None), (("swiss",), ("aabb",), ("",), ("z",))),
    ),
    "dynamic": (
        Spec("longest_increasing(numbers)", "returns the length of the longest strictly increasing subsequence",
             rising,
             (*LISTS, ([10, 9, 2, 5, 3, 7, 101, 18],))),
        Spec("edit_distance(a, b)", "returns the Levenshtein distance of two strings", edit_distance,
             (("kitten", "sitting"), ("", "abc"), ("same", "same"), ("flaw", "lawn"))),
        Spec("count_change(coins, amount)", "returns in how many ways an amount can be paid with unlimited coins of "
                                            "the given "
             "values, regardless of order", ways_to_pay, (([1, 2, 5], 5), ([2], 3), ([5, 3], 0), ([1, 5, 10], 25))),
    ),
    "windows": (
        Spec("moving_average(numbers, k)", "returns the list of the means of every k consecutive numbers",
             lambda x, k: [sum(x[i : i + k]) / k for i in range(len(x) - k + 1)],
             (([1, 2, 3, 4], 2), ([4], 1), ([1, 2], 3))),
        Spec("max_window(numbers, k)", "returns the largest sum of k consecutive numbers, where k is at most the "
                                       "list's length",
             lambda x, k: max(sum(x[i : i + k]) for i in range(len(x) - k + 1)),
             (([1, 9, -1, 4], 2), ([-3, -1], 1), ([5], 1))),
        Spec("is_sorted(items)", "tells whether a list is in non-decreasing order",
             lambda x: all(a <= b for a, b in pairwise(x)),
             (*LISTS, ([1, 1, 2],))),
    ),
}  # fmt: skip

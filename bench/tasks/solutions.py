"""Our own solutions of the code tasks that take more than a line; their results are the hidden tests."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any


def roman(n: int) -> str:
    text = ""
    steps = "M 1000 CM 900 D 500 CD 400 C 100 XC 90 L 50 XL 40 X 10 IX 9 V 5 IV 4 I 1".split()  # noqa: SIM905 a table
    for letters, worth in zip(steps[::2], map(int, steps[1::2]), strict=True):
        text, n = text + letters * (n // worth), n % worth
    return text


def balanced(text: str) -> bool:
    opened = []
    for letter in text:
        if letter in "([{":
            opened.append(letter)
        elif letter in ")]}" and (not opened or opened.pop() + letter not in {"()", "[]", "{}"}):
            return False
    return not opened


def prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def flat(items: list[Any]) -> list[Any]:
    return [leaf for item in items for leaf in (flat(item) if isinstance(item, list) else [item])]


def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def collatz(n: int) -> int:
    steps = 0
    while n != 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


def merge(spans: list[list[int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    return merged


def longest_run(items: list[int]) -> int:
    return max((len(list(group)) for _, group in groupby(items)), default=0)


def rising(items: list[int]) -> int:
    best = [1] * len(items)
    for i in range(len(items)):
        best[i] = max([best[j] + 1 for j in range(i) if items[j] < items[i]], default=1)
    return max(best, default=0)


def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def ways_to_pay(coins: list[int], amount: int) -> int:
    ways = [1] + [0] * amount
    for coin in coins:
        for total in range(coin, amount + 1):
            ways[total] += ways[total - coin]
    return ways[amount]


def caesar(text: str, k: int) -> str:
    return re.sub("[a-z]", lambda found: chr((ord(found[0]) - 97 + k) % 26 + 97), text)


def choose(n: int, k: int) -> int:
    result = 1
    for i in range(k):
        result = result * (n - i) // (i + 1)
    return result


def depth(items: list[Any]) -> int:
    return 1 + max((depth(item) for item in items if isinstance(item, list)), default=0)

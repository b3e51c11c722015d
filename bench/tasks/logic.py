"""Logic: claims about integers, entailment, syllogisms and small constraint puzzles; yes, no or a number."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import label, number, sequence, yes
from bench.tasks.solutions import prime

Item = tuple[str, Check]
NAMES = ("Ada", "Bo", "Cy", "Dee", "Eve", "Flo")
KINDS = ("blickets", "wugs", "zorps", "daxes", "feps", "tomas")
SHORT = " Answer yes or no."


NUMBERS = range(-50, 51)
CLAIMS: tuple[tuple[str, Callable[[int], bool]], ...] = (
    ("n^2 + n is even", lambda n: (n * n + n) % 2 == 0), ("n^3 - n is divisible by 6", lambda n: (n**3 - n) % 6 == 0),
    ("n^2 + 1 is never divisible by 3", lambda n: (n * n + 1) % 3 != 0),
    ("n^2 - n + 41 is a prime number", lambda n: prime(n * n - n + 41)),
    ("n^2 + n + 1 is divisible by 3", lambda n: (n * n + n + 1) % 3 == 0),
    ("2n + 1 is odd", lambda n: (2 * n + 1) % 2 == 1),
    ("n^2 is at least 2n", lambda n: n * n >= 2 * n), ("n^3 is at least n", lambda n: n**3 >= n),
    ("n^2 has remainder 0 or 1 when divided by 4", lambda n: n * n % 4 in {0, 1}),
)  # fmt: skip
PAIR_CLAIMS: tuple[tuple[str, Callable[[int, int], bool]], ...] = (
    ("if a*b is even then a is even or b is even", lambda a, b: a * b % 2 == 1 or a % 2 == 0 or b % 2 == 0),
    ("if a > b then a^2 > b^2", lambda a, b: a <= b or a * a > b * b),
    ("a^2 + b^2 is at least 2ab", lambda a, b: a * a + b * b >= 2 * a * b),
    ("if a + b is even then a - b is even", lambda a, b: (a + b) % 2 == 1 or (a - b) % 2 == 0),
    ("if a divides 12 and b divides 12 then a*b divides 12",
     lambda a, b: a * b == 0 or 12 % a != 0 or 12 % b != 0 or 12 % (a * b) == 0),
    ("if a*b > 0 then a > 0", lambda a, b: a * b <= 0 or a > 0),
    ("(a + b)^2 = a^2 + b^2 implies that a = 0 or b = 0", lambda a, b: (a + b) ** 2 != a * a + b * b or a * b == 0),
    ("if 3a = 5b then a = 5 and b = 3", lambda a, b: 3 * a != 5 * b or (a, b) == (5, 3)),
)  # fmt: skip
FORMULAS: tuple[tuple[str, Callable[[bool, bool], bool]], ...] = (
    ("(p and q) implies p", lambda p, q: not (p and q) or p), ("(p or q) implies p", lambda p, q: not (p or q) or p),
    ("(p implies q) or (q implies p)", lambda p, q: p <= q or q <= p),
    ("not (p and q) is equivalent to (not p or not q)", lambda p, q: (not (p and q)) == (not p or not q)),
    ("(p implies q) implies (q implies p)", lambda p, q: (p <= q) <= (q <= p)),
    ("((p implies q) and not q) implies not p", lambda p, q: (p <= q and not q) <= (not p)),
    ("(p or q) and not p implies not q", lambda p, q: ((p or q) and not p) <= (not q)),
    ("((p implies q) implies p) implies p", lambda p, q: ((p <= q) <= p) <= p),
)  # fmt: skip
"""Of two truth values, `p <= q` is "p implies q"."""


def claim(random: Random) -> Item:
    text, holds = random.choice(CLAIMS)
    return f"Is it true that for every integer n, {text}?{SHORT}", yes(all(map(holds, NUMBERS)))


def claim_two(random: Random) -> Item:
    text, holds = random.choice(PAIR_CLAIMS)
    true = all(holds(a, b) for a, b in product(NUMBERS, repeat=2))
    return f"Let a and b be any integers. Does it always hold that {text}?{SHORT}", yes(true)


def exists(random: Random) -> Item:
    a, b = random.choice([(6, 9), (4, 6), (10, 15), (3, 7), (5, 8), (4, 9)])
    goal = random.randint(10, 60) * 2 + 1
    true = any((goal - a * x) % b == 0 for x in range(b))
    return f"Are there integers x and y with {a}x + {b}y = {goal}?{SHORT}", yes(true)


def syllogism(random: Random) -> Item:
    a, b, c = random.sample(KINDS, 3)
    premises, conclusion, true = random.choice([
        (f"All {a} are {b}. All {b} are {c}.", f"all {a} are {c}", True),
        (f"All {a} are {b}. Some {b} are {c}.", f"some {a} are {c}", False),
        (f"No {a} are {b}. All {c} are {b}.", f"no {c} are {a}", True),
        (f"All {a} are {b}. All {c} are {b}.", f"all {a} are {c}", False),
        (f"Some {a} are {b}. All {b} are {c}.", f"some {a} are {c}", True),
        (f"All {a} are {b}. No {c} are {a}.", f"no {c} are {b}", False),
    ])  # fmt: skip
    return f"{premises} Does it follow that {conclusion}?{SHORT}", yes(true)


def conditional(random: Random) -> Item:
    p, q = random.choice([
        ("it rains", "the match is cancelled"), ("the alarm is on", "the red light blinks"),
        ("the file is locked", "saving fails"), ("the shop is open", "the sign is lit"),
    ])  # fmt: skip
    fact, conclusion, true = random.choice([
        (f"We know: {p}.", f"Can we conclude that {q}?", True),
        (f"We know: {q}.", f"Can we conclude with certainty that {p}?", False),
        (f"It is not the case that {q}.", f"Can we conclude that it is not the case that {p}?", True),
        (f"It is not the case that {p}.", f"Must it be false that {q}?", False),
    ])  # fmt: skip
    return f"If {p}, then {q}. {fact} {conclusion}{SHORT}", yes(true)


def chain(random: Random) -> Item:
    letters = random.sample("PQRSTU", 4)
    rules = ". ".join(f"If {one} then {two}" for one, two in zip(letters, letters[1:], strict=False))
    given, asked, true = random.choice([
        (f"{letters[0]} holds", f"{letters[3]} hold", True), (f"{letters[3]} holds", f"{letters[0]} hold", False),
        (f"{letters[3]} does not hold", f"{letters[0]} fail to hold", True),
        (f"{letters[1]} holds", f"{letters[0]} hold", False), (f"{letters[1]} holds", f"{letters[3]} hold", True),
    ])  # fmt: skip
    return f"{rules}. {given}. Must {asked}?{SHORT}", yes(true)


def tautology(random: Random) -> Item:
    text, holds = random.choice(FORMULAS)
    true = all(holds(p, q) for p, q in product([True, False], repeat=2))
    return f"Is this propositional formula a tautology: {text}?{SHORT}", yes(true)


def taller(random: Random) -> Item:
    order = random.sample(NAMES, 4)
    pairs = list(zip(order, order[1:], strict=False))
    random.shuffle(pairs)
    facts = " ".join(f"{one} is taller than {two}." for one, two in pairs)
    rank, person = random.choice([("tallest", order[0]), ("shortest", order[3]), ("second tallest", order[1])])
    return f"{facts} Who is the {rank}? Reply with one name.", label(person, order)


def race(random: Random) -> Item:
    order = random.sample(NAMES, 4)
    facts = [
        f"{order[0]} finished before {order[1]}.", f"{order[3]} finished last.",
        f"{order[2]} finished immediately after {order[1]}.",
    ]  # fmt: skip
    random.shuffle(facts)
    place = random.randrange(3)
    word = ("first", "second", "third")[place]
    return (
        f"Four runners, {', '.join(sorted(order))}, ran a race without ties. {' '.join(facts)} Who finished {word}? "
        f"Just the "
        "name.",
        label(order[place], order),
    )


def knights(random: Random) -> Item:
    a, b = random.sample(NAMES, 2)
    lines: list[tuple[str, Callable[[bool, bool], bool]]] = [
        (f"{a} says: 'We are both knaves.'", lambda x, y: x == (not x and not y)),
        (f"{a} says: 'At least one of us is a knave.'", lambda x, y: x == (not x or not y)),
        (f"{a} says: '{b} is a knave.' {b} says: 'We are the same kind.'",
         lambda x, y: x == (not y) and y == (x == y)),
        (f"{a} says: '{b} and I are of different kinds.' {b} says: '{a} is a knave.'",
         lambda x, y: x == (x != y) and y == (not x)),
    ]  # fmt: skip
    said, fits = random.choice(lines)
    worlds = [(x, y) for x, y in product([True, False], repeat=2) if fits(x, y)]
    asked = random.choice([0, 1])
    return (
        f"Knights always tell the truth, knaves always lie; {a} and {b} are each one or the other. {said} Is "
        f"{(a, b)[asked]} a knight?{SHORT}",
        yes(worlds[0][asked]),
    )


def remainders(random: Random) -> Item:
    p, q = random.choice([(3, 5), (4, 7), (5, 7), (5, 9), (7, 9), (8, 11)])
    a, b = random.randint(1, p - 1), random.randint(1, q - 1)
    goal = next(n for n in range(1, p * q + 1) if n % p == a and n % q == b)
    return (
        f"What is the smallest positive integer that leaves remainder {a} when divided by {p} and remainder {b} when "
        f"divided by {q}? Be short and end with 'Answer: <number>'.",
        number(goal),
    )


def digits(random: Random) -> Item:
    tens, ones = random.randint(1, 9), random.randint(0, 9)
    while tens == ones:
        ones = random.randint(0, 9)
    return (
        f"A two-digit number has digit sum {tens + ones}. Its tens digit minus its ones digit is {tens - ones}. Which "
        f"number is "
        "it? Give the number only.",
        number(10 * tens + ones),
    )


def heads(random: Random) -> Item:
    rabbits, hens = random.randint(4, 20), random.randint(4, 20)
    return (
        f"A farm has hens and rabbits, {rabbits + hens} heads and {4 * rabbits + 2 * hens} legs in all. How many "
        f"rabbits are "
        "there? Short working, then 'Answer: <number>'.",
        number(rabbits),
    )


def coins(random: Random) -> Item:
    goal, (a, b) = random.randint(20, 45), random.choice([(5, 2), (5, 3), (7, 4), (10, 3)])
    count = sum((goal - a * x) % b == 0 for x in range(goal // a + 1))
    return (
        f"In how many ways can exactly {goal} cents be paid with {a}-cent and {b}-cent coins only (the order does not "
        f"matter, "
        "zero coins of a kind are allowed)? Answer with the number only.",
        number(count),
    )


def counting(random: Random) -> Item:
    top, (p, q) = random.randint(3, 12) * 10, random.choice([(2, 3), (3, 4), (3, 5), (4, 6)])
    count = sum(n % p == 0 and n % q != 0 for n in range(1, top + 1))
    return (
        f"How many integers from 1 to {top} are divisible by {p} but not by {q}? Give just the number.",
        number(count),
    )


def seats(random: Random) -> Item:
    people = random.sample(NAMES, 4)
    a, b, c, d = people
    rules: list[tuple[str, Callable[[tuple[str, ...]], bool]]] = [
        (f"{a} and {b} sit next to each other", lambda o: abs(o.index(a) - o.index(b)) == 1),
        (f"{a} sits at an end", lambda o: o.index(a) in {0, 3}),
        (f"{a} sits somewhere left of {b}, and {c} somewhere left of {d}",
         lambda o: o.index(a) < o.index(b) and o.index(c) < o.index(d)),
        (f"{a} and {b} do not sit next to each other", lambda o: abs(o.index(a) - o.index(b)) != 1),
    ]  # fmt: skip
    rule, keep = random.choice(rules)
    count = sum(keep(order) for order in permutations(people))
    return (
        f"{a}, {b}, {c} and {d} sit in a row of four chairs. In how many arrangements is it true that {rule}? Number "
        f"only.",
        number(count),
    )


def schedule(random: Random) -> Item:
    tasks = random.sample(["paint", "sand", "drill", "glue", "polish"], 3)
    first, second, third = tasks
    facts = [f"{second} comes after {first}", f"{third} comes after {second}"]
    random.shuffle(facts)
    asked = random.choice([(first, third, True), (third, first, False), (second, first, False), (second, third, True)])
    return (
        f"Three jobs are done one after another: {', '.join(sorted(tasks))}. We know that {facts[0]} and that "
        f"{facts[1]}. Is {asked[0]} done before {asked[1]}?{SHORT}",
        yes(asked[2]),
    )


def colours(random: Random) -> Item:
    paint = random.sample(["red", "blue", "green"], 3)
    a, b, c = random.sample(NAMES, 3)
    return (
        f"{a}, {b} and {c} own one car each: one red, one blue, one green. {a}'s car is not {paint[1]} and not "
        f"{paint[2]}. {b}'s car is not {paint[2]}. Which colour is {c}'s car? One word.",
        label(paint[2], paint),
    )


def satisfiable(random: Random) -> Item:
    low, gap, total = random.randint(2, 9), random.randint(2, 6), random.randint(14, 40)
    true = any(x >= low and total - x >= 0 and x - (total - x) == gap for x in range(total + 1))
    return (
        f"Can two non-negative integers x and y satisfy all of these at once: x + y = {total}, x - y = {gap}, x >= "
        f"{low}?{SHORT}",
        yes(true),
    )


def triples(random: Random) -> Item:
    x, y, z = sorted(random.sample(range(1, 12), 3))
    return (
        f"Three numbers x < y < z have the pairwise sums {x + y}, {x + z} and {y + z}, in increasing order x+y, x+z, "
        f"y+z. "
        "Reply only with 'Answer: ' and x, y, z separated by commas.",
        sequence([x, y, z]),
    )


TEMPLATES: dict[str, Template] = {
    "claim": claim, "claim_two": claim_two, "exists": exists, "syllogism": syllogism, "conditional": conditional,
    "chain": chain, "tautology": tautology, "taller": taller, "race": race, "knights": knights,
    "remainders": remainders,
    "digits": digits, "heads": heads, "coins": coins, "counting": counting, "seats": seats, "schedule": schedule,
    "colours": colours, "satisfiable": satisfiable, "triples": triples,
}  # fmt: skip

"""Reads claims and puzzles about whole numbers in plain English: for every n, is there an x, which number leaves ..."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from experts.algebra_reader import equation, formula
from experts.formula import Tree, names, parse

Task = dict[str, Any]
KIND = r"(?:positive |negative |non-?negative |natural |whole |odd |even |prime |consecutive |distinct |different |real |single |two |2 |three |3 )*"
SORT = rf"((?:{KIND}(?:integers?|numbers?|naturals?|primes?)))"
LETTERS = r"([a-z](?:(?:,| and|, and) [a-z]\b(?!\s*[-+*/^=<>(]| (?:is|are|plus|squared|cubed)\b))*)\b"
FOR_ALL = re.compile(
    rf"\b(?:for|given|take|let|of) (?:all|every|each|any|an arbitrary)(?: possible)? {SORT}(?: {LETTERS})?,?(?: (?:it is true that|it holds that|we have|the number|the expression|the value|is it true that))?"
)
SUCH_THAT = r"(?:such that|so that|with|where|for which|satisfying|that satisfy|that satisfies|satisfy)"
EXISTS = re.compile(
    rf"\b(?:is there|are there|does there exist|do there exist|there (?:is|are|exists?)|exists?)(?: (?:any|an?|some|at least one|pairs? of))? {SORT}(?: {LETTERS})? {SUCH_THAT}(?: all of| both)?(?: these| the following)?(?: at once)?:? (.+)"
)
CAN = re.compile(
    rf"\b(?:can|could|do)(?: (?:any|an?|some))? {SORT} {LETTERS}(?: exist)?(?: both| all| simultaneously)? {SUCH_THAT}(?: both| all)?(?: of)?(?: these| the following)?(?: conditions| equations| constraints)?(?: at once| simultaneously| at the same time)?:? (.+)"
)
POSSIBLE = re.compile(
    rf"\bis it possible (?:for|that)(?: (?:any|an?|some))? {SORT}(?: {LETTERS})? (to be .+|to satisfy .+|is .+)"
)
PROPERTY = r"(?:an? )?(not )?(?:always |necessarily |also |both |an? )*(even|odd|prime|composite|positive|negative|non-?negative|zero|(?:perfect )?square|(?:exactly |evenly )?divisible by \w+|multiples? of \w+)(?: numbers?| integers?)?"
STATED = re.compile(rf"(.+?) (?:is|are|must be|will be|be) {PROPERTY}")
ASKED = re.compile(rf"(?:is|are|must|will|can) (.+?) (?:be )?{PROPERTY}")
REMAINDER = re.compile(
    r"(?:a )?remainders? (?:of )?(\d+)(?: or (\d+))?,? (?:when|if|on|upon|after)(?: it is| being)? (?:divided|division|dividing)(?: it)? by (\d+)"
)


def number_claim(text: str) -> Task | None:
    """Whether something holds for every whole number, or for some; or whether one thing follows from another."""
    for reader in (_exists, _universal, _two_numbers, _conditional):
        task = reader(text)
        if task is not None:
            return task
    return None


def _exists(text: str) -> Task | None:
    match = EXISTS.search(text) or CAN.search(text) or POSSIBLE.search(text)
    if match is None:
        return None
    sort, letters, body = match.groups()
    body = re.sub(r"^to (?:be|have|satisfy) ", f"{(letters or 'n')[0]} is ", body)
    body = re.sub(r"^(?:it|its value|they|which) ", "n ", body)
    tree = claim(body)
    if tree is None or not names(tree):
        return None
    return {"kind": "satisfiable", "premises": [*_domain(sort, _letters(letters) or names(tree)), tree]}


def _universal(text: str) -> Task | None:
    match = FOR_ALL.search(text)
    if match is None or "real" in match.group(1):
        return None
    of = f" of {match.group(2) or 'n'} " if match.group().startswith("of") else " "
    body = (text[: match.start()] + of + text[match.end() :]).strip(" ,.:")
    body = re.sub(
        r"^(?:(?:is it|it is|is this|prove or disprove|true or false|decide|determine|check|show|does it hold)(?: (?:always |necessarily )?(?:true|the case|correct))?(?: whether| if| that)?[,: ]+|that |whether |does |do |is the following (?:true|claim true)[:,]? )+",
        "",
        body,
    )
    tree = claim(body)
    if tree is None:
        return None
    return {
        "kind": "entails",
        "premises": _domain(match.group(1), _letters(match.group(2)) or names(tree)),
        "claim": tree,
    }


def _two_numbers(text: str) -> Task | None:
    """ "Is the sum of two odd numbers always even?" """
    match = re.search(
        r"\b(sum|product|difference) of (?:any )?(two|2|three|3|an?)(?: (consecutive))?(?: (odd|even))?(?: (?:integers?|numbers?|whole numbers?))?(?: and an? (odd|even)(?: integer| number)?)? (?:is |be )?(?:always |necessarily )*(?:an? )?(not )?(?:always )?(even|odd|divisible by \d+|a multiple of \d+)",
        text,
    )
    if match is None:
        return None
    what, count, consecutive, first, second, negated, wanted = match.groups()
    letters = ["a", "b", "c"][: 3 if count in ("three", "3") else 2]
    premises: list[Tree] = []
    if consecutive:
        step = ["num", "2" if first else "1"]
        premises += [["=", ["name", b], ["+", ["name", a], step]] for a, b in zip(letters, letters[1:], strict=False)]
    kinds = [first, second] if second else [first] * len(letters)
    premises += [[kind, ["name", letter]] for kind, letter in zip(kinds, letters, strict=False) if kind]
    sign = {"sum": "+", "product": "*", "difference": "-"}[what]
    term: Tree = ["name", letters[0]]
    for letter in letters[1:]:
        term = [sign, term, ["name", letter]]
    goal = _property(term, wanted)
    return {"kind": "entails", "premises": premises, "claim": ["not", goal] if negated else goal}


def _conditional(text: str) -> Task | None:
    """ "If n is even, must n^2 be even?", "If x > 3 and y > 2, does it follow that x + y > 5?" """
    match = re.search(
        r"\b(?:if|suppose(?: that)?|given that|assume(?: that)?|let) (.+?)(?:,|\.)(?: then)? (?:(?:does it|must it) (?:follow|be true|be the case)(?: that)?|is it (?:always |necessarily )?(?:true|the case) that|can we conclude that|what about|then|does)?\s*((?:is|are|must|will|does) .+|.+)$",
        text,
    )
    if match is None:
        return None
    premise = re.sub(
        r"\b([a-z]) (?:is|are) (?:an? |any )?(?:positive |negative )?(?:integer|whole number|number)s?\b(?: (?:and|with|that is) )?",
        lambda m: f"{m.group(1)} is {'positive' if 'positive' in m.group() else 'integer'} and ",
        match.group(1),
    )
    parts = [
        tree
        for part in re.split(
            r"\band\b|,", re.sub(r"\b[a-z] is integer and |\b[a-z] and [a-z] are integers and ", "", premise)
        )
        if part.strip() and (tree := claim(part)) is not None
    ]
    goal = claim(match.group(2))
    if not parts or goal is None or not set(names(goal)) <= {name for tree in parts for name in names(tree)}:
        return None
    return {"kind": "entails", "premises": parts, "claim": goal}


def _letters(text: str | None) -> list[str]:
    return re.findall(r"\b[a-z]\b", text or "")


def _domain(sort: str, letters: list[str]) -> list[Tree]:
    """What the words before the unknowns say of each of them."""
    sign = (
        "<"
        if re.search(r"(?<!non)(?<!non-)negative", sort)
        else ">"
        if re.search(r"positive|\bprime", sort)
        else ">="
        if re.search("negative|natural|whole", sort)
        else None
    )
    found: list[Tree] = []
    for letter in letters:
        name: Tree = ["name", letter]
        if sign:
            found.append([sign, name, ["num", "0"]])
        found += [[kind, name] for kind in ("odd", "even") if kind in sort]
        found += [["isprime", name]] if "prime" in sort else []
    if re.search("distinct|different", sort) and len(letters) == 2:
        found.append(["!=", ["name", letters[0]], ["name", letters[1]]])
    return found


def claim(text: str) -> Tree | None:
    """A statement about numbers as a formula, or None."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"^(?:that|then|does|do|we have|at once|:)\s+", "", text.strip(" ,.;:?'\""))
    text = re.sub(
        r"\b(?:always|necessarily|the number|the expression|the value of)\s+|\s+(?:always|necessarily|hold|true)$",
        "",
        text,
    )
    implied = re.fullmatch(r"(?:if|whenever|when) (.+?)(?:,? then|,) (.+)|(.+?) (?:if|whenever) (.+)", text)
    if implied:
        first, last, turned, given = implied.groups()
        sides = [claim(first or given), claim(last or turned)]
        return None if None in sides else ["implies", *sides]
    simple = _simple(text)
    if simple is not None:
        return simple
    for word, sign in ((r"\bor\b", "or"), (r"\band\b|,|;", "and")):
        parts = [part for part in re.split(word, text) if part.strip()]
        if 1 < len(parts) <= 8:
            trees = [claim(part) for part in parts]
            return None if None in trees else [sign, *trees]
    return None


def _simple(text: str) -> Tree | None:
    both = re.fullmatch(r"both ([a-z]) and ([a-z]) (?:are|be) (.+)|([a-z]) and ([a-z]) are (?:both )?(.+)", text)
    if both:
        groups = [group for group in both.groups() if group]
        trees = [_simple(f"{letter} is {groups[2]}") for letter in groups[:2]]
        return None if None in trees else ["and", *trees]
    signs = re.findall(r"<=|>=|!=|<|>|=", text)
    if len(signs) == 2:
        left, middle, right = re.split(r"<=|>=|!=|<|>|=", text)
        pair = [equation(left + signs[0] + middle), equation(middle + signs[1] + right)]
        return None if None in pair else ["and", *pair]
    two = re.fullmatch(rf"(.+?) (?:is|be|to be) (?:both |either )?{PROPERTY} (and|or) {PROPERTY}", text)
    if two:
        term, no, kind, sign, not_, other = two.groups()
        return claim(f"{term} is {no or ''}{kind} {sign} {term} is {not_ or ''}{other}")
    divides = re.fullmatch(r"(\d+) (?:divides?|is a (?:divisor|factor) of) (.+)", text)
    if divides:
        return _made(divides.group(2), f"divisible by {divides.group(1)}")
    left_over = re.fullmatch(rf"(.+?) (?:leaves?|has|have|gives?) (?:a )?{REMAINDER.pattern}", text)
    if left_over:
        return _left_over(*left_over.groups())
    for match in (STATED.fullmatch(text), ASKED.fullmatch(text)):
        tree = _made(match.group(1), match.group(3)) if match else None
        if match and tree:
            return ["not", tree] if match.group(2) else tree
    text = re.sub(r"^(?:is|are|must|will) ", "", text)
    return equation(text) if signs or re.search(r"\bthan\b|\bequal|\bat (?:least|most)\b", text) else None


def _left_over(term: str, rest: str, other: str | None, by: str) -> Tree | None:
    tree = formula(term)
    if tree is None:
        return None
    rests: list[Tree] = [["=", ["mod", tree, ["num", by]], ["num", number]] for number in (rest, other) if number]
    return rests[0] if len(rests) == 1 else ["or", *rests]


def _made(term: str, wanted: str) -> Tree | None:
    tree = formula(term)
    return None if tree is None else _property(tree, wanted)


def _property(term: Tree, wanted: str) -> Tree:
    zero: Tree = ["num", "0"]
    by = re.search(r"(?:divisible by|multiples? of) (\w+)", wanted)
    if by:
        return ["=", ["mod", term, parse(by.group(1))], zero]
    plain: dict[str, Tree] = {
        "even": ["even", term],
        "odd": ["odd", term],
        "prime": ["isprime", term],
        "composite": ["and", [">", term, ["num", "1"]], ["not", ["isprime", term]]],
        "positive": [">", term, zero],
        "negative": ["<", term, zero],
        "zero": ["=", term, zero],
    }
    return plain.get(wanted) or (["is_square", term] if "square" in wanted else [">=", term, zero])


def number_puzzle(text: str) -> Task | None:
    """Which number, or how many: remainders, digits, heads and legs, coins."""
    readers: tuple[Callable[[str], Task | None], ...] = (_remainders, _digits, _animals, _coins)
    for reader in readers:
        task = reader(text)
        if task is not None:
            return task
    return None


def _remainders(text: str) -> Task | None:
    found = REMAINDER.findall(text)
    best = re.search(r"\b(smallest|least|lowest|largest|greatest|biggest)\b", text)
    if not found or best is None or not re.search(r"integer|number", text):
        return None
    n: Tree = ["name", "n"]
    premises: list[Tree] = [["=", ["mod", n, ["num", by]], ["num", rest]] for rest, _, by in found]
    premises += [
        ["=", ["mod", n, ["num", by]], ["num", "0"]] for by in re.findall(r"\b(?:divisible by|multiple of) (\d+)", text)
    ]
    premises += _range(text, n)
    return {
        "kind": "find",
        "premises": premises,
        "targets": [n],
        "least" if best.group(1)[0] in "sl" and best.group(1) != "largest" else "most": n,
    }


def _range(text: str, n: Tree) -> list[Tree]:
    found: list[Tree] = [[">", n, ["num", "0"]]]
    digits = re.search(r"\b(2|3|4)-digit\b", text)
    if digits:
        low = 10 ** (int(digits.group(1)) - 1)
        found += [[">=", n, ["num", str(low)]], ["<", n, ["num", str(10 * low)]]]
    for sign, pattern in (
        (">", r"(?:greater|larger|bigger|more) than (\d+)"),
        ("<", r"(?:less|smaller) than (\d+)|below (\d+)|under (\d+)"),
    ):
        match = re.search(pattern, text)
        if match:
            found.append([sign, n, ["num", next(group for group in match.groups() if group)]])
    between = re.search(r"between (\d+) and (\d+)", text)
    if between:
        found += [[">=", n, ["num", between.group(1)]], ["<=", n, ["num", between.group(2)]]]
    return found


def _digits(text: str) -> Task | None:
    """A two-digit number, by what its digits are."""
    if not re.search(r"\b2-digit (?:number|integer)\b", text):
        return None
    text = re.sub(
        r"\b(?:its|the|that|whose)\b", " ", re.sub(r"\bits (?=tens|ones|units)|\bthe (?=tens|ones|units)", "", text)
    )
    text = re.sub(r"\btens(?:' | )digit\b|\bfirst digit\b", " t ", text)
    text = re.sub(r"\b(?:ones|units?)(?:' | )digit\b|\bsecond digit\b|\blast digit\b", " u ", text)
    text = re.sub(r"\bdigit sum(?: of| is| equals?)? (\d+)", r"; t + u = \1 ;", text)
    text = re.sub(
        r"\bsum of (?:  ?)?(?:2 )?digits (?:is|equals|of) (\d+)|\bdigits (?:add up to|sum to|have (?:a |  )?sum(?: of)?) (\d+)",
        r"; t + u = \1\2 ;",
        text,
    )
    text = re.sub(r"\bproduct of (?:  ?)?digits is (\d+)", r"; t * u = \1 ;", text)
    found = [tree for part in re.split(r"[;,?]|\.\s|\band\b", text) if (tree := equation(part)) is not None]
    t, u = ["name", "t"], ["name", "u"]
    if len(found) < 2 or not {name for tree in found for name in names(tree)} <= {"t", "u"}:
        return None
    bounds: list[Tree] = [
        [">=", t, ["num", "1"]],
        ["<=", t, ["num", "9"]],
        [">=", u, ["num", "0"]],
        ["<=", u, ["num", "9"]],
    ]
    return {"kind": "find", "premises": [*found, *bounds], "targets": [["+", ["*", ["num", "10"], t], u]]}


LEGS = {**dict.fromkeys(("hen", "chicken", "duck", "goose", "geese", "bird", "ostrich", "ostriches", "turkey", "rooster", "bicycle", "bike", "motorcycle"), 2),
        **dict.fromkeys(("rabbit", "cow", "pig", "sheep", "goat", "horse", "dog", "cat", "car", "table"), 4), "tricycle": 3, "spider": 8, "insect": 6, "stool": 3}  # fmt: skip


def _animals(text: str) -> Task | None:
    heads = re.search(r"\b(\d+) (?:heads|animals|vehicles)", text)
    legs = re.search(r"\b(\d+) (?:legs|feet|wheels)", text)
    asked = re.search(r"how many (\w+)", text)
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])s\b", "", text))
    kinds = [word for word in dict.fromkeys(words) if word in LEGS]
    if not (heads and legs and asked) or len(kinds) != 2 or asked.group(1).rstrip("s") not in kinds:
        return None
    a, b = (["name", kind] for kind in kinds)
    feet = ["+", ["*", ["num", str(LEGS[kinds[0]])], a], ["*", ["num", str(LEGS[kinds[1]])], b]]
    premises: list[Tree] = [["=", ["+", a, b], ["num", heads.group(1)]], ["=", feet, ["num", legs.group(1)]]]
    premises += [[">=", name, ["num", "0"]] for name in (a, b)]
    return {"kind": "find", "premises": premises, "targets": [["name", asked.group(1).rstrip("s")]]}


def _coins(text: str) -> Task | None:
    total = re.search(r"\b(?:exactly |make |pay |paid |change for )(\d+) (?:cents?|dollars?|euros?|pence|p)\b", text)
    values = list(dict.fromkeys(re.findall(r"\b(\d+)-(?:cent|dollar|euro|pence|penny)\b", text)))
    if total is None or not 1 < len(values) <= 4 or not re.search(r"how many (?:different )?ways", text):
        return None
    coins: list[Tree] = [["name", f"coins_of_{value}"] for value in values]
    paid: Tree = ["*", ["num", values[0]], coins[0]]
    for value, coin in zip(values[1:], coins[1:], strict=True):
        paid = ["+", paid, ["*", ["num", value], coin]]
    premises: list[Tree] = [["=", paid, ["num", total.group(1)]], *([">=", coin, ["num", "0"]] for coin in coins)]
    return {"kind": "count", "premises": premises, "targets": coins}

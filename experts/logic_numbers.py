"""Reads claims and puzzles about whole numbers in plain English: for every n, is there an x, which number leaves ..."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from typing import Any

from experts.algebra_expression import equation, formula
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
    text = re.sub(
        r"^(?:is|are|must|will) (?:be )?(.+?) (?:be )?((?:greater|larger|bigger|more|less|smaller) than|equal to|at least|at most)",
        r"\1 is \2",
        text,
    )
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

"""Reads arguments in plain English, without a model: if and then, all and some, what follows from what."""
# ruff: noqa: E501 a pattern reads best whole

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from experts.formula import FormulaError, Tree, parse

Task = dict[str, Any]
ASK = re.compile(
    r"^(?:so |now |then |and |hence |therefore |based on (?:this|that|these[a-z ]*),? |from (?:this|that|these[a-z ]*),? |given (?:this|that|these[a-z ]*),? |if so,? )*"
    r"(?:(?:does|do|would|will) (?:it|this|that) (?:necessarily |logically |always )?(?:follow|mean|imply|hold|be true)(?: logically| necessarily)?(?: from (?:this|that|these|the)[a-z ]*)?,?(?: that)?|"
    r"can (?:we|you|one|i|it be) (?:logically |validly |safely |necessarily |definitely )?(?:conclude|infer|deduce|say|be sure|be certain|know|derive|concluded|inferred)(?: with (?:certainty|confidence)| for (?:sure|certain))?(?: from (?:this|that|these)[a-z ]*)?,?(?: that)?|"
    r"(?:is|must|may) it (?:necessarily |always |then |logically |therefore )?(?:be )?(?:true|the case|valid|certain|follow|hold|correct|right|implied|guaranteed)(?: to (?:conclude|say|infer))?,?(?: that)?|"
    r"(?:is|would) the (?:following )?(?:conclusion|inference|statement|claim|argument)(?: be)?(?: logically)? (?:valid|true|correct|sound)?:?|is the conclusion|do we know(?: for sure)?(?: that)?|are we sure that|it follows that|what about|true or false:|is it certain that|does that prove that|do these premises (?:imply|entail)(?: that)?)\s*[:,]?\s*"
)
FOLLOWS = re.compile(
    r"(?:so |then |now )?(?:does|do|must|would|will) (?!it |this |that )(.+?) (?:necessarily |also |then |logically )*(?:follow|hold|be true)(?: as well| too)?"
)
CONCLUSION = re.compile(
    r"^(?:therefore|hence|thus|so|consequently|conclusion|it follows that|we conclude that|then)[,:]?\s+(.+)$"
)
VALID = re.compile(r"\b(?:valid|follow|correct|sound|logical|true)\b")
LEAD = re.compile(
    r"^(?:(?:we|you|i) (?:know|are told|learn|see|observe|find)(?: also)?(?: that)?|(?:suppose|assume|given|it is known|it is given|it is true|imagine|premise(?: ?\d)?|fact(?: ?\d)?|rule(?: ?\d)?|statement(?: ?\d)?|also|and|but|moreover|furthermore|today|now|in fact|consider(?: the following)?|premises|facts|\d[.)])(?: that)?|true:)\s*[:,]?\s+"
)
ARTICLES = frozenset(
    {
        "a",
        "an",
        "the",
        "it",
        "that",
        "then",
        "indeed",
        "also",
        "actually",
        "always",
        "necessarily",
        "must",
        "will",
        "would",
        "be",
        "currently",
        "now",
    }
)
AUXILIARY = {
    "is",
    "are",
    "was",
    "were",
    "am",
    "does",
    "do",
    "did",
    "has",
    "have",
    "had",
    "will",
    "can",
    "must",
    "may",
    "should",
}
NEGATION = re.compile(r"\b(?:not|never|n't|cannot)\b|n't\b|\bfails? to\b")
PLURALS = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "mice": "mouse",
    "children": "child",
    "wolves": "wolf",
    "geese": "goose",
    "fish": "fish",
    "sheep": "sheep",
    "knives": "knife",
    "teeth": "tooth",
    "feet": "foot",
    "leaves": "leaf",
    "cacti": "cactus",
    "fungi": "fungus",
}


@dataclass(slots=True)
class Atoms:
    """Letters for the simple clauses of a text, the same one for the same clause."""

    known: dict[str, str] = field(default_factory=dict)
    meaning: dict[str, str] = field(default_factory=dict)

    def tree(self, clause: str) -> Tree:
        """A letter, or the negation of one. Raises FormulaError for an empty clause."""
        clause = clause.strip(" ,.;:'\"")
        false = re.fullmatch(
            r"(?:it is (?:false|not (?:true|the case)) that (.+)|(.+) (?:is|are) (?:false|not true|untrue)|(.+) (?:does|do|did) not (?:hold|happen|occur)|(.+) fails?(?: to hold)?)",
            clause,
        )
        if false:
            return ["not", self.tree(next(part for part in false.groups() if part))]
        true = re.fullmatch(
            r"(?:it is (?:true|the case) that (.+)|(.+) (?:is|are) true|(.+) (?:holds?|happens|occurs))", clause
        )
        if true:
            return self.tree(next(part for part in true.groups() if part))
        negated = bool(NEGATION.search(clause))
        key = _key(NEGATION.sub(" ", clause))
        if not key:
            raise FormulaError("an empty clause")
        if key not in self.known:
            bare = re.fullmatch(r"[a-z]", clause)
            letter = clause.upper() if bare else next(c for c in _letters() if c not in self.meaning)
            self.known[key], self.meaning[letter] = letter, NEGATION.sub("", clause)
        name: Tree = ["name", self.known[key]]
        return ["not", name] if negated else name


def _letters() -> list[str]:
    return [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *(f"A{number}" for number in range(1000))]


def stem(word: str) -> str:
    """A word without its grammatical ending, crudely: the same for is raining, rains and rained."""
    word = PLURALS.get(word, word)
    for ending, least in (("ies", 5), ("ing", 6), ("ied", 5), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
            break
    return re.sub(r"(.)\1$", r"\1", word).rstrip("e") if len(word) > 3 else word


def _key(clause: str) -> str:
    words = re.findall(r"[a-z0-9]+", clause)
    if len(words) == 1:
        return words[0] if len(words[0]) == 1 else stem(words[0])
    return " ".join(stem(word) for word in words if word not in ARTICLES and word not in AUXILIARY)


def proposition(text: str, atoms: Atoms, depth: int = 0) -> Tree:
    """The formula of a sentence of if, only if, unless, either, or, and, not. Raises FormulaError."""
    text = text.strip(" ,.;:'\"")
    if not text or depth > 6:
        raise FormulaError("no sentence")
    for pattern, shape in SHAPES:
        match = pattern.fullmatch(text)
        if match:
            parts = [proposition(part, atoms, depth + 1) for part in match.groups() if part]
            return _placed(shape, parts)
    return atoms.tree(text)


def _placed(shape: Any, parts: list[Tree]) -> Tree:
    if isinstance(shape, int):
        return parts[shape]
    return [shape[0], *(_placed(part, parts) for part in shape[1:])]


SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(pattern), shape)
    for pattern, shape in (
        (r"it is not (?:true|the case) that (.+)", ("not", 0)),
        (r"(.+?),? if and only if (.+)|(.+?) iff (.+)", ("iff", 0, 1)),
        (
            r"(?:if|whenever|when|provided(?: that)?|assuming(?: that)?|as long as|in case) (.+?)(?:,? then |, )(.+)",
            ("implies", 0, 1),
        ),
        (r"only (?:if|when) (.+?)(?:,? then|,)? (?:does|do|is|are|will|can) (.+)", ("implies", 1, 0)),
        (r"(.+?),? only (?:if|when) (.+)", ("implies", 0, 1)),
        (r"unless (.+?), (.+)", ("or", 0, 1)),
        (r"(.+?),? unless (.+)", ("or", 1, 0)),
        (r"(.+?),? (?:if|whenever|provided that|as long as) (.+)", ("implies", 1, 0)),
        (r"(.+?) (?:implies|means|entails|requires)(?: that)? (.+)", ("implies", 0, 1)),
        (r"(.+?) is (?:sufficient|enough) for (.+)", ("implies", 0, 1)),
        (r"(.+?) is necessary for (.+)", ("implies", 1, 0)),
        (r"neither (.+?) nor (.+)", ("and", ("not", 0), ("not", 1))),
        (r"either (.+?),? or (.+?),? but not both", ("xor", 0, 1)),
        (r"exactly one of (.+?) (?:and|or) (.+?)(?: is true| holds)?", ("xor", 0, 1)),
        (r"at least one of (.+?) (?:and|or) (.+?)(?: is true| holds)?", ("or", 0, 1)),
        (r"(?:either )?(.+?),? or (?:else )?(.+)", ("or", 0, 1)),
        (r"not both (.+?) and (.+)", ("not", ("and", 0, 1))),
        (r"(?:both )?(.+?),? (?:and|but) (.+)", ("and", 0, 1)),
        (r"not (.+)", ("not", 0)),
    )
)


def question(sentence: str) -> str | None:
    """The claim that a question asks about, as a statement; None if it asks about none."""
    follows = FOLLOWS.fullmatch(sentence)
    if follows:
        return follows.group(1)
    asked = ASK.match(sentence)
    if asked and asked.group().strip():
        return sentence[asked.end() :].strip(" :'\"") or ""
    return _turned(sentence)


def _turned(sentence: str) -> str | None:
    """ "Is the road wet" becomes "the road is wet"; "Must U fail to hold" "U fail to hold"."""
    match = re.match(
        r"^(?:so |then |now )?(is|are|was|does|do|did|must|will|can|has|have)\s+(?!there\b|it (?:true|possible)\b)(?:it (?:necessarily )?)?(.+)$",
        sentence,
    )
    if match is None:
        return None
    verb, rest = match.groups()
    if verb in ("is", "are", "was"):
        words = rest.split()
        place = (
            1
            if words
            and words[0] not in ("the", "a", "an", "some", "all", "every", "no", "my", "his", "her", "our", "this")
            else 2
        )
        return " ".join([*words[:place], verb, *words[place:]])
    return rest


def argument(sentences: list[str]) -> Task | None:
    """Premises and what is asked to follow from them, in propositions."""
    parted = split(sentences)
    if parted is None or not any(
        re.search(r"\b(?:if|or|unless|whenever|when|implies|either|neither|iff|only|and|not|provided)\b", one)
        for one in parted[0]
    ):
        return None
    premises, claim = parted
    atoms = Atoms()
    try:
        trees = [proposition(premise, atoms) for premise in premises]
        before = len(atoms.known)
        goal = proposition(claim, atoms)
    except FormulaError:
        return None
    if len(atoms.known) > before and not _letters_only(atoms):
        return None  # the claim speaks of something else than the premises: it was not understood
    legend = {letter: meaning for letter, meaning in atoms.meaning.items() if letter.lower() != meaning.strip()}
    return {"kind": "entails", "premises": trees, "claim": goal, "legend": legend}


def _letters_only(atoms: Atoms) -> bool:
    return all(len(meaning.strip()) == 1 for meaning in atoms.meaning.values())


def split(sentences: list[str]) -> tuple[list[str], str] | None:
    """The premises and the claim of an argument, or None."""
    premises: list[str] = []
    claim: str | None = None
    for sentence in sentences:
        for _ in range(3):
            sentence = LEAD.sub("", sentence)
        concluded, asked = CONCLUSION.match(sentence), question(sentence)
        if concluded and question(concluded.group(1)) is None:
            claim = concluded.group(1)
        elif asked is not None:
            if asked and not (claim and VALID.search(sentence) and len(asked.split()) <= 3):
                claim = re.sub(r"^(?:that|whether) ", "", asked)
        elif sentence:
            premises.append(sentence)
    return (premises, claim) if claim and premises else None


def formal(text: str) -> Task | None:
    """ "Is (p and q) -> p a tautology?", "Is p & ~p satisfiable?" """
    match = re.search(
        r"(?:is|the formula|formula|whether)\s+(?:the )?(?:propositional |boolean |logical )?(?:formula |expression |sentence |statement )?[:'\"]?(.+?)[:'\"]?,? (?:is )?(?:an? )?(?:always )?(tautology|valid|tautological|contradiction|contradictory|satisfiable|unsatisfiable|true for all)",
        text,
    )
    if match is None:
        return None
    try:
        tree = parse(match.group(1), logic=True)
    except FormulaError:
        return None
    kind = match.group(2)
    if kind.startswith("satisf"):
        return {"kind": "satisfiable", "premises": [tree]}
    claim = ["not", tree] if kind.startswith(("contra", "unsat")) else tree
    return {"kind": "entails", "premises": [], "claim": claim}

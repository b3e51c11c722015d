"""Rewriting: a text in, the text changed in a stated way out; compared with the only right result."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from bench.tasks.base import Check, Template
from bench.tasks.checks import candidates, exactly

Item = tuple[str, Check]
ONLY = " Reply with the result only."

SENTENCES = (
    "The quick boat left the harbour before sunrise", "Our teacher keeps three old clocks on her desk",
    "Nobody expected the river to rise so fast", "Every evening the baker feeds two grey cats",
    "A small red kite hangs in the tallest tree", "My brother repairs broken radios at the weekend",
    "They planted seven apple trees behind the school", "The museum opens late on the first Friday",
)  # fmt: skip
FRUIT = ("apple", "banana", "cherry", "date", "elderberry", "fig", "grape", "kiwi", "lemon", "mango", "olive", "pear")

PAST = (
    ("She walks to school and sings.", "She walked to school and sang."),
    ("They buy bread and eat it at once.", "They bought bread and ate it at once."),
    ("He writes letters, seals them and goes to the post office.",
     "He wrote letters, sealed them and went to the post office."),
    ("I see a fox and run home.", "I saw a fox and ran home."),
    ("We find the key, open the box and take the map.", "We found the key, opened the box and took the map."),
)  # fmt: skip
PLURAL = (
    ("The child eats an apple.", "The children eat apples."), ("A mouse hides in the box.", "Mice hide in the boxes."),
    ("The man owns a knife.", "The men own knives."), ("A leaf falls.", "Leaves fall."), ("The dog barks.", "The dogs "
                                                                                                            "bark."),
)  # fmt: skip
SPELLING = (
    ("I recieved the pakage yesterday.", "I received the package yesterday."),
    ("Thier dog is beautifull.", "Their dog is beautiful."),
    ("We will definately meet tommorow.", "We will definitely meet tomorrow."),
    ("The goverment will seperate the two offices.", "The government will separate the two offices."),
    ("It was an embarassing occurence.", "It was an embarrassing occurrence."),
)  # fmt: skip
PASSIVE = (
    ("The cat chased the mouse.", "The mouse was chased by the cat."),
    ("Maria wrote the report.", "The report was written by Maria."),
    ("Two engineers built the bridge.", "The bridge was built by two engineers."),
    ("The storm has destroyed the roof.", "The roof has been destroyed by the storm."),
    ("My aunt will sell the house.", "The house will be sold by my aunt."),
)  # fmt: skip
CONTRACTIONS = (
    ("I do not think that they are late.", "I don't think that they're late."),
    ("She is not here and we cannot wait.", "She isn't here and we can't wait.", "She's not here and we can't wait."),
    ("You should not have said that it is easy.", "You shouldn't have said that it's easy."),
    ("We will see if he does not come.", "We'll see if he doesn't come."),
)  # fmt: skip
NEGATION = (
    ("She likes coffee.", "She does not like coffee.", "She doesn't like coffee."),
    ("They were at home.", "They were not at home.", "They weren't at home."),
    ("He went to Rome.", "He did not go to Rome.", "He didn't go to Rome."),
    ("I can swim.", "I cannot swim.", "I can't swim.", "I can not swim."),
    ("The shop opens on Monday.", "The shop does not open on Monday.", "The shop doesn't open on Monday."),
)  # fmt: skip
QUESTION = (
    ("She can drive.", "Can she drive?"), ("They have eaten.", "Have they eaten?"), ("He plays chess.", "Does he play "
                                                                                                        "chess?"),
    ("The train left early.", "Did the train leave early?"), ("It is raining.", "Is it raining?"),
)  # fmt: skip
GERMAN = (
    ("The house is big.", "Das Haus ist groß.", "Das Haus ist gross."), ("I drink water.", "Ich trinke Wasser."),
    ("Good morning!", "Guten Morgen!", "Guten Morgen"), ("We have two dogs.", "Wir haben zwei Hunde."),
    ("Where is the station?", "Wo ist der Bahnhof?"),
)  # fmt: skip
FORMAL = (
    ("Hi Bob, gotta cancel our meeting. Sorry!", ("hi", "gotta", "sorry!"), "meeting"),
    ("Hey, can you send me the file asap? Thx", ("hey", "asap", "thx"), "file"),
    ("Yo team, the demo was kinda bad, let's fix stuff.", ("yo", "kinda", "stuff"), "demo"),
    ("Nope, I dunno when it's gonna be ready.", ("nope", "dunno", "gonna"), "ready|complet|finish|available"),
)  # fmt: skip


def pairs(instruction: str, table: tuple[tuple[str, ...], ...]) -> Template:
    """A template over a table of (text, right results...)."""

    def template(random: Random) -> Item:
        text, *goals = random.choice(table)
        return f"{instruction}{ONLY}\n{text}", exactly(*goals)

    return template


def mapped(instruction: str, change: Callable[[str], str]) -> Template:
    """A template that changes a sentence by a function."""

    def template(random: Random) -> Item:
        text = random.choice(SENTENCES) + "."
        return f"{instruction}{ONLY}\n{text}", exactly(change(text), change(text).rstrip("."))

    return template


def listing(instruction: str, change: Callable[[list[str]], list[str]], sizes: tuple[int, ...] = (5, 6, 8)) -> Template:
    """A template that changes a list of words, one a line."""

    def template(random: Random) -> Item:
        few = random.sample(FRUIT, 4)  # fewer than lines, so that some line comes twice
        lines = [random.choice(few) for _ in range(random.choice(sizes))]
        goal = "\n".join(change(lines))
        return f"{instruction}{ONLY}\n" + "\n".join(lines), exactly(goal)

    return template


def unique_listing(instruction: str, change: Callable[[list[str]], list[str]]) -> Template:
    """The same with no word twice."""

    def template(random: Random) -> Item:
        lines = random.sample(FRUIT, random.choice((4, 6, 8)))
        return f"{instruction}{ONLY}\n" + "\n".join(lines), exactly("\n".join(change(lines)))

    return template


def formal(random: Random) -> Item:
    text, slang, subject = random.choice(FORMAL)

    def check(answer: str) -> float:
        kept = set(re.findall(r"[a-z']+!?", answer.lower())) & set(slang)
        return float(not kept and 4 <= len(answer.split()) <= 90 and bool(re.search(subject, answer.lower())))

    return f"Rewrite this message in a formal, polite style.{ONLY}\n{text}", check


def shorter(random: Random) -> Item:
    text, keys = random.choice([
        ("The committee met on Monday and, after a debate of three hours, decided to postpone the vote on the new "
         "bridge until the engineers have checked the costs.", ("vote", "bridge")),
        ("Heavy rain flooded the cellar of the town hall last night, and many old maps that had been stored there were "
         "lost.",
         ("rain|flood", "maps")),
        ("Because two of its pilots were ill, the airline cancelled the morning flight to Lisbon and offered all "
         "passengers a seat on the evening plane.", ("airline|flight", "lisbon|evening")),
    ])  # fmt: skip

    def check(answer: str) -> float:
        return float(any(_within(one, keys) for one in candidates(answer)))

    return f"Shorten this to at most ten words and keep the main point.{ONLY}\n{text}", check


def _within(text: str, keys: tuple[str, ...]) -> bool:
    return 3 <= len(text.split()) <= 10 and all(re.search(key, text.lower()) for key in keys)


def _alternate(text: str) -> str:
    return " ".join(word.upper() if i % 2 == 0 else word.lower() for i, word in enumerate(text.split()))


TEMPLATES: dict[str, Template] = {
    "upper": mapped("Turn this sentence into upper case.", str.upper),
    "no_e": mapped("Remove every letter e (small or capital) from this sentence and keep the rest as it is.",
                   lambda text: re.sub("[eE]", "", text)),
    "reverse_words": mapped("Reverse the order of the words in this sentence, without its full stop.",
                            lambda text: " ".join(reversed(text.rstrip(".").split()))),
    "underscores": mapped("Replace every space in this sentence by an underscore.",
                          lambda text: text.replace(" ", "_")),
    "alternate": mapped("Write the 1st, 3rd, 5th ... word of this sentence in capital letters, the other words in "
                        "small letters.", _alternate),
    "vowels": mapped("Replace each vowel (a, e, i, o, u, small or capital) in this sentence by a star *.",
                     lambda text: re.sub("[aeiouAEIOU]", "*", text)),
    "sort": unique_listing("Sort these lines in alphabetical order.", sorted),
    "sort_reverse": unique_listing("Put these lines in reverse alphabetical order.", lambda lines: sorted(lines)[::-1]),
    "unique": listing("Remove lines that occur again, keep the first of each, in the same order.",
                      lambda lines: list(dict.fromkeys(lines))),
    "numbered": unique_listing("Number these lines as '1. ...', '2. ...' and so on.",
                               lambda lines: [f"{i}. {line}" for i, line in enumerate(lines, 1)]),
    "past": pairs("Put this sentence into the simple past.", PAST),
    "plural": pairs("Put every noun of this sentence into the plural and adapt the rest.", PLURAL),
    "spelling": pairs("Correct the spelling mistakes in this sentence.", SPELLING),
    "passive": pairs("Change this sentence into the passive voice, keeping the agent.", PASSIVE),
    "contractions": pairs("Use contractions (such as isn't) wherever possible in this sentence.", CONTRACTIONS),
    "negation": pairs("Negate this sentence.", NEGATION),
    "question": pairs("Turn this statement into a yes/no question.", QUESTION),
    "german": pairs("Translate into German.", GERMAN),
    "formal": formal,
    "shorter": shorter,
}  # fmt: skip

"""A task is a prompt whose answer a program can check; templates make tasks from a seed.

A template is a function of a seeded random generator. All prompts of one template form a group, and a
group is never split between train, validation and test: what is measured on test was not seen in train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

Check = Callable[[str], float]
"""An answer's score in [0, 1]."""

Template = Callable[[Random], tuple[str, Check]]
"""One more prompt of its kind, and how its answer is checked."""

PER_TEMPLATE = 3
ATTEMPTS = 200
SHARES = (("train", 0.50), ("validation", 0.15), ("test", 0.35))


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt with its check. `family` is the domain that reports group by, `group` its template."""

    id: str
    family: str
    group: str
    split: str
    prompt: str
    check: Check = field(compare=False)
    max_tokens: int = 160

    def score(self, answer: str) -> float:
        """How right `answer` is, in [0, 1]."""
        return min(1.0, max(0.0, self.check(answer)))


def make(family: str, templates: Mapping[str, Template], seed: int, max_tokens: int = 160) -> list[Task]:
    """PER_TEMPLATE different prompts of every template."""
    tasks = []
    groups = {name: f"{family}.{name}" for name in templates}
    splits = split(list(groups.values()))
    for name, template in templates.items():
        group = groups[name]
        for number, (prompt, check) in enumerate(_draw(template, Random(f"{seed}.{group}"))):
            tasks.append(Task(f"{group}.{number}", family, group, splits[group], prompt, check, max_tokens))
    return tasks


def _draw(template: Template, random: Random) -> list[tuple[str, Check]]:
    found: dict[str, Check] = {}
    for _ in range(ATTEMPTS):
        prompt, check = template(random)
        found.setdefault(prompt, check)
        if len(found) == PER_TEMPLATE:
            return list(found.items())
    raise ValueError(f"template {template!r} has fewer than {PER_TEMPLATE} different prompts")


def split(groups: list[str]) -> dict[str, str]:
    """The split of each group of one family: shares are exact, who is where depends on the name's hash alone."""
    ordered = sorted(groups, key=lambda group: sha256(group.encode()).hexdigest())
    result, start, share = {}, 0, 0.0
    for name, part in SHARES:
        share += part
        end = round(share * len(ordered))
        result.update(dict.fromkeys(ordered[start:end], name))
        start = end
    return result

"""Prompts with checkable answers: eight families, made by our own templates from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from bench.tasks.base import Task, make

FAMILIES = ("arithmetic", "algebra", "logic", "code", "facts", "rewriting", "extraction", "reading")


def tasks(seed: int = 0, families: Sequence[str] = FAMILIES) -> list[Task]:
    """The tasks of these families, in order; the same for the same seed."""
    found: list[Task] = []
    for family in families:
        module = import_module(f"bench.tasks.{family}")
        found += make(family, module.TEMPLATES, seed, getattr(module, "MAX_TOKENS", 160))
    return found

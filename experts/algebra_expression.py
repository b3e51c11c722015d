"""Reads one expression or equation in plain English into a tree."""

from __future__ import annotations

from typing import Any

from experts.algebra_phrases import EQUAL, PHRASES, bare
from experts.english import rewrite
from experts.formula import RELATIONS, FormulaError, Tree, operators, parse

Task = dict[str, Any]
"""What experts/algebra_engine.py computes."""


def formula(text: str) -> Tree | None:
    """The tree of an English expression without relation, or None."""
    tree = _tree(text, ())
    return None if tree is None or tree[0] in RELATIONS else tree


def equation(text: str) -> Tree | None:
    """The tree of an equation or inequality in English, or None."""
    tree = _tree(text, EQUAL)
    return tree if tree is not None and tree[0] in RELATIONS else None


def _tree(text: str, extra: Any) -> Tree | None:
    text = bare(text)
    try:
        tree = parse(text)
    except FormulaError:
        try:
            tree = parse(bare(rewrite(rewrite(text, extra), PHRASES)))
        except FormulaError:
            return None
    return None if any(name in RELATIONS for part in tree[1:] for name in _inner(part)) else tree


def _inner(part: Any) -> set[str]:
    return operators(part) if isinstance(part, list) else set()

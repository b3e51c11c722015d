"""Whom to ask next, when to stop, and what is it allowed to cost? Deciding is pure; accounting owns its store."""

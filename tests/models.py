"""The real small model that tests ask."""

from __future__ import annotations

from pathlib import Path

from experts.card import Card, Price

FOLDER = Path(__file__).parent.parent / "state" / "weights"
SMALL = "qwen2.5-coder-0.5b-instruct-q4_k_m"
SMALL_CARD = Card("Qwen2.5-Coder 0.5B", context=2048, price=Price(cpu_hour=0.05))

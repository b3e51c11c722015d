"""Records the vectors of sentence-transformers itself, with which the quick suite compares our encoder.

Needs the extra: python -m tests.routers.data.parity FOLDER_OF_THE_MODEL
"""

import json
import sys
from pathlib import Path

TEXTS = [
    "How do I reverse a linked list in Python without using extra memory?",
    "What is 17 * 23?",
    "",
    "   \n\t ",
    "Übersetze „Guten Morgen“ ins Französische – naïve café, señor!",
    "什么是量子纠缠？请用简单的语言解释。",
    "Привет 👋🏽 こんにちは 안녕하세요 ‮mirrored‬ \u0000\u200b end",
    "def fib(n: int) -> int:\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a  # O(n)",
    "∀x∈ℝ: x² ≥ 0 ⇒ ∫₀¹ √x dx = 2/3",
    "antidisestablishmentarianism " * 60,
    "The user is preparing a quarterly report about the cost and quality of several language models. " * 12,
    '{"name": "lyceum", "experts": ["maths", "logic", "code"], "budget_usd": 5.0}',
]
FILE = Path(__file__).with_name("minilm.json")
TOKENS = 128


def vectors(folder: str) -> list[list[float]]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    model.max_seq_length = TOKENS
    rows = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    return [[round(float(value), 6) for value in row] for row in rows]


if __name__ == "__main__":
    FILE.write_text(json.dumps({"tokens": TOKENS, "texts": TEXTS, "vectors": vectors(sys.argv[1])}) + "\n")

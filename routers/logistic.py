"""Logistic regression in numpy: several binary columns with gaps, or one of several classes, by accelerated descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

STEPS = 200


def softmax(logits: Matrix) -> Matrix:
    """Rows of probabilities."""
    import numpy as np

    powers: Matrix = np.exp(logits - logits.max(1, keepdims=True))
    powers /= powers.sum(1, keepdims=True)
    return powers


def sigmoid(logits: Matrix) -> Matrix:
    import numpy as np

    odds: Matrix = np.exp(np.clip(logits, -30.0, 30.0))
    odds /= 1.0 + odds
    return odds


def fit(x: Matrix, y: Matrix, penalty: float, classes: bool, steps: int = STEPS) -> Matrix:
    """Coefficients (F, M) of the least cross-entropy plus penalty/2 * squares, the intercept (column 0) free.

    `y` is in [0, 1]: with `classes` each row is a distribution, else columns are apart and NaN is unknown.
    """
    import numpy as np

    known = np.isfinite(y)
    target, inverse = (
        np.where(known, y, 0.0).astype(np.float32),
        (known / np.maximum(known.sum(0), 1)).astype(np.float32),
    )
    if classes:
        inverse[:] = 1.0 / len(y)
    decay = np.full((x.shape[1], 1), penalty / max(len(y), 1), np.float32)
    decay[0] = 0.0
    step = np.float32(1.0 / (_curvature(x, inverse) * (0.5 if classes else 0.25) + decay.max()))
    link = softmax if classes else sigmoid
    here = ahead = np.zeros((x.shape[1], y.shape[1]), np.float32)
    for turn in range(steps):
        slope = x.T @ ((link(x @ ahead) - target) * inverse) + decay * ahead
        moved = ahead - step * slope
        ahead = moved + np.float32(turn / (turn + 3)) * (moved - here)
        here = moved
    return here


def _curvature(x: Matrix, inverse: Matrix) -> float:
    """The greatest eigenvalue of the weighted second moments of x, from above."""
    import numpy as np

    weight = inverse.max(1)
    vector = np.ones(x.shape[1], np.float32)
    for _ in range(20):
        vector = x.T @ (weight * (x @ vector))
        vector /= np.sqrt(vector @ vector) + 1e-12
    return 1.1 * float(vector @ (x.T @ (weight * (x @ vector)))) + 1e-6

"""The arithmetic of a load run: percentiles, and what one run becomes in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

MICRO = 1e6


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0..1) of the sorted values lie, interpolated; `None` of nothing."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def spread(seconds: Sequence[float]) -> dict[str, float | None]:
    """Percentiles in microseconds."""
    ordered = sorted(seconds)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: None if (value := percentile(ordered, share)) is None else round(value * MICRO, 1)
        for name, share in shares.items()
    }


def middle(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each figure over runs of the same shape; counts of errors are summed."""
    merged: dict[str, Any] = {}
    for key in runs[0]:
        values = [run[key] for run in runs if run.get(key) is not None]
        if key == "errors":
            merged[key] = added(values)
        elif not values:
            merged[key] = None
        elif isinstance(values[0], Mapping):
            merged[key] = middle(values)
        else:
            merged[key] = median(values)
    return merged


def added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, summed."""
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def difference(through: float | None, direct: float | None) -> float | None:
    """What the way through adds."""
    return None if through is None or direct is None else through - direct

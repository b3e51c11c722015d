"""Finds every kind of learned router in `routers/`: a new file there is in the next benchmark, without a registry."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import routers

FIT = ["inputs", "score", "domains"]
"""The first parameters of a head's `fit`."""


def heads() -> dict[str, str]:
    """Import strings of all heads by name: the module's, or the class's where a module has several routers."""
    found = {}
    for module in pkgutil.iter_modules(routers.__path__):
        here = importlib.import_module(f"routers.{module.name}")
        kinds = {name: kind for name, kind in vars(here).items() if getattr(kind, "__module__", "") == here.__name__}
        chosen = [name for name, kind in kinds.items() if _is_head(kind)]
        alone = len(chosen) == 1 and not any(hasattr(kind, "estimate") for kind in kinds.values())
        found.update({module.name if alone else name.lower(): f"routers.{module.name}:{name}" for name in chosen})
    return found


def _is_head(kind: Any) -> bool:
    if not inspect.isclass(kind) or getattr(kind, "_is_protocol", False) or not hasattr(kind, "predict"):
        return False
    fit = getattr(kind, "fit", None)
    return fit is not None and list(inspect.signature(fit).parameters)[: len(FIT)] == FIT

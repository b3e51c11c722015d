"""Saves a tree of frozen dataclasses: arrays as safetensors, all else as JSON. Never pickle.

Classes are named in the JSON by import string; only those of the modules that the caller trusts are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from experts.base import SetupError
from experts.build import load as load_class

ARRAYS, TREE = "router.safetensors", "router.json"
TRUSTED = ("routers",)
"""Packages whose classes a saved tree may name."""


def save(folder: Path, tree: Any, about: Mapping[str, Any]) -> None:
    """Writes `tree` and, beside it in the JSON, `about`. A reader finds the old files or the new ones."""
    import orjson
    from safetensors.numpy import save as save_arrays

    arrays: dict[str, Any] = {}
    body = {**about, "tree": _pack(tree, "", arrays)}
    folder.mkdir(parents=True, exist_ok=True)
    parts = {ARRAYS: save_arrays(arrays), TREE: orjson.dumps(body, option=orjson.OPT_INDENT_2)}
    for name, content in parts.items():
        (folder / f"{name}.part").write_bytes(content)
    for name in parts:
        os.replace(folder / f"{name}.part", folder / name)


def load(folder: Path, trusted: Sequence[str] = TRUSTED) -> tuple[Any, dict[str, Any]]:
    """The tree and what was saved about it. Raises SetupError."""
    import orjson
    import safetensors
    from safetensors.numpy import load_file

    try:
        about: dict[str, Any] = orjson.loads((folder / TREE).read_bytes())
        arrays = load_file(folder / ARRAYS)
        tree = _unpack(about.pop("tree"), arrays, trusted)
    except FileNotFoundError as error:
        raise SetupError(f"router: {folder} holds no router; make one with `lyceum fit`") from error
    except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise SetupError(
            f"router: the files in {folder} are damaged ({error}); make them anew with `lyceum fit`"
        ) from error
    return tree, about


def _pack(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):
        arrays[path] = np.ascontiguousarray(value)
        return {"array": path}
    if is_dataclass(value):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        inside = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return {"use": kind, "fields": {k: _pack(v, f"{path}.{k}" if path else k, arrays) for k, v in inside.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]}
    return value


def _unpack(value: Any, arrays: Mapping[str, Any], trusted: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "tuple" in value:
        return tuple(_unpack(item, arrays, trusted) for item in value["tuple"])
    if value["use"].partition(":")[0].partition(".")[0] not in trusted:
        raise ValueError(f"{value['use']!r} is not a class of {', '.join(trusted)}")
    kind = load_class(value["use"], "router")
    return kind(**{name: _unpack(item, arrays, trusted) for name, item in value["fields"].items()})

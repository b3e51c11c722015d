"""Saves a tree of frozen dataclasses: arrays as safetensors, all else as JSON. Never pickle.

Classes are named in the JSON by import string; only those of the modules that the caller trusts are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
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
    body = {**about, "tree": _pack(tree, "router", arrays, {})}
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
        tree = _Unpacker(arrays, trusted).unpack(about.pop("tree"))
    except FileNotFoundError as error:
        raise SetupError(f"router: {folder} holds no router; make one with `lyceum fit`") from error
    except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise SetupError(
            f"router: the files in {folder} are damaged ({error}); make them anew with `lyceum fit`"
        ) from error
    return tree, about


def _pack(value: Any, path: str, arrays: dict[str, Any], places: dict[int, str]) -> Any:
    """JSON for `value`; an object that occurs twice is saved once."""
    import numpy as np

    if isinstance(value, np.ndarray):
        first = places.setdefault(id(value), path)
        arrays.setdefault(first, np.ascontiguousarray(value))
        return {"array": first}
    if is_dataclass(value):
        first = places.setdefault(id(value), path)
        return _fields(value, path, arrays, places) if first == path else {"same": first}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, f"{path}.{i}", arrays, places) for i, item in enumerate(value)]}
    return value


def _fields(value: Any, path: str, arrays: dict[str, Any], places: dict[int, str]) -> Any:
    inside = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    kind = f"{type(value).__module__}:{type(value).__qualname__}"
    return {
        "use": kind,
        "path": path,
        "fields": {k: _pack(v, f"{path}.{k}", arrays, places) for k, v in inside.items()},
    }


@dataclass
class _Unpacker:
    arrays: Mapping[str, Any]
    trusted: Sequence[str]
    made: dict[str, Any] = field(default_factory=dict)

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "array" in value:
            return self.arrays[value["array"]]
        if "same" in value:
            return self.made[value["same"]]
        if "tuple" in value:
            return tuple(map(self.unpack, value["tuple"]))
        return self._object(value)

    def _object(self, value: Mapping[str, Any]) -> Any:
        if value["use"].partition(":")[0].partition(".")[0] not in self.trusted:
            raise ValueError(f"{value['use']!r} is not a class of {', '.join(self.trusted)}")
        kind = load_class(value["use"], "router")
        made = kind(**{name: self.unpack(item) for name, item in value["fields"].items()})
        self.made[value["path"]] = made
        return made

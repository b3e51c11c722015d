"""Makes an object from a configuration table: `use` names a class by import string, the other keys are its arguments.

Import strings come from the operator's file alone, never from a request.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from experts.base import SetupError
from experts.card import Card, Price

Resolve = Callable[[str, str], Any]
"""Finds what a key names: (path of the key, name) -> object. Raises SetupError."""

CARD_KEYS = frozenset(field.name for field in fields(Card))


def load(use: str, path: str) -> Any:
    """The object of an import string `module:name`. Raises SetupError that names the configuration path."""
    module_name, _, name = use.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SetupError(f"{path}: cannot import {use!r}: {error}") from error


def build(
    table: Mapping[str, Any], path: str, given: Mapping[str, Any] | None = None, resolve: Resolve | None = None
) -> Any:
    """The object that `table` describes. `given` holds arguments that are passed where the class takes them;
    `resolve` finds the experts that string values of Expert-typed arguments name. Raises SetupError."""
    if not isinstance(table.get("use"), str):
        raise SetupError(f'{path}.use: say which class, such as use = "module:Class"')
    factory = load(table["use"], path + ".use")
    parameters, hints = inspect.signature(factory).parameters, _hints(factory)
    arguments: dict[str, Any] = {key: value for key, value in (given or {}).items() if key in parameters}
    values = {key: value for key, value in table.items() if key != "use"}
    if "card" in parameters and "card" not in arguments:
        arguments["card"] = card({key: values.pop(key) for key in CARD_KEYS & values.keys()}, path)
    known = sorted((set(parameters) - arguments.keys()) | (CARD_KEYS if "card" in parameters else set()))
    for key, value in values.items():
        check_key(key, known, f"{path}.{key}")
        arguments[key] = _value(value, hints.get(key, Any), f"{path}.{key}", given, resolve)
    return _call(factory, arguments, parameters, path)


def card(table: Mapping[str, Any], path: str) -> Card:
    """The card of an expert from the keys of its table."""
    values = dict(table)
    if "price" in values:
        for key in values["price"]:
            check_key(key, sorted(field.name for field in fields(Price) if field.init), f"{path}.price.{key}")
    return typing.cast(Card, convert(values, Card, path))


def check_key(key: str, known: list[str], path: str) -> None:
    """Raises SetupError for an unknown key, with the nearest known one."""
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise SetupError(f"{path}: unknown key; {hint}")


def _call(factory: Any, arguments: dict[str, Any], parameters: Mapping[str, inspect.Parameter], path: str) -> Any:
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if required and name not in arguments:
            raise SetupError(f"{path}.{name}: this key is missing")
    try:
        return factory(**arguments)
    except (ValueError, TypeError) as error:
        raise SetupError(f"{path}: {error}") from error


def _hints(factory: Any) -> dict[str, Any]:
    target = factory.__init__ if inspect.isclass(factory) and not is_dataclass(factory) else factory
    try:
        return typing.get_type_hints(target)
    except NameError:  # a type that only the type checker imports
        return {}


def _value(value: Any, hint: Any, path: str, given: Mapping[str, Any] | None, resolve: Resolve | None) -> Any:
    if isinstance(value, dict) and "use" in value:
        return build(value, path, given, resolve)
    if resolve is not None and _names_expert(hint):
        return [resolve(path, item) for item in value] if isinstance(value, list) else resolve(path, value)
    if hint is Any or not _plain(hint):
        return value
    return convert(value, hint, path)


def _names_expert(hint: Any) -> bool:
    parts = (hint, *typing.get_args(hint))
    return any(getattr(part, "__name__", "") == "Expert" for part in parts)


def _plain(hint: Any) -> bool:
    """Whether msgspec can check the hint: protocols and arrays pass unchecked."""
    if getattr(hint, "_is_protocol", False):
        return False
    arguments = typing.get_args(hint)
    return all(_plain(argument) for argument in arguments if not isinstance(argument, types.EllipsisType))


def convert(value: Any, hint: Any, path: str) -> Any:
    """`value` as the type `hint`. Raises SetupError that names the key below `path`."""
    if is_dataclass(hint) and isinstance(value, dict):
        for key in value:  # msgspec passes over keys that it does not know
            check_key(key, sorted(field.name for field in fields(hint)), f"{path}.{key}")
    try:
        return msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise SetupError(f"{path}{where.strip('`').removeprefix('$')}: {what}") from error

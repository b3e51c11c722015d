"""Writes the reference pages from the code itself, so that they cannot go stale: `make docs`."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("gateway", "bench", "policies", "routers", "experts")
KINDS = {"experts": ("stream",), "routers": ("estimate", "encode", "predict"), "policies": ("decide",)}
"""The methods of a room's classes that a configuration can name."""

NOT_KEYS = frozenset({"name", "card", "inputs", "score", "domains"})
"""Arguments that the gateway gives."""

NOT_NAMED = frozenset({"routers.costs:Costs", "routers.learned:Learned"})
"""Parts of what `lyceum fit` makes."""

TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


def main() -> int:
    """Writes every page."""
    for name, text in pages().items():
        (REPOSITORY / "docs" / name).write_text(text)
    return 0


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    return {"reference.md": reference(), "files.md": files()}


def reference() -> str:
    """Addresses, commands, configuration, errors, metrics."""
    sections = {
        "Addresses": table(("address", "what it does"), routes()),
        "Commands": table(("command", "what it does", "options"), commands()),
        "Configuration": "One TOML file: `--config`, else `./lyceum.toml`, else the one that comes with Lyceum.\n\n"
        + "\n\n".join(configuration()),
        "Errors": "Bodies are OpenAI's: `error.type`, `error.code`, `error.message`, `error.param`.\n\n"
        + table(("code", "status", "type", "message", "a retry can help"), errors()),
        "Metrics": table(("metric", "kind", "what it counts"), metrics()),
    }
    head = "# Reference\n\nGenerated from the code by `make docs`; a test holds it to the code.\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())


def files() -> str:
    """Every module and the sentence it opens with."""
    text = "# Files\n\nGenerated from the modules' first sentences by `make docs`. Imports point down the page only.\n"
    for room in ROOMS:
        rows = [
            (f"`{path.relative_to(REPOSITORY).as_posix()}`", sentence(ast.get_docstring(ast.parse(path.read_text()))))
            for path in sorted((REPOSITORY / room).rglob("*.py"))
            if path.name != "__init__.py"
        ]
        about = sentence(importlib.import_module(room).__doc__)
        text += f"\n## {room}\n\n{about}\n\n{table(('file', 'what it is for'), rows)}\n"
    return text


def routes() -> Iterator[tuple[str, ...]]:
    """Each address and its handler's sentence, which opens with the address."""
    from gateway.handlers import Door

    for (method, path), handler in Door.__new__(Door).handlers().items():
        address, _, about = sentence(handler.__doc__).rstrip(".").partition(": ")
        yield f"`{address}`" if address.startswith(f"{method} {path}") else f"`{method} {path}`", about


def commands() -> Iterator[tuple[str, ...]]:
    """Each command, its help, its options."""
    from gateway.__main__ import COMMANDS

    for name, (module_name, about) in COMMANDS.items():
        module = importlib.import_module(module_name)
        parser = argparse.ArgumentParser(add_help=False)
        module.arguments(parser)
        options = [" ".join(action.option_strings) or action.dest for action in parser._actions]
        yield f"`lyceum {name}`", f"{about}: `{module.EXAMPLE}`", " ".join(f"`{option}`" for option in options)


def errors() -> Iterator[tuple[str, ...]]:
    """The rows of the gateway's one table."""
    from gateway.errors import ERRORS

    for code, row in ERRORS.items():
        yield f"`{code}`", str(row.status), f"`{row.type}`", row.message, "yes" if row.retry else "no"


def metrics() -> Iterator[tuple[str, ...]]:
    """What `/metrics` shows."""
    from gateway.metrics import Metrics

    for metric in Metrics().collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        yield f"`{name}`", metric.type, metric.documentation


def configuration() -> Iterator[str]:
    """The tables of the file, then the classes that they can name."""
    from experts.card import Card, Price
    from gateway.config import Server, State
    from gateway.terms import Accounts, Budget
    from gateway.tiers import Tiers

    tables = {"server": Server, "state": State, "tiers": Tiers, "accounts": Accounts, "budgets.NAME": Budget}
    for title, kind in tables.items():
        yield f"`[{title}]`\n\n" + table(("key", "default", "what it means"), keys(kind))
    yield "`[rates.NAME]`: `scope` as of a budget, and `requests_per_minute`, `tokens_per_minute`, `concurrent`."
    yield (
        "`[keys.NAME]`: `env` names the variable that holds a client's key, or `sha256` is the key's hash; `org`,"
        " `team`, `user` for budgets; `experts` and `policies` are the only ones that it may ask."
    )
    yield "`[experts.NAME]`: `use`, the keys of its class, and its card:\n\n" + table(
        ("key", "default", "what it means"), keys(Card)
    )
    yield "`price = { ... }`, US dollars per million tokens:\n\n" + table(
        ("key", "default", "what it means"), keys(Price)
    )
    for room, methods in KINDS.items():
        yield f"What `use` can name in `{room}`:\n\n" + table(("use", "keys", "what it is"), classes(room, methods))


def keys(kind: Any) -> Iterator[tuple[str, ...]]:
    """The fields of a dataclass, with the docstrings below them."""
    about = field_docs(kind)
    for field in dataclasses.fields(kind):
        yield (
            f"`{field.name}`",
            f"`{_default(field)}`",
            about.get(field.name, TYPES.get(str(field.type), f"`{field.type}`")),
        )


def classes(room: str, methods: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The public classes of a room that a configuration can name, with their keys."""
    for info in pkgutil.walk_packages([str(REPOSITORY / room)], room + "."):
        module = importlib.import_module(info.name)
        found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if nameable(kind, info.name, methods)]
        for kind in found:
            about = module.__doc__ if len(found) == 1 else kind.__doc__
            yield f"`{info.name}:{kind.__name__}`", parameters(kind), sentence(about)


def nameable(kind: Any, module: str, methods: Iterable[str]) -> bool:
    """Whether a configuration can name this class of a module."""
    own = kind.__module__ == module and not kind.__name__.startswith("_") and not getattr(kind, "_is_protocol", False)
    listed = f"{module}:{kind.__name__}" not in NOT_NAMED
    return own and listed and any(inspect.isfunction(getattr(kind, method, None)) for method in methods)


def parameters(kind: Any) -> str:
    """The keys of a class: the arguments of its constructor, or of `fit` for what is learned."""
    signature = inspect.signature(getattr(kind, "fit", kind))
    return " ".join(f"`{key}`" for key in signature.parameters if key not in NOT_KEYS)


def field_docs(kind: type) -> dict[str, str]:
    """The strings that stand below the fields of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    docs: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, below in zip(statements, statements[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            docs[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return docs


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        default = sorted(field.default) if isinstance(field.default, frozenset) else field.default
        return repr(default)
    return "{}" if field.default_factory is not dataclasses.MISSING else "required"


def sentence(text: str | None) -> str:
    """The first sentence of a docstring, on one line."""
    first = " ".join((text or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", first)[0]


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    sys.exit(main())

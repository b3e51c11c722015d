"""The command `lyceum keys`: virtual keys of clients, made, listed, rotated and revoked; a running gateway sees it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experts.base import SetupError
from gateway import config
from gateway.admin import shown
from gateway.auth import Virtual
from gateway.fit import config_argument
from policies.keys import Key, Keys

HELP = "virtual keys of clients: create, list, rotate, revoke"
EXAMPLE = "lyceum keys create --name ada --team ml --days 90"
DAY = 86_400.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("id", nargs="?", default="", help="the key, for rotate and revoke: its id from the list")
    for name in ("name", "org", "team", "user"):
        parser.add_argument(f"--{name}", default="", help=f"the key's {name}")
    for name in ("experts", "policies"):
        parser.add_argument(f"--{name}", nargs="+", default=(), help=f"the only {name} it may ask; default: all")
    parser.add_argument("--days", type=float, help="how long a new key is good; default: until it is revoked")
    parser.add_argument("--grace", type=float, default=0.0, help="seconds for which a rotated key's old secret is good")
    parser.add_argument("--json", action="store_true", help="the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Does it; SetupError when there is no such key."""
    settings = config.read(config.path(args.config))
    for name, known in (("experts", settings.experts), ("policies", ["auto", *settings.policies])):
        if wrong := [each for each in getattr(args, name) if each not in known]:
            raise SetupError(f"--{name}: the configuration has no {wrong[0]!r}; known: {', '.join(known)}")
    return asyncio.run(_run(args, Path(settings.state.folder)))


async def _run(args: argparse.Namespace, folder: Path) -> int:
    keys = Virtual(folder).opened()
    try:
        await ACTIONS[args.action](keys, args, Console())
    finally:
        await keys.close()
    return 0


async def create(keys: Keys, args: argparse.Namespace, console: Console) -> None:
    """A new key and its secret, this once."""
    about = {name: getattr(args, name) for name in ("org", "team", "user")}
    about |= {name: tuple(getattr(args, name)) for name in ("experts", "policies")}
    key, secret = await keys.create(args.name, seconds=None if args.days is None else args.days * DAY, **about)
    _show(console, args.json, {**shown(key), "secret": secret}, f"{secret}\nkey {key.id}; the secret is not kept")


async def listed(keys: Keys, args: argparse.Namespace, console: Console) -> None:
    """All keys, also those that ended."""
    if args.json:
        console.print_json(data=[shown(key) for key in keys.list()])
        return
    table = Table("id", "name", "org", "team", "user", "experts", "policies", "good until")
    for key in keys.list():
        words = (key.id, key.name, key.org, key.team, key.user, " ".join(key.experts), " ".join(key.policies))
        table.add_row(*words, _until(key))
    console.print(table)


async def rotate(keys: Keys, args: argparse.Namespace, console: Console) -> None:
    """A new secret for a key."""
    secret = await keys.rotate(args.id, args.grace)
    if secret is None:
        raise _unknown(args.id)
    _show(console, args.json, {"id": args.id, "secret": secret}, f"{secret}\nthe secret is not kept")


async def revoke(keys: Keys, args: argparse.Namespace, console: Console) -> None:
    """Ends a key at once."""
    if not await keys.revoke(args.id):
        raise _unknown(args.id)
    _show(console, args.json, {"id": args.id, "revoked": True}, f"{args.id} is revoked")


ACTIONS: dict[str, Callable[[Keys, argparse.Namespace, Console], Awaitable[None]]] = {
    "create": create,
    "list": listed,
    "rotate": rotate,
    "revoke": revoke,
}


def _unknown(name: str) -> SetupError:
    return SetupError(f"id {name!r}: there is no such key, or it has been revoked; see `lyceum keys list`")


def _until(key: Key) -> str:
    if key.revoked is not None:
        return "revoked"
    return "" if key.expires is None else datetime.fromtimestamp(key.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _show(console: Console, as_json: bool, data: dict[str, Any], text: str) -> None:
    if as_json:
        console.print_json(data=data)
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

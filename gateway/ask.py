"""The command `lyceum ask`: an answer in the terminal, with who gave it, why, and at what cost."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from experts.base import SetupError
from gateway import compose, config
from gateway.config import Config
from gateway.fit import config_argument

if TYPE_CHECKING:
    import httpx2

HELP = "ask a running gateway: the answer, who gave it, why, at what cost"
EXAMPLE = 'lyceum ask "What is 17 * 23?" --model auto'
SECONDS = 600


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    config_argument(parser)
    parser.add_argument("prompt", help="what to ask")
    parser.add_argument("--model", default="auto", help="auto, auto:DOLLARS, a policy or an expert; default: auto")
    parser.add_argument("--url", help="the gateway; default: the configuration's address")
    parser.add_argument("--json", action="store_true", help="the answer and its decision as JSON")


def run(args: argparse.Namespace) -> int:
    """Asks, prints; SetupError when no gateway answers."""
    import httpx2  # some megabytes that a gateway, which knows this module, does without

    settings = config.read(config.path(args.config))
    url = args.url or f"http://{settings.server.host}:{settings.server.port}"
    console = Console()
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key(settings)}"}, timeout=SECONDS) as client:
        body = {"model": args.model, "messages": [{"role": "user", "content": args.prompt}]}
        with Console(stderr=True).status("waiting for the answer"):
            answer = fetch(client, "POST", "/v1/chat/completions", body)
        story = fetch(client, "GET", f"/v1/decisions/{answer.headers['x-lyceum-decision']}")
    if args.json:
        console.print_json(data={"answer": answer.json(), "decision": story.json()})
        return 0
    console.print(answer.json()["choices"][0]["message"]["content"], markup=False, highlight=False)
    show(console, story.json())
    return 0


def key(settings: Config) -> str:
    """The key to present: the variable LYCEUM_KEY, else the local one."""
    given = os.environ.get("LYCEUM_KEY")
    path = compose.key_path(settings)
    if given or not path.exists():
        return given or ""
    return path.read_text().strip()


def fetch(client: httpx2.Client, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    """A good response. Raises SetupError for a gateway that is not there or that refuses."""
    import httpx2

    try:
        response = client.request(method, path, json=body)
    except httpx2.TransportError as error:
        raise SetupError(f"no gateway answers at {client.base_url}: start one with `lyceum serve`") from error
    if response.is_success:
        return response
    message = response.json().get("error", {}).get("message", "") if response.content else ""
    raise SetupError(f"the gateway refused with {response.status_code}: {message}")


def show(console: Console, story: dict[str, Any]) -> None:
    """Who answered, why, and what every candidate was expected to bring."""
    console.print()
    for decision in story["decisions"]:
        console.print(
            f"{decision['kind']} {', '.join(decision['experts'])}: {decision['why']}", style="bold", markup=False
        )
    table = Table("expert", "quality", "cost $", "seconds", "what came of it")
    outcomes = {outcome["expert"]: outcome for outcome in story["outcomes"]}
    for name, estimate in story["decisions"][0]["estimates"].items():
        quality = f"{estimate['quality']:.2f} ± {estimate['std']:.2f}"
        table.add_row(
            name, quality, f"{estimate['cost'] / 1e9:.7f}", f"{estimate['latency']:.1f}", came(outcomes.get(name))
        )
    console.print(table)
    cost = "unknown" if story["cost"] is None else f"${story['cost'] / 1e9:.9f}"
    for price in story.get("prices", ()):
        console.print(priced(price, story["outcomes"]), highlight=False, soft_wrap=True)
    first = story["decisions"][0]
    by = f"policy {first['policy']}, policies' hash {first['policy_hash'] or 'unknown'}"
    console.print(f"cost {cost}, decision {story['id']}, {by}", highlight=False, soft_wrap=True)


def priced(price: dict[str, Any], outcomes: list[dict[str, Any]]) -> str:
    """What a version of prices was, and whose."""
    whose = ", ".join(sorted({outcome["expert"] for outcome in outcomes if outcome["price"] == price["version"]}))
    if price["usd"] is None:
        return f"prices {price['version']} of {whose} are damaged"
    hour = price["usd"].pop("cpu_hour", 0.0)
    kinds = ", ".join(f"{kind} ${usd:g}" for kind, usd in price["usd"].items())
    return f"prices {price['version']} of {whose}: {kinds} for a million tokens, ${hour:g} for an hour of CPU"


def came(outcome: dict[str, Any] | None) -> str:
    """One outcome in a few words."""
    if outcome is None:
        return ""
    if outcome["kind"] == "failure":
        return str(outcome["reason"])
    return f"answered in {outcome['total']:.2f} s, {outcome['completion_tokens'] or '?'} tokens"

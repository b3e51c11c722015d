"""Makes the school that a configuration describes, fitting its router on the first start."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experts.base import SetupError
from experts.build import build, check_key, load
from gateway import terms
from gateway.auth import Keys, Virtual, admin, digest, from_table, local_key
from gateway.books import Books
from gateway.config import Builder, Config, of
from gateway.encoder import CHARACTERS, EncoderClient
from gateway.handlers import Door
from gateway.health import Tolerance
from gateway.idempotency import Idempotency
from gateway.money import Money, alarmed
from gateway.prompts import FILE as PROMPTS
from gateway.prompts import Keeper
from gateway.replays import Replays
from gateway.school import School
from gateway.stored import Stored
from gateway.words import Words
from policies import prices
from policies.accounts import Accounts
from policies.base import Policy
from policies.ledger import Ledger
from routers.base import Encoder, Router
from routers.fit import WORDS, check_encoder, fit, load_router, word_vector
from routers.learned import Learned
from routers.saved import TREE

FITTED = ("inputs", "score", "domains")
"""Arguments that fitting gives a head; all others are the operator's."""

LOCAL = "local"
"""The name of the key that is made when the configuration has none."""


def school(config: Config) -> School:
    """The school, nothing started. Raises SetupError."""
    builder = Builder(config)
    experts = builder.experts()
    policy, policies = builder.policies()
    for name, named in policies.items():
        if terms.daily(named):
            raise SetupError(f"policies.{name}: usd_per_day belongs into [policy], where it holds for every request")
    encoder = builder.encoder()
    folder = Path(config.state.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"state.folder: cannot make {folder}: {error.strerror}") from error
    ledger = Ledger.open(folder / "ledger.sqlite", config.state.durability)
    prices.keep(ledger.path, [expert.card.price for expert in experts.values()], time.time())
    made, client = router(config, encoder), client_of(config, encoder)
    return School(
        experts,
        made,
        policy,
        Books(ledger, money(config, policy), policy_hash=config.policy_hash),
        policies,
        client,
        words_of(config, made),
        config.server.continue_answers,
        tolerance=Tolerance(config.server.failures_in_a_row, config.server.failure_share, config.server.slow_times),
        tiers=config.tiers,
    )


def money(config: Config, policy: Policy) -> Money:
    """The budgets and rates, in their store if there are any. Raises SetupError."""
    limits, rates = (*terms.budgets(config.budgets), *terms.daily(policy)), terms.rates(config.rates)
    if not limits and not rates:
        return Money(None)
    place = config.accounts.place(Path(config.state.folder))
    return Money(Accounts.open(place, limits, rates, alarm=alarmed), config.accounts)


def client_of(config: Config, encoder: Encoder | None) -> EncoderClient | None:
    """The way to the encoder's process: the encoder itself is never loaded here."""
    if encoder is None:
        return None
    return EncoderClient(config.server.encoder_seconds, getattr(encoder, "characters", CHARACTERS))


def router(config: Config, encoder: Encoder | None) -> Router:
    """The router: built at once if its class needs no training, else the fitted one, fitted now if there is none."""
    if not hasattr(load(config.router.get("use", ""), "router.use"), "fit"):
        made: Router = build(config.router, "router")
    else:
        prepare(config)
        made = load_router(router_folder(config))
    if encoder is not None:
        check_encoder(made, encoder)
    return made


def words_of(config: Config, router: Router) -> Words | None:
    """Deciding by words alone, if such a router was fitted with this one."""
    folder = router_folder(config) / WORDS
    if not isinstance(router, Learned) or not (folder / TREE).exists():
        return None
    return Words(load_router(folder), word_vector())


def prepare(config: Config) -> None:
    """Makes what several workers would else make at once: the local key, and the fitted router. Raises SetupError."""
    keys(config)
    learns = hasattr(load(config.router.get("use", ""), "router.use"), "fit")
    if learns and not (router_folder(config) / TREE).exists():
        fit_apart(config)


def fit_apart(config: Config) -> None:
    """Fits in a process of its own: what it imports would stay in the gateway's memory. Raises SetupError."""
    tables = json.dumps({key: value for key, value in asdict(config).items() if value is not None})
    command = [sys.executable, "-P", "-c", "from gateway.compose import fit_here; fit_here()"]
    ended = subprocess.run(command, input=tables, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        said = ended.stdout.strip().splitlines() or [f"router: fitting ended with {ended.returncode}"]
        raise SetupError(said[-1])


def fit_here() -> None:
    """Fits the router of the configuration that comes on standard input; says on standard output what is wrong."""
    sys.path.append(str(Path.cwd()))
    try:
        settings = of(json.load(sys.stdin))
        fit_router(settings, Builder(settings).encoder())
    except SetupError as error:
        sys.stdout.write(str(error))
        sys.exit(2)


def fit_router(config: Config, encoder: Encoder | None, outcomes: Path | None = None) -> None:
    """Fits the configured router from an outcome table into the state folder. Raises SetupError."""
    given = options(config)
    if encoder is None:
        raise SetupError("encoder: this table is missing, and the router learns from vectors")
    today = datetime.now(UTC).date().isoformat()
    fit(outcomes or outcomes_path(config), encoder, router_folder(config), today, config.router["use"], given)


def options(config: Config) -> dict[str, Any]:
    """What the configuration tells the head of a router that learns. Raises SetupError."""
    head = load(config.router.get("use", ""), "router.use")
    given = {key: value for key, value in config.router.items() if key != "use"}
    known = [name for name in inspect.signature(getattr(head, "fit", head)).parameters if name not in FITTED]
    for key in given:
        check_key(key, known, f"router.{key}")
    return given


def router_folder(config: Config) -> Path:
    """Where the fitted router lies."""
    return Path(config.state.folder) / "router"


def outcomes_path(config: Config) -> Path:
    """The outcome table: the operator's, or the one that comes with the product."""
    if config.state.outcomes:
        return Path(config.state.outcomes)
    return Path(__file__).parent.parent / "routers" / "data" / "outcomes.parquet"


def keys(config: Config) -> Keys:
    """The configured keys, or without any one local key in the state folder; and the virtual ones there."""
    if config.keys:
        made = from_table(config.keys)
    else:
        try:
            made = Keys({LOCAL: digest(local_key(key_path(config)))})
        except OSError as error:
            raise SetupError(f"{key_path(config)}: cannot keep the local key: {error.strerror}") from error
    made.virtual = Virtual(Path(config.state.folder))
    return made


def key_path(config: Config) -> Path:
    """Where the local key lies."""
    return Path(config.state.folder) / "key"


def door(config: Config) -> Door:
    """The door with everything behind it."""
    made, known = school(config), keys(config)
    made.books.guard(known)
    if config.prompts.keys:
        made.books.prompts = Keeper(Path(config.state.folder) / PROMPTS, config.prompts)
    return Door(
        made,
        known,
        admin_key=admin(config.server.admin_key_env),
        names_expert=config.server.answer_model == "expert",
        once=idempotency(config),
        stored=stored(config),
    )


def stored(config: Config) -> Stored | None:
    """Keeps responses, if the operator allows."""
    if not config.server.store_responses:
        return None
    return Stored(Path(config.state.folder) / "responses.sqlite", config.server.response_days)


def idempotency(config: Config) -> Idempotency | None:
    """Keeps answers for a replay, if the operator allows."""
    hours = config.server.idempotency_hours
    return Idempotency(Replays(Path(config.state.folder) / "replays.sqlite", hours)) if hours else None

"""The operator's file: TOML that names classes by import string; an error names its key and the mend."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from experts.base import Expert, SetupError
from experts.build import build, check_key, convert
from gateway import terms
from gateway.auth import TABLE
from gateway.prompts import Prompts
from gateway.terms import Accounts
from gateway.tiers import Tiers
from policies.base import Policy
from policies.ledger import Durability
from routers.base import Encoder


@dataclass(frozen=True, slots=True)
class Server:
    """Where the gateway listens and what it takes."""

    host: str = "127.0.0.1"
    port: int = 8000
    body_mb: float = 32.0
    admin_key_env: str = ""
    """The environment variable that holds the key for `/admin`; empty: nobody may go there."""
    answer_model: str = "expert"
    """What `model` says in an answer: the `expert` that gave it, or the model that was `requested`."""
    workers: int = 0
    """Processes that serve, best one a core. 0 serves in one process alone; from 1 on a parent restarts those that die
    and takes a changed file on SIGHUP, without a failed request."""
    continue_answers: bool = True
    """Whether another expert may go on with a streamed answer that breaks off; the answer says so."""
    drain_seconds: float = 0.0
    """After a signal to end, how long new connections are still taken while `/readyz` says 503: for load balancers."""
    failures_in_a_row: int = 5
    """After so many an expert is left out for seconds, and tried by one request at a time; 0 leaves nobody out."""
    failure_share: float = 0.25
    """The share of an expert's last 20 answers that may fail or be slow before it rests for a while; 0: any."""
    slow_times: float = 8.0
    """An answer that takes so many times longer than that expert's usual counts as failed in that share; 0: none."""
    encoder_seconds: float = 0.25
    """How long a request may wait for its prompt's vector; then it is routed without one, and its decision says so."""

    store_responses: bool = True
    """Whether answers of /v1/responses are kept, prompts included, as OpenAI does unless a client says `store: false`:
    `previous_response_id` and `GET /v1/responses/{id}` need it. `false` keeps none."""
    response_days: float = 30.0
    """How long they are kept."""
    idempotency_hours: float = 24.0
    """How long answers to requests with an Idempotency-Key are kept for a replay; 0 ignores the header."""

    def __post_init__(self) -> None:
        if self.answer_model not in ("expert", "requested"):
            raise SetupError('server.answer_model: give "expert" or "requested"')
        if not 0 <= self.port <= 65535:
            raise SetupError("server.port: give a number from 0 to 65535")
        if self.response_days <= 0:
            raise SetupError("server.response_days: give a number of days above 0, or store_responses = false")
        if not 0 <= self.workers <= 256:
            raise SetupError("server.workers: give a number from 0 to 256, best the number of cores")
        if not 0 <= self.drain_seconds <= 600:
            raise SetupError("server.drain_seconds: give seconds from 0 to 600")
        if not 0 <= self.failure_share <= 1:
            raise SetupError("server.failure_share: give a share from 0 to 1")
        if self.slow_times and self.slow_times < 2:
            raise SetupError("server.slow_times: give 2 or more, or 0 to let experts be slow")
        if not 0 < self.encoder_seconds <= 60:
            raise SetupError("server.encoder_seconds: give seconds above 0, at most 60")


@dataclass(frozen=True, slots=True)
class State:
    """Where the gateway keeps what lasts: the ledger, the router, weights, the local key."""

    folder: str = "state"
    outcomes: str = ""
    """The outcome table from which a missing router is fitted; empty: the one that comes with us."""
    durability: Durability = "normal"
    """What a row of the ledger survives before an answer that depends on it is given: `normal`, the end of every
    process, also by kill -9; `full`, a power cut as well, for one wait on the disk more an answer."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked as far as it can be without starting anything."""

    experts: Mapping[str, Mapping[str, Any]]
    router: Mapping[str, Any]
    policy: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoder: Mapping[str, Any] | None = None
    server: Server = Server()
    state: State = State()
    accounts: Accounts = Accounts()
    prompts: Prompts = Prompts()
    tiers: Tiers = Tiers()
    budgets: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, Any] = field(default_factory=dict)

    @property
    def policy_hash(self) -> str:
        """Of all policies as they are written: decisions name it, so that a file that is kept can be told as theirs."""
        told = orjson.dumps([self.policy, self.policies], option=orjson.OPT_SORT_KEYS)
        return f"{crc32(told):08x}"


SECTIONS = (("server", Server), ("state", State), ("accounts", Accounts), ("prompts", Prompts), ("tiers", Tiers))
TABLES = tuple(field.name for field in fields(Config))


EMBEDDED = Path(__file__).with_name("lyceum.toml")
"""The configuration that comes with us."""


def path(given: Path | None) -> Path:
    """The configuration file: the one given, else ./lyceum.toml, else the embedded school."""
    own = Path("lyceum.toml")
    return given or (own if own.exists() else EMBEDDED)


def read(path: Path) -> Config:
    """The configuration of a file. Raises SetupError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise SetupError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: not valid TOML: {error}") from error
    try:
        return of(tables)
    except SetupError as error:
        raise SetupError(f"{path}: {error}") from error


def of(tables: Mapping[str, Any]) -> Config:
    """The configuration of parsed tables. Raises SetupError that names the key."""
    for key, value in tables.items():
        check_key(key, list(TABLES), key)
        if not isinstance(value, dict):
            raise SetupError(f"{key}: this must be a table, [{key}]")
    for name in ("experts", "router", "policy"):
        if not tables.get(name):
            raise SetupError(f"{name}: this table is missing")
    for name, entry in tables.get("keys", {}).items():
        for key in entry:
            check_key(key, list(TABLE), f"keys.{name}.{key}")
    values = dict(tables)
    for name, kind in SECTIONS:
        values[name] = _section(values.get(name, {}), kind, name)
    terms.budgets(tables.get("budgets", {}))
    terms.rates(tables.get("rates", {}))
    return Config(**values)


def _section(table: Mapping[str, Any], kind: Any, path: str) -> Any:
    known = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        check_key(key, known, f"{path}.{key}")
    return convert(dict(table), kind, path)


class Builder:
    """Builds experts in the order in which they name each other."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.made: dict[str, Expert] = {}
        self.under_way: list[str] = []

    def experts(self) -> dict[str, Expert]:
        """Every expert by name, in the file's order."""
        return {name: self.expert(f"experts.{name}", name) for name in self.config.experts}

    def expert(self, path: str, name: str) -> Expert:
        """The expert of a name; `path` is the key that names it."""
        if name in self.made:
            return self.made[name]
        if name not in self.config.experts:
            check_key(name, sorted(self.config.experts), path)
        if name in self.under_way:
            raise SetupError(f"{path}: a circle of experts: {' -> '.join([*self.under_way, name])}")
        self.under_way.append(name)
        table = dict(self.config.experts[name])
        if "weights" in table:
            table.setdefault("folder", str(Path(self.config.state.folder) / "weights"))
        made: Expert = build(table, f"experts.{name}", {"name": name}, self.expert)
        self.under_way.pop()
        self.made[name] = made
        return made

    def policies(self) -> tuple[Policy, dict[str, Policy]]:
        """The default policy and the named ones."""
        named = {name: build(table, f"policies.{name}") for name, table in self.config.policies.items()}
        return build(self.config.policy, "policy"), named

    def encoder(self) -> Encoder | None:
        """The encoder, if one is configured."""
        if self.config.encoder is None:
            return None
        made: Encoder = build(self.config.encoder, "encoder")
        return made

"""What asking an expert may cost: reserved on every budget and rate before it is asked, settled once after.

The reservation is the most that the call can cost, and the request that goes out is capped by it. Where nothing
limits a call there is nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING

from experts.base import Expert, Request
from gateway.auth import Keys
from gateway.errors import APIError
from gateway.fares import Fare
from gateway.promise import Promise
from gateway.steering import Steering
from gateway.terms import Accounts as Terms
from policies.accounts import Accounts, Alarm
from policies.clock import SteadyClock
from policies.limits import Scopes
from policies.payers import Payer

if TYPE_CHECKING:
    from gateway.life import Life

logger = getLogger("lyceum")

KNOWN = 1024
"""How many callers are remembered."""
FRESH_SECONDS = 0.25
"""For so long nobody looks at the clock again to see who pays for a key's calls; shorter if a period ends before."""


class Money:
    """The accounts of a gateway; `who` tells a key's scopes."""

    def __init__(self, accounts: Accounts | None, terms: Terms | None = None) -> None:
        self.accounts, self.terms = accounts, terms or Terms()
        steers = accounts is not None and any(limit.steer for limit in accounts.limits)
        self.steering = Steering(accounts) if accounts is not None and steers else None
        self.who: Callable[[str], Scopes] = lambda key: {"key": key}
        self.fresh: dict[str, Payer] = {}
        """Who pays for the usual calls of keys that came a moment ago, until the monotonic second `stale`."""
        self.stale = 0.0
        kinds = frozenset[str]() if accounts is None else accounts.kinds
        self._by_user, self._by_expert = "user" in kinds, "expert" in kinds
        self.fares: dict[str, Fare] = {}
        """By expert."""
        self._payers: dict[tuple[str, str, str], tuple[Scopes, Payer]] = {}
        """By key, user and expert, of callers seen lately: the key's scopes, and who pays."""
        self._alone = not (self._by_user or self._by_expert)
        self._steady = accounts is not None and isinstance(accounts.clock, SteadyClock)
        self._by_key: dict[str, tuple[Scopes, Payer]] = {}
        """The same where nothing but the key matters."""

    def scopes(self, key: str, request: Request, expert: str = "") -> Scopes:
        """Who asks whom: the user of the key, or if it is nobody's, the one that the body names."""
        mine, user = self.who(key), self._user(self.who(key), request)
        more = {kind: value for kind, value in (("expert", expert), ("user", user)) if value}
        return {**more, **mine}

    def _user(self, mine: Scopes, request: Request) -> str:
        told = request.options.get("safety_identifier") or request.options.get("user") if "user" not in mine else ""
        return told if isinstance(told, str) else ""

    def allowance(self, key: str, request: Request) -> int | None:
        """Nano-dollars that the hard budgets leave, as last seen; `None` is no limit. Reserving decides."""
        accounts = self.accounts
        return None if accounts is None else self.payer(accounts, key, request).left()

    def know(self, keys: Keys) -> None:
        """Learns from keys whose they are."""
        self.who, self.fresh = keys.scopes, keys.lately

    def left(self, life: Life, now: float) -> int | None:
        """The same for a usual request at a monotonic second, which is told who pays for it if that hangs on its key
        alone; for a moment that is so for whatever that key asks."""
        accounts, key = self.accounts, life.key
        if accounts is None:
            return None
        if now >= self.stale:
            self.fresh.clear()
            self.stale = now + FRESH_SECONDS
        payer = self.payer(accounts, key, life.request)
        if self._alone and self._steady:
            life.payer = self.fresh[key] = payer
            self.stale = min(self.stale, now + payer.until - accounts.clock())
        return payer.left()

    def payer(self, accounts: Accounts, key: str, request: Request, expert: str = "") -> Payer:
        """Who pays for a call, found once for as long as the same periods last."""
        mine = self.who(key)
        caller = key, self._user(mine, request) if self._by_user else "", expert if self._by_expert else ""
        known, now = self._payers.get(caller), accounts.clock()
        if known is not None:
            scopes, payer = known
            if scopes is mine and payer.since <= now < payer.until:
                payer.looked = now
                return payer
        if len(self._payers) >= KNOWN:
            self._payers.clear()
            self._by_key.clear()
        payer = accounts.payer(self.scopes(key, request, caller[2]))
        self._payers[caller] = mine, payer
        if self._alone:
            self._by_key[key] = mine, payer
        return payer

    def promise(self, life: Life, expert: Expert, request: Request) -> Promise | None:
        """What is to be reserved before an expert is asked; `None` if nothing limits the call. Who pays was found a
        moment ago, when the call was decided, unless the expert says who."""
        accounts, payer = self.accounts, life.payer
        if accounts is None:
            return None
        if payer is None:
            known = self._by_key.get(life.key)
            payer = known[1] if known is not None else self.payer(accounts, life.key, request, expert.name)
        if not payer.charges:
            return None
        return Promise(accounts, payer, self.fare(expert), *self.fare(expert).bound(request, life.demand))

    def fare(self, expert: Expert) -> Fare:
        """What is the same for every call of an expert."""
        known, card = self.fares.get(expert.name), expert.card
        if known is None or known.card is not card:
            known = self.fares[expert.name] = Fare.of(card, self.terms)
        return known

    def grant(self, life: Life, expert: Expert, payer: Payer) -> Promise | None:
        """The same for the usual request of who has been found to pay, granted already if that can be done at once."""
        request, accounts, fare = life.request, self.accounts, self.fares.get(expert.name)
        options, body = request.options, request.body
        if (
            fare is None
            or fare.card is not expert.card
            or body is None
            or accounts is None
            or not payer.sliced
            or not (fare.options is options or fare.usual(options))
        ):
            return self.promise(life, expert, request)
        size, widest = body.size, fare.widest
        amount = (fare.rest + (size if size < widest else widest) * fare.read) // fare.unit
        return Promise(accounts, payer, fare, amount, fare.cap, fare.told, accounts.at_once(payer, amount))

    async def start(self) -> None:
        """Raises StoreUnavailable if the accounts cannot be written."""
        if self.accounts is not None:
            await self.accounts.start()

    async def close(self) -> None:
        """Ends when all is settled."""
        if self.accounts is not None:
            await self.accounts.close()


def unavailable() -> APIError:
    """A budget cannot be looked at: nothing is asked, and it is nobody's fault but ours."""
    return APIError("budget_store_unavailable")


def alarmed(alarm: Alarm) -> None:
    """Says in the log that a budget's spend has reached a share of it."""
    logger.warning("budget %s (%s) has reached %g %%", alarm.name, alarm.bucket, alarm.share * 100)

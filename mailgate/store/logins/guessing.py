"""How often a password may be tried, and by whom. Pure: times are given.

An account from a network is held back hard; so is a network, whatever it tries, and a neighbourhood of networks more
softly. The account alone is not, or a stranger could keep its owner out: refusals only come later. It stands closed to
strangers once many neighbourhoods guess at it, each of which counts for a few failures only. A network that the account
has logged in from is never among the strangers: nothing counts there but what failed there at this account."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from mailgate.store.logins.throttle import Limits, Throttle
from mailgate.tenancy.logins.failed_logins import Failures, Kind, key, kind_of, of_account
from mailgate.tenancy.logins.networks import neighbourhood_of, network_of

DAY = 86_400.0
LIMITS: Mapping[Kind, Limits] = {
    Kind.STRANGER: Limits(free=10, memory=DAY),
    Kind.KNOWN: Limits(free=10, longest=60.0),
    Kind.NETWORK: Limits(free=10),
    Kind.NEIGHBOURHOOD: Limits(free=100, longest=60.0),
    Kind.ACCOUNT: Limits(free=50, memory=DAY),
    Kind.SHARE: Limits(free=5, memory=DAY),
}
LONGEST_MEMORY = DAY  # seconds
REPEATS = Limits(free=10)
SOFT_FROM = 10  # failures of an account, as far as they count, from which on its refusals come later
LONGEST_DELAY = 2.0  # seconds


class Limit(enum.StrEnum):
    """Which limit kept a try from being looked at; a label of the metric."""

    ACCOUNT_FROM_NETWORK = "account-from-network"
    NETWORK = "network"
    NEIGHBOURHOOD = "neighbourhood"
    ACCOUNT = "account"
    REPEAT = "repeat"
    QUEUE = "queue"


_NAMES = {
    Kind.STRANGER: Limit.ACCOUNT_FROM_NETWORK,
    Kind.KNOWN: Limit.ACCOUNT_FROM_NETWORK,
    Kind.NETWORK: Limit.NETWORK,
    Kind.NEIGHBOURHOOD: Limit.NEIGHBOURHOOD,
    Kind.ACCOUNT: Limit.ACCOUNT,
}


@dataclass(frozen=True, slots=True)
class Try:
    """`account` as it is compared, whether there is one or not; `address` of the client. `is_known`: the account has
    logged in from this network. `digest` is of login and password, so that the very same again is told from a guess."""

    account: str
    address: str
    is_known: bool
    digest: bytes

    @property
    def network(self) -> str:
        return network_of(self.address)

    @property
    def keys(self) -> dict[Kind, bytes]:
        """What a failure counts against."""
        network, neighbourhood = self.network, neighbourhood_of(self.address)
        found = {
            Kind.NETWORK: key(Kind.NETWORK, network),
            Kind.NEIGHBOURHOOD: key(Kind.NEIGHBOURHOOD, neighbourhood),
        }
        if self.is_known:
            return found | {Kind.KNOWN: key(Kind.KNOWN, self.account, network)}
        return found | {
            Kind.STRANGER: key(Kind.STRANGER, self.account, network),
            Kind.ACCOUNT: key(Kind.ACCOUNT, self.account),
            Kind.SHARE: key(Kind.SHARE, self.account, neighbourhood),
        }


@dataclass(frozen=True, slots=True)
class Held:
    """Not to be looked at for `seconds`."""

    seconds: float
    limit: Limit


@dataclass(frozen=True, slots=True)
class Counted:
    """What a failure led to: `strangers` is how many failures of strangers count against the account, 0 where this one
    did not. `closed`: the account stands closed to strangers from this one on."""

    strangers: int = 0
    closed: bool = False


class Guessing:
    """Bounded in memory: seven throttles, each of some 20 MB at most."""

    def __init__(self, limits: Mapping[Kind, Limits] = LIMITS) -> None:
        self._limits = limits
        self._by = {kind: Throttle(each) for kind, each in limits.items()}
        self._repeats = Throttle(REPEATS)

    def held(self, each: Try, now: float) -> Held | None:
        """Why this one is not to be looked at; None where it may be."""
        if (wait := self._repeats.wait(_repeat(each), now)) > 0:
            return Held(wait, Limit.REPEAT)
        keys = each.keys
        for kind in (Kind.KNOWN,) if each.is_known else tuple(_NAMES):
            if kind in keys and (wait := self._by[kind].wait(keys[kind], now)) > 0:
                return Held(wait, _NAMES[kind])
        return None

    def reserve(self, each: Try, now: float) -> Held | None:
        """Like `held`; where it is None the try counts as failed until `settle` says what came of it."""
        if (held := self.held(each, now)) is None:
            self._repeats.reserve(_repeat(each))
            for kind, found in each.keys.items():
                self._by[kind].reserve(found)
        return held

    def settle(self, each: Try, is_right: bool, now: float) -> Counted:
        """The very same again is a program with an old password, no guess: it must not keep out others."""
        self._repeats.settle(_repeat(each))
        for kind, found in each.keys.items():
            self._by[kind].settle(found)
        if is_right:
            self._by[Kind.STRANGER].forgive(key(Kind.STRANGER, each.account, each.network))
            self._by[Kind.KNOWN].forgive(key(Kind.KNOWN, each.account, each.network))
            return Counted()
        if self._repeats.failed(_repeat(each), now) > 1:
            return Counted()
        return self._count(each.keys, now)

    def _count(self, keys: Mapping[Kind, bytes], now: float) -> Counted:
        counts = {kind: self._by[kind].failed(keys[kind], now) for kind in keys if kind is not Kind.ACCOUNT}
        if Kind.ACCOUNT not in keys:
            return Counted()
        account, most = keys[Kind.ACCOUNT], self._limits[Kind.ACCOUNT].free
        is_closed = self._by[Kind.ACCOUNT].count(account, now) >= most
        if counts[Kind.SHARE] > self._limits[Kind.SHARE].free and not is_closed:
            return Counted()
        count = self._by[Kind.ACCOUNT].failed(account, now)
        return Counted(count, closed=count == most)

    def delay(self, account: str, now: float) -> float:
        """Seconds that each refusal at this account is held back."""
        count = self._by[Kind.ACCOUNT].count(key(Kind.ACCOUNT, account), now)
        return 0.0 if count < SOFT_FROM else min(0.25 * 2.0 ** min(count - SOFT_FROM, 8), LONGEST_DELAY)

    def forgive(self, login: str) -> None:
        """What failed at this account counts no more."""
        for prefix in of_account(login):
            self._by[kind_of(prefix)].forgive_all(prefix)

    def forget_repeats(self) -> None:
        """What was wrong may be right now."""
        self._repeats.forgive_everybody()

    def restore(self, records: Mapping[bytes, Failures]) -> None:
        """What was known before a restart, the oldest first."""
        for kind, throttle in self._by.items():
            throttle.restore({key: each for key, each in records.items() if key[:1] == kind.value})

    def take_changes(self) -> dict[bytes, Failures | None]:
        """What has changed since the last call, to be kept; None for what was forgiven."""
        self._repeats.take_changes()  # holds digests under a key of this process: of no use later
        return {key: each for throttle in self._by.values() for key, each in throttle.take_changes().items()}


def _repeat(each: Try) -> bytes:
    return key(Kind.NETWORK, each.network) + each.digest

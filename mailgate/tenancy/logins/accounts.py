"""What was found for a login name, and what a password is worth there. Pure; may be used from any thread."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailgate.ipc.calls import Authenticated
from mailgate.tenancy.databases.ids import TenantId, UserId
from mailgate.tenancy.databases.models import UserState
from mailgate.tenancy.logins import app_passwords, known_networks, passwords
from mailgate.tenancy.logins.app_passwords import AppKey

DAY = 86_400.0
REFUSED = Authenticated(ok=False)
_NO_TENANT, _NO_USER = TenantId(""), UserId("")


class Result(enum.StrEnum):
    """What became of a try to log in. Only the user and the administrators read it; the client hears yes or no."""

    OK = "ok"
    WRONG = "wrong password"
    UNKNOWN = "no such user"
    SWITCHED_OFF = "disabled"
    LOCKED = "locked"
    EXPIRED = "password expired"
    NOT_FOR_THIS = "app password expired, or not for this"
    WAITING = "too many tries"


@dataclass(frozen=True, slots=True)
class Checked:
    """`granted.ok` exactly where `result` is OK. `app` is the app password that was given, also one that is refused."""

    result: Result
    granted: Authenticated = REFUSED
    app: AppKey | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """`granted` is what a right password is worth. `login` is canonical, empty where there is no account; then `hash`
    opens for nothing, and `counted_as` is the login that it would have, whichever way it was typed. Times in seconds
    since 1970; `locked_until` None: for good. `networks`: digests of those that the account has logged in from."""

    login: str = ""
    tenant: TenantId = _NO_TENANT
    user: UserId = _NO_USER
    password_hash: str = passwords.NOBODY
    granted: Authenticated = REFUSED
    state: UserState = UserState.ACTIVE
    locked_until: float | None = None
    password_changed_at: float = 0.0
    keys: tuple[AppKey, ...] = ()
    networks: frozenset[bytes] = frozenset()
    counted_as: str = ""

    def knows(self, network: str) -> bool:
        """Has the account logged in from there lately? `network` as `networks.network_of` writes it."""
        return known_networks.digest(self.user, network) in self.networks

    def check_app_password(self, password: bytes, protocol: str, now: float) -> Checked | None:
        """For an app password that opens this: costs nothing, and can't be guessed. None for everything else."""
        app = app_passwords.matching(self.keys, password)
        opens = app is not None and app.opens(protocol, now) and self.granted.ok
        return Checked(Result.OK, self.granted, app) if opens else None

    def check(self, password: bytes, protocol: str, now: float, largest_age_days: int, network: str = "") -> Checked:
        """Whoever is refused has cost one argon2 computation, for whatever reason; some 20 ms of one core."""
        if (opened := self.check_app_password(password, protocol, now)) is not None:
            return opened
        is_right = passwords.verify(self.password_hash, password)
        if (app := app_passwords.matching(self.keys, password)) is not None:
            return Checked(Result.NOT_FOR_THIS if self.granted.ok else Result.SWITCHED_OFF, app=app)
        if not is_right:
            return Checked(Result.WRONG if self.login else Result.UNKNOWN)
        if not self.granted.ok:
            return Checked(Result.SWITCHED_OFF)
        if self.is_locked(now) and not self.knows(network):
            return Checked(Result.LOCKED)
        if largest_age_days and now > self.password_changed_at + largest_age_days * DAY:
            return Checked(Result.EXPIRED)
        return Checked(Result.OK, self.granted)

    def is_locked(self, now: float) -> bool:
        """To networks that the account has not logged in from."""
        is_over = self.locked_until is not None and self.locked_until <= now
        return self.state is UserState.LOCKED and not is_over


NO_ACCOUNT = Account()

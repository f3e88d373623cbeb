"""Who logged in when and from where, and who tried: each user can see the own logins. Tries that are alike become one
line an hour, so that a program that asks every minute hides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from mailgate.tenancy.databases.ids import TenantId, UserId
from mailgate.tenancy.databases.models import Login, User
from mailgate.tenancy.logins import app_passwords, known_networks
from mailgate.tenancy.logins.accounts import Result
from mailgate.tenancy.logins.app_passwords import AppKey
from mailgate.tenancy.logins.networks import network_of
from mailgate.tenancy.work import Work

LINE_SECONDS = 3600.0
MOST_LINES = 1000  # of one user: guessers must not fill the disk
_IS_GOOD = Login.result == str(Result.OK)


@dataclass(frozen=True, slots=True)
class LoginTry:
    """One try on an account that exists. `at`: seconds since 1970."""

    tenant: TenantId
    user: UserId
    protocol: str
    address: str
    result: Result
    at: float
    app: AppKey | None = None


def record(work: Work, tries: Sequence[LoginTry]) -> None:
    """Those of users who are gone are dropped."""
    known = set(work.session.scalars(select(User.id).where(User.id.in_({each.user for each in tries}))))
    for each in tries:
        if each.user in known:
            _record(work, each)
            if each.result is Result.OK:
                known_networks.remember(work, each.user, network_of(each.address), each.at)
            if each.result is Result.OK and each.app is not None:
                app_passwords.used(work, each.app.id, each.at)
    for user in known:
        _drop_surplus(work, user)


def _record(work: Work, given: LoginTry) -> None:
    name = given.app.name if given.app is not None else ""
    line = work.session.scalar(
        select(Login).where(
            Login.user_id == given.user,
            Login.last_at > given.at - LINE_SECONDS,
            Login.first_at > given.at - LINE_SECONDS,
            Login.protocol == given.protocol,
            Login.address == given.address,
            Login.result == given.result,
            Login.app_password == name,
        )
    )
    if line is not None:
        line.times += 1
        line.last_at = max(line.last_at, given.at)
        return
    work.session.add(
        Login(
            user_id=given.user,
            protocol=given.protocol,
            address=given.address,
            result=str(given.result),
            app_password=name,
            first_at=given.at,
            last_at=given.at,
            times=1,
        )
    )
    work.session.flush()


def _drop_surplus(work: Work, user: UserId) -> None:
    """Failures first: whoever guesses must not push out when somebody got in."""
    count = work.session.scalar(select(func.count()).select_from(Login).where(Login.user_id == user)) or 0
    if count > MOST_LINES:
        oldest = select(Login.id).where(Login.user_id == user).order_by(_IS_GOOD, Login.last_at)
        work.session.execute(delete(Login).where(Login.id.in_(oldest.limit(count - MOST_LINES))))


def logins_of(work: Work, user: UserId, limit: int) -> Sequence[Login]:
    """The latest first."""
    chosen = select(Login).where(Login.user_id == user)
    return work.session.scalars(chosen.order_by(Login.last_at.desc(), Login.id.desc()).limit(limit)).all()


def forget_before(work: Work, before: float) -> None:
    """Retention. `before`: seconds since 1970."""
    work.session.execute(delete(Login).where(Login.last_at < before))
    known_networks.forget_before(work, before)

"""The back-off after failed logins on stable storage: a restart gives nobody who guesses a fresh start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.models import FailedLogins

_ACCOUNT, _NETWORK = b"a", b"n"


@dataclass(frozen=True, slots=True)
class Failures:
    """`count` failed tries, the last at `last_at`; none is listened to before `blocked_until` (seconds since 1970)."""

    count: int
    last_at: float
    blocked_until: float


def load(registry: Database, since: float) -> dict[bytes, Failures]:
    """All with a failure after `since`, the oldest first; those before are forgotten."""
    with registry.session() as session:
        session.execute(delete(FailedLogins).where(FailedLogins.last_at <= since))
        rows = session.scalars(select(FailedLogins).order_by(FailedLogins.last_at)).all()
        return {row.key: Failures(row.failures, row.last_at, row.blocked_until) for row in rows}


def save(registry: Database, changed: Mapping[bytes, Failures | None], since: float) -> None:
    """None: forgiven. What is older than `since` goes as well."""
    with registry.session() as session:
        for key, found in changed.items():
            if found is None:
                session.execute(delete(FailedLogins).where(FailedLogins.key == key))
                continue
            values = {"failures": found.count, "last_at": found.last_at, "blocked_until": found.blocked_until}
            session.execute(
                insert(FailedLogins)
                .values(key=key, **values)
                .on_conflict_do_update(index_elements=["key"], set_=values)
            )
        session.execute(delete(FailedLogins).where(FailedLogins.last_at <= since))


def forgive(registry: Database, key: bytes) -> None:
    with registry.session() as session:
        session.execute(delete(FailedLogins).where(FailedLogins.key == key))


def account_key(login: str) -> bytes:
    """`login` as it is compared, whether there is such an account or not."""
    return _ACCOUNT + _digest(login)


def network_key(network: str) -> bytes:
    return _NETWORK + _digest(network)


def is_account(key: bytes) -> bool:
    return key.startswith(_ACCOUNT)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]

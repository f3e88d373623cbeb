"""Failed logins on stable storage: a restart gives nobody who guesses a fresh start."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.dialects.sqlite import insert

from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.models import FailedLogins

_DIGEST = 16  # octets


class Kind(enum.Enum):
    """What failures are counted by; the first octet of a key."""

    ACCOUNT = b"a"
    NETWORK = b"n"
    NEIGHBOURHOOD = b"w"
    STRANGER = b"p"  # an account, from a network that it has not logged in from
    KNOWN = b"k"  # an account, from a network that it has
    SHARE = b"s"  # an account, from a neighbourhood


_OF_ACCOUNT = (Kind.ACCOUNT, Kind.STRANGER, Kind.KNOWN, Kind.SHARE)


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
    upsert = insert(FailedLogins)
    columns = ("failures", "last_at", "blocked_until")
    upsert = upsert.on_conflict_do_update(
        index_elements=["key"], set_={name: upsert.excluded[name] for name in columns}
    )
    rows = [
        {"key": key, "failures": each.count, "last_at": each.last_at, "blocked_until": each.blocked_until}
        for key, each in changed.items()
        if each is not None
    ]
    with registry.session() as session:
        if rows:
            session.execute(upsert, rows)
        for key in (key for key, each in changed.items() if each is None):
            session.execute(delete(FailedLogins).where(FailedLogins.key == key))
        session.execute(delete(FailedLogins).where(FailedLogins.last_at <= since))


def forgive(registry: Database, login: str) -> None:
    """All that counts against the account."""
    with registry.session() as session:
        session.execute(delete(FailedLogins).where(or_(*(_begins_with(each) for each in of_account(login)))))


def key(kind: Kind, *names: str) -> bytes:
    """An account's name comes first, as it is compared, whether there is such an account or not."""
    return kind.value + b"".join(
        hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:_DIGEST] for name in names
    )


def kind_of(key: bytes) -> Kind:
    """ValueError for what `key` did not make."""
    return Kind(key[:1])


def of_account(login: str) -> tuple[bytes, ...]:
    """What the keys of an account begin with."""
    return tuple(key(kind, login) for kind in _OF_ACCOUNT)


def _begins_with(prefix: bytes) -> ColumnElement[bool]:
    return FailedLogins.key.between(prefix, prefix + b"\xff" * (_DIGEST + 1))

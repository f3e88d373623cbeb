"""App passwords: one for each mail program, so that it can be taken back alone, and the own password stays at home.

They are made here, 125 random bits each. Nobody finds one by guessing, however fast the hash is; so their digest is a
plain SHA-256, which costs nothing at each login, while what people choose needs argon2."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from mailgate.model.errors import NotFoundError, UserError
from mailgate.tenancy.addresses import shown
from mailgate.tenancy.databases.ids import AppPasswordId, UserId, new_app_password_id
from mailgate.tenancy.databases.models import AppPassword, User
from mailgate.tenancy.work import Work

SCOPES = ("imap", "smtp")
MOST = 50  # for one user: each login compares with all of them
LONGEST_NAME = 60  # characters

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # 32, without those that are read as another
_GROUPS, _GROUP = 5, 5


@dataclass(frozen=True, slots=True)
class AppKey:
    """What a login needs to know of an app password. `expires_at` in seconds since 1970."""

    id: AppPasswordId
    name: str
    digest: bytes
    scopes: frozenset[str]
    expires_at: float | None

    def opens(self, protocol: str, now: float) -> bool:
        return protocol in self.scopes and (self.expires_at is None or now < self.expires_at)


def generate() -> str:
    """`abcde-fghij-…`, five groups."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def digest(password: bytes) -> bytes:
    """Case, spaces and dashes make no difference: people type it from a screen."""
    return hashlib.sha256(bytes(octet for octet in password.lower() if octet not in b" -")).digest()


def matching(keys: Iterable[AppKey], password: bytes) -> AppKey | None:
    """The one that `password` is; all are compared, so that time tells nothing."""
    given = digest(password)
    found = [key for key in keys if hmac.compare_digest(key.digest, given)]
    return found[0] if found else None


def add(work: Work, user: User, name: str, scopes: Sequence[str], expires_at: float | None) -> tuple[AppPassword, str]:
    """A new one, and its text: the only time that it can be seen. Raises UserError."""
    if not name.isprintable() or not 1 <= len(name.strip()) <= LONGEST_NAME:
        raise UserError(f"name {shown(name)}: 1 to {LONGEST_NAME} visible characters that say where it is used")
    if not scopes or set(scopes) - set(SCOPES):
        raise UserError(f"scope {shown(' '.join(scopes))}: give {' or '.join(SCOPES)}, or both")
    if expires_at is not None and expires_at <= work.now:
        raise UserError("the app password would have expired already")
    if len(keys_of(work, user.id)) >= MOST:
        raise UserError(f"{user.login} has {MOST} app passwords already: revoke one first")
    text = generate()
    made = AppPassword(
        id=new_app_password_id(),
        user_id=user.id,
        name=name.strip(),
        digest=digest(text.encode()),
        scopes=" ".join(sorted(set(scopes))),
        created_at=work.now,
        expires_at=expires_at,
    )
    work.session.add(made)
    work.session.flush()
    return made, text


def list_of(work: Work, user: UserId) -> Sequence[AppPassword]:
    """The oldest first."""
    chosen = select(AppPassword).where(AppPassword.user_id == user)
    return work.session.scalars(chosen.order_by(AppPassword.created_at, AppPassword.id)).all()


def keys_of(work: Work, user: UserId) -> tuple[AppKey, ...]:
    return tuple(
        AppKey(row.id, row.name, row.digest, frozenset(row.scopes.split()), row.expires_at)
        for row in list_of(work, user)
    )


def revoke(work: Work, user: User, id: str) -> AppPassword:
    """Raises NotFoundError."""
    found = work.session.get(AppPassword, id)
    if found is None or found.user_id != user.id:
        raise NotFoundError(f"{user.login} has no app password {shown(id)}")
    work.session.delete(found)
    work.session.flush()
    return found


def used(work: Work, id: AppPasswordId, at: float) -> None:
    """One that was revoked meanwhile stays away."""
    work.session.execute(update(AppPassword).where(AppPassword.id == id).values(last_used_at=at))

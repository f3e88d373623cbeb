"""The networks that a user has logged in from: who guesses from elsewhere must not keep the user out there.

Kept are digests, and days instead of times: enough to know a network again, for as long as the login history."""

from __future__ import annotations

import hashlib

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from mailgate.tenancy.databases.ids import UserId
from mailgate.tenancy.databases.models import KnownNetwork
from mailgate.tenancy.work import Work

MOST = 64  # of one user; the one that was used longest ago goes first
_DAY = 86_400


def digest(user: UserId, network: str) -> bytes:
    """`network` as `networks.network_of` writes it. Another user's digest of the same network differs."""
    return hashlib.sha256(f"{user} {network}".encode("utf-8", "surrogatepass")).digest()[:16]


def remember(work: Work, user: UserId, network: str, at: float) -> None:
    """A good login from there. `at`: seconds since 1970."""
    row = {"user_id": user, "network": digest(user, network), "day": int(at // _DAY)}
    work.session.execute(
        insert(KnownNetwork)
        .values(row)
        .on_conflict_do_update(
            index_elements=["user_id", "network"], set_={"day": row["day"]}, where=KnownNetwork.day < row["day"]
        )
    )
    mine = select(KnownNetwork.network).where(KnownNetwork.user_id == user)
    surplus = mine.order_by(KnownNetwork.day.desc(), KnownNetwork.network).offset(MOST)
    work.session.execute(delete(KnownNetwork).where(KnownNetwork.user_id == user, KnownNetwork.network.in_(surplus)))


def known_to(work: Work, user: UserId) -> frozenset[bytes]:
    """Digests."""
    return frozenset(work.session.scalars(select(KnownNetwork.network).where(KnownNetwork.user_id == user)))


def forget_before(work: Work, before: float) -> None:
    """Retention. `before`: seconds since 1970."""
    work.session.execute(delete(KnownNetwork).where(KnownNetwork.day < int(before // _DAY)))

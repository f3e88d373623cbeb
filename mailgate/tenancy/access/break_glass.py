"""Access to a private mailbox in an emergency: an administrator asks with a reason, a second one or an operator
confirms, and it ends by itself. Those it is assigned to are told, and see it listed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.access.rights import Right, rights_named
from mailgate.tenancy.addresses import shown
from mailgate.tenancy.databases.ids import UserId
from mailgate.tenancy.databases.models import BreakGlass, Mailbox, User
from mailgate.tenancy.work import Work

LONGEST_HOURS = 72
WAIT_HOURS = 24  # for the second administrator
RIGHTS = rights_named(Right.READ, Right.ADMINISTER)  # changes no mail; hands on what nobody uses any more
_HOUR = 3600.0


def request(work: Work, mailbox: Mailbox, reason: str, hours: int) -> BreakGlass:
    """Opens nothing yet. UserError without a reason, or for a time that is too long."""
    if not reason.strip():
        raise UserError("give the reason: those who use the mailbox read it")
    if not 1 <= hours <= LONGEST_HOURS:
        raise UserError(f"hours {hours}: give 1 to {LONGEST_HOURS}")
    asked = BreakGlass(
        id=secrets.token_hex(6),
        mailbox_id=mailbox.id,
        requested_by=work.acting.caller.login,
        reason=reason,
        hours=hours,
        requested_at=work.now,
    )
    work.session.add(asked)
    work.session.flush()
    return asked


def confirm(work: Work, id: str, confirmer_days: int) -> BreakGlass:
    """By an operator, or by an administrator who is independent of the one who asked: has had the role for
    `confirmer_days`, and not through the asker. NotIndependentError for others, ConflictError for one that does not
    wait."""
    asked = find(work, id)
    _check_independent(work, asked, confirmer_days)
    if asked.confirmed_by is not None or asked.ended_at is not None:
        raise ConflictError(f"{id} does not wait for a confirmation any more")
    if work.now > asked.requested_at + WAIT_HOURS * _HOUR:
        raise ConflictError(f"{id} was asked for more than {WAIT_HOURS} hours ago; ask again")
    asked.confirmed_by = work.acting.caller.name
    asked.expires_at = work.now + asked.hours * _HOUR
    return asked


class NotIndependentError(ConflictError):
    """Who wants to confirm is, or may be, in the hand of who asked."""


def _check_independent(work: Work, asked: BreakGlass, confirmer_days: int) -> None:
    caller = work.acting.caller
    if caller.is_operator:
        return
    if asked.requested_by == caller.login:
        raise NotIndependentError(f"{asked.id}: another administrator than the one who asked must confirm it")
    confirmer = work.session.scalars(select(User).where(User.login == caller.login)).one()
    if asked.requested_by in confirmer.made_by.split():
        raise NotIndependentError(
            f"{asked.id}: you are a user or an administrator through {asked.requested_by}, who asked; another "
            "administrator, or an operator of the gateway, must confirm it"
        )
    if work.now < confirmer.role_since + confirmer_days * 24 * _HOUR:
        raise NotIndependentError(
            f"{asked.id}: you have been an administrator for less than {confirmer_days} days; one who has been for "
            "longer, or an operator of the gateway, must confirm it"
        )


def end(work: Work, id: str) -> BreakGlass:
    """Before its time. ConflictError where it has ended."""
    asked = find(work, id)
    if asked.ended_at is not None or (asked.expires_at is not None and asked.expires_at <= work.now):
        raise ConflictError(f"{id} has ended already")
    asked.ended_at = work.now
    return asked


def find(work: Work, id: str) -> BreakGlass:
    asked = work.session.get(BreakGlass, id)
    if asked is None:
        raise no_request(work, id)
    return asked


def no_request(work: Work, id: str) -> NotFoundError:
    return NotFoundError(f"there is no request {shown(id)} at tenant {work.tenant.name}")


def listed(work: Work) -> Sequence[tuple[BreakGlass, Mailbox]]:
    """All, the newest first, with their mailboxes."""
    rows = work.session.execute(
        select(BreakGlass, Mailbox)
        .join(Mailbox, Mailbox.id == BreakGlass.mailbox_id)
        .order_by(BreakGlass.requested_at.desc(), BreakGlass.id)
    )
    return [(asked, mailbox) for asked, mailbox in rows]


def open_to(work: Work, user: UserId) -> Sequence[Mailbox]:
    """The mailboxes that are open to this user now."""
    query = select(Mailbox).join(BreakGlass, BreakGlass.mailbox_id == Mailbox.id).where(*_is_open(work, user))
    return work.session.scalars(query.distinct()).all()


def next_end(work: Work, user: UserId) -> float | None:
    """When the first of them is closed to this user again; None where none is open."""
    return work.session.scalar(select(func.min(BreakGlass.expires_at)).where(*_is_open(work, user)))


def _is_open(work: Work, user: UserId) -> tuple[ColumnElement[bool], ...]:
    return (
        BreakGlass.requested_by == select(User.login).where(User.id == user).scalar_subquery(),
        BreakGlass.confirmed_by.is_not(None),
        BreakGlass.expires_at > work.now,
        BreakGlass.ended_at.is_(None),
    )


def state(work: Work, asked: BreakGlass) -> str:
    """`waiting`, `open`, `ended`, or `lapsed` where nobody confirmed it in time."""
    if asked.ended_at is not None:
        return "ended"
    if asked.expires_at is not None:
        return "open" if asked.expires_at > work.now else "ended"
    return "waiting" if work.now <= asked.requested_at + WAIT_HOURS * _HOUR else "lapsed"

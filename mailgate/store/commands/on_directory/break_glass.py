"""Commands on access to private mailboxes in an emergency. Who uses the mailbox is told before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mailgate.model.envelope import TenantName
from mailgate.model.errors import UnavailableError, UserError
from mailgate.tenancy.access import break_glass, visibility
from mailgate.tenancy.access.break_glass import NotIndependentError
from mailgate.tenancy.acting import Role
from mailgate.tenancy.databases.models import BreakGlass, Mailbox
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.mailboxes import mailboxes
from mailgate.tenancy.work import Work

Json = dict[str, Any]
Tell = Callable[[Work, Mailbox, BreakGlass], None]
"""Puts a notice into the mailbox; returns once it is on stable storage."""


def nobody_to_tell(work: Work, mailbox: Mailbox, asked: BreakGlass) -> None:
    raise UnavailableError("nobody can be told while the gateway does not run: start it with `mailgate serve`")


def handlers(
    directory: Directory, confirmer_days: Callable[[TenantName], int], tell: Tell = nobody_to_tell
) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {
        "breakglass.request": partial(_request, directory),
        "breakglass.confirm": partial(_confirm, directory, confirmer_days, tell),
        "breakglass.end": partial(_end, directory),
        "breakglass.list": partial(_list, directory),
    }


def _request(directory: Directory, mailbox: str, reason: str, hours: int) -> Json:
    with directory.changing(directory.tenant_of(mailbox)) as work:
        _check_administrator(work)
        found = mailboxes.find_private(work, mailbox)
        asked = break_glass.request(work, found, reason, hours)
        work.audit("breakglass.request", found.address, None, {"id": asked.id, "hours": hours})
        return _facts(work, asked, found)


def _confirm(
    directory: Directory, confirmer_days: Callable[[TenantName], int], tell: Tell, tenant: str, id: str
) -> Json:
    """That somebody tried who may not is noted, too."""
    try:
        return _confirm_now(directory, confirmer_days, tell, tenant, id)
    except NotIndependentError as error:
        directory.note_deed(TenantName(tenant), "breakglass.refused", id, {"why": str(error)})
        raise


def _confirm_now(
    directory: Directory, confirmer_days: Callable[[TenantName], int], tell: Tell, tenant: str, id: str
) -> Json:
    with directory.changing(tenant) as work:
        asked, mailbox = _find(work, id)
        break_glass.confirm(work, id, confirmer_days(work.tenant.name))
        facts = {"id": id, "requested_by": asked.requested_by, "expires_at": asked.expires_at}
        work.audit("breakglass.confirm", mailbox.address, None, facts)
        work.session.flush()
        tell(work, mailbox, asked)
        return _facts(work, asked, mailbox)


def _end(directory: Directory, tenant: str, id: str) -> Json:
    with directory.changing(tenant) as work:
        asked, mailbox = _find(work, id)
        before = break_glass.state(work, asked)
        break_glass.end(work, id)
        work.audit("breakglass.end", mailbox.address, {"state": before}, {"id": id, "state": "ended"})
        return _facts(work, asked, mailbox)


def _list(directory: Directory, tenant: str) -> list[Json]:
    """The newest first. A user gets those on the own mailboxes."""
    with directory.reading(tenant) as work:
        return [_facts(work, asked, box) for asked, box in break_glass.listed(work) if _concerns(work, box)]


def _find(work: Work, id: str) -> tuple[BreakGlass, Mailbox]:
    """NotFoundError also for one that does not concern the caller."""
    for asked, mailbox in break_glass.listed(work):
        if asked.id == id and _concerns(work, mailbox):
            return asked, mailbox
    raise break_glass.no_request(work, id)


def _concerns(work: Work, mailbox: Mailbox) -> bool:
    """Administrators must know of each other's; a user of what is done to the own mailboxes."""
    caller = work.acting.caller
    return caller.role is not Role.USER or visibility.sees(work, mailbox)


def _check_administrator(work: Work) -> None:
    if work.acting.caller.role is not Role.ADMINISTRATOR:
        raise UserError("this is for two administrators of the tenant: log in as one of them with --as LOGIN")


def _facts(work: Work, asked: BreakGlass, mailbox: Mailbox) -> Json:
    return {
        "id": asked.id,
        "mailbox": mailbox.address,
        "state": break_glass.state(work, asked),
        "requested_by": asked.requested_by,
        "confirmed_by": asked.confirmed_by,
        "reason": asked.reason,
        "hours": asked.hours,
        "requested_at": asked.requested_at,
        "expires_at": asked.expires_at,
        "ended_at": asked.ended_at,
    }

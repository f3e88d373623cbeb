"""Administrative commands on mailboxes and who may use them; as in admin_tenancy, each works on one tenant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mailgate.model.errors import UserError
from mailgate.store.delivery.usage import Usage
from mailgate.tenancy.access import assignments, groups
from mailgate.tenancy.access.rights import DEFAULT, Rights, parse_rights
from mailgate.tenancy.databases.models import Mailbox, MailboxKind, MailboxState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.mailboxes import mailboxes
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work

Json = dict[str, Any]


def handlers(directory: Directory) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments; called from the directory's thread."""
    return {name: partial(command, directory) for name, command in _COMMANDS.items()}


def _add(directory: Directory, tenant: str, address: str, users: Sequence[str] = ()) -> Json:
    with directory.changing(tenant) as work:
        mailbox = mailboxes.add_mailbox(work, address, MailboxKind.SHARED)
        for login in users:
            assignments.assign(work, mailbox, people.find_user(work, login), DEFAULT)
        work.audit("mailbox.add", mailbox.address, None, {"id": mailbox.id} | _holders(work, mailbox))
        return _facts(work, mailbox)


def _list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [_facts(work, mailbox) for mailbox in mailboxes.list_mailboxes(work)]


def _show(directory: Directory, mailbox: str) -> Json:
    with directory.reading(directory.tenant_of(mailbox)) as work:
        return _facts(work, mailboxes.find_mailbox(work, mailbox))


def _path(directory: Directory, mailbox: str) -> str:
    with directory.reading(directory.tenant_of(mailbox)) as work:
        return str(directory.maildir(mailboxes.find_mailbox(work, mailbox).id))


def _assign(directory: Directory, mailbox: str, user: str = "", group: str = "", rights: str = "") -> Json:
    """To a user or a group. `rights`: names or letters; where empty, everything but handing the mailbox on."""
    granted = parse_rights(rights) if rights else DEFAULT
    with directory.changing(directory.tenant_of(mailbox)) as work:
        found = mailboxes.find_to_administer(work, mailbox)
        before = _holders(work, found)
        assignments.assign(work, found, _holder(work, user, group), granted)
        work.audit("mailbox.assign", found.address, before, _holders(work, found))
        return _facts(work, found)


def _unassign(directory: Directory, mailbox: str, user: str = "", group: str = "") -> Json:
    with directory.changing(directory.tenant_of(mailbox)) as work:
        found = mailboxes.find_to_administer(work, mailbox)
        before = _holders(work, found)
        assignments.unassign(work, found, _holder(work, user, group))
        work.audit("mailbox.unassign", found.address, before, _holders(work, found))
        return _facts(work, found)


def _rights(directory: Directory, mailbox: str, rights: str, user: str = "", group: str = "") -> Json:
    """The rights of one assignment, instead of those it had."""
    granted = parse_rights(rights)
    with directory.changing(directory.tenant_of(mailbox)) as work:
        found = mailboxes.find_to_administer(work, mailbox)
        before = _holders(work, found)
        assignments.set_rights(work, found, _holder(work, user, group), granted)
        work.audit("mailbox.rights", found.address, before, _holders(work, found))
        return _facts(work, found)


def _quota(directory: Directory, mailbox: str, quota: int | None = None) -> Json:
    """In bytes; None for the policy's, 0 for none."""
    if quota is not None and quota < 0:
        raise UserError(f"quota {quota}: give bytes, 0 for none")
    with directory.changing(directory.tenant_of(mailbox)) as work:
        found = mailboxes.find_mailbox(work, mailbox)
        before = found.quota
        mailboxes.set_quota(work, found, quota)
        work.audit("mailbox.quota", found.address, {"quota": before}, {"quota": quota})
        return _facts(work, found)


def _holder(work: Work, user: str, group: str) -> assignments.Holder:
    if bool(user) == bool(group):
        raise UserError("name a user or a group")
    return groups.find_group(work, group) if group else people.find_user(work, user)


def _state(state: MailboxState, directory: Directory, mailbox: str) -> str:
    with directory.changing(directory.tenant_of(mailbox)) as work:
        before = mailboxes.find_mailbox(work, mailbox).state
        found = mailboxes.set_state(work, mailbox, state)
        action = "mailbox.enable" if state is MailboxState.ACTIVE else "mailbox.disable"
        work.audit(action, found.address, {"state": before}, {"state": state})
        return found.address


def _remove(directory: Directory, mailbox: str) -> str:
    with directory.changing(directory.tenant_of(mailbox)) as work:
        before = _holders(work, mailboxes.find_mailbox(work, mailbox))
        removed = mailboxes.remove_mailbox(work, mailbox)
        work.audit("mailbox.remove", removed.address, {"id": removed.id} | before)
        return removed.address


def _facts(work: Work, mailbox: Mailbox) -> Json:
    users, through = assignments.holders(work, mailbox.id), assignments.holding_groups(work, mailbox.id)
    return {
        "address": mailbox.address,
        "id": mailbox.id,
        "kind": str(mailbox.kind),
        "state": str(mailbox.state),
        "users": [login for login, _ in users],
        "groups": [name for name, _ in through],
        "assignments": [{"user": login} | _rights_facts(rights) for login, rights in users]
        + [{"group": name} | _rights_facts(rights) for name, rights in through],
        "addresses": mailboxes.addresses_of(work, mailbox.id),
        "path": str(work.folders.maildir(mailbox.id)) if work.acting.caller.is_operator else None,
        "quota": mailbox.quota,
        "usage": Usage().of(work.folders.maildir(mailbox.id)),
        "created_at": mailbox.created_at,
    }


def _holders(work: Work, mailbox: Mailbox) -> Json:
    """For the audit log: who may do what."""
    users, through = assignments.holders(work, mailbox.id), assignments.holding_groups(work, mailbox.id)
    return {"holders": {name: rights.letters for name, rights in users + through}}


def _rights_facts(rights: Rights) -> Json:
    return {"rights": list(rights.names), "letters": rights.letters}


_COMMANDS: dict[str, Callable[..., Any]] = {
    "mailbox.add": _add,
    "mailbox.list": _list,
    "mailbox.show": _show,
    "mailbox.path": _path,
    "mailbox.assign": _assign,
    "mailbox.unassign": _unassign,
    "mailbox.rights": _rights,
    "mailbox.quota": _quota,
    "mailbox.enable": partial(_state, MailboxState.ACTIVE),
    "mailbox.disable": partial(_state, MailboxState.DISABLED),
    "mailbox.remove": _remove,
}

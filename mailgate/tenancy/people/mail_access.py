"""What a user gets from an IMAP server: the own mailbox, the shared ones, and the rights in each.

A mailbox without the right to look it up and read it is left out, so that for this user it does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError
from mailgate.tenancy.access import assignments, break_glass
from mailgate.tenancy.access.assignments import Grant
from mailgate.tenancy.access.rights import Right, Rights
from mailgate.tenancy.databases.ids import AppPasswordId
from mailgate.tenancy.databases.models import MailboxKind, UserState
from mailgate.tenancy.logins import app_passwords
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work

SHARED = "Shared"
_WILDCARDS = str.maketrans("*?", "__")


@dataclass(frozen=True, slots=True)
class SharedMailbox:
    """`name`: how it is called in mail programs, `Shared/<name>`. `quota` in bytes; None for the policy's, 0 for
    none."""

    name: str
    maildir: Path
    rights: Rights
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class MailAccess:
    """`acl`: the file for the IMAP server (`acl_text`). What a session may go on with, so it holds
    `password_changed_at` and the app passwords that open IMAP too. `until`: when some of it ends by itself, in seconds
    since 1970."""

    tenant: TenantName
    login: str
    maildir: Path
    rights: Rights
    shared: tuple[SharedMailbox, ...]
    acl: Path
    password_changed_at: float
    quota: int | None = None
    app_passwords: frozenset[AppPasswordId] = frozenset()
    until: float | None = None

    def still_holds(self, before: MailAccess) -> bool:
        """May what was opened with `before` go on? One more app password takes nothing away."""
        has_ended = before.until is not None and (self.until is None or self.until > before.until)
        kept = replace(self, app_passwords=before.app_passwords, until=before.until)
        return kept == before and before.app_passwords <= self.app_passwords and not has_ended


@dataclass(frozen=True, slots=True)
class MailboxPlace:
    """Where one mailbox lies; `quota` as above."""

    tenant: TenantName
    maildir: Path
    quota: int | None


def access_of(work: Work, login: str) -> MailAccess:
    """Raises NotFoundError where the user or the tenant is disabled, or where there is no mailbox of their own that
    they may read. A lock keeps out new logins, not sessions: else whoever guesses could end those of the owner."""
    user = people.find_user(work, login)
    if not work.tenant.is_active or user.state is UserState.DISABLED:
        raise NotFoundError(f"{user.login} may not log in")
    readable = [grant for grant in assignments.grants_of(work, user.id) if grant.rights.allows(Right.READ)]
    own = [grant for grant in readable if grant.mailbox.kind is MailboxKind.PERSONAL]
    if not own:
        raise NotFoundError(f"no mailbox of their own is assigned to {user.login}")
    inbox = min(own, key=lambda grant: grant.mailbox.address != user.login)
    keys = [key for key in app_passwords.keys_of(work, user.id) if key.opens("imap", work.now)]
    ends = [break_glass.next_end(work, user.id), *(key.expires_at for key in keys)]
    return MailAccess(
        work.tenant.name,
        user.login,
        work.folders.maildir(inbox.mailbox.id),
        inbox.rights,
        _shared(work, [grant for grant in readable if grant is not inbox]),
        work.folders.acl(work.tenant.id, user.id),
        user.password_changed_at,
        inbox.mailbox.quota,
        frozenset(key.id for key in keys),
        min((end for end in ends if end is not None), default=None),
    )


def _shared(work: Work, grants: Sequence[Grant]) -> tuple[SharedMailbox, ...]:
    names = distinct_names(grant.mailbox.address for grant in grants)
    return tuple(
        SharedMailbox(name, work.folders.maildir(grant.mailbox.id), grant.rights, grant.mailbox.quota)
        for name, grant in zip(names, grants, strict=True)
    )


def distinct_names(addresses: Iterable[str]) -> list[str]:
    """The addresses without what is a wildcard in an ACL file; what becomes the same by that gets a number."""
    names: list[str] = []
    for address in addresses:
        plain = name = address.translate(_WILDCARDS)
        number = 1
        while name in names:
            number += 1
            name = f"{plain}~{number}"
        names.append(name)
    return names


def acl_text(access: MailAccess) -> str:
    """A global ACL file of Dovecot, for the sessions of this one user. Nobody administers by IMAP (no `a`): who may use
    a mailbox is decided here alone."""
    lines = [f"* owner {_imap_letters(access.rights)}"]
    for shared in access.shared:
        letters = _imap_letters(shared.rights)
        for pattern in (f"{SHARED}/{shared.name}", f"{SHARED}/{shared.name}/*"):
            lines.append(f'"{pattern}" user={access.login} {letters}')
    return "".join(f"{line}\n" for line in lines)


NO_ACCESS = "* owner\n"
"""The file of somebody who may do nothing any more: no letter at all, not even in the own mailbox."""


def _imap_letters(rights: Rights) -> str:
    return rights.letters.replace("a", "")

"""A tenant's people, groups, mailboxes and aliases as one value, and how two of them differ. Pure.

All names and addresses are canonical. Passwords, app passwords and histories belong to no roster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mailgate.tenancy.access.rights import ALL, Rights
from mailgate.tenancy.databases.models import MailboxKind, UserRole

Name = tuple[str, str]
"""What it is and how it is called: `("user", "bob@acme.example")`."""


@dataclass(frozen=True, slots=True)
class RosterUser:
    """Whether a user is locked after failed logins is no matter of the roster: that one is active."""

    role: UserRole = UserRole.USER
    is_active: bool = True

    def facts(self) -> dict[str, str]:
        return {"role": self.role, "state": _state(self.is_active)}


@dataclass(frozen=True, slots=True)
class RosterGroup:
    members: frozenset[str] = frozenset()

    def facts(self) -> dict[str, str]:
        return {f"member {login}": "yes" for login in sorted(self.members)}


@dataclass(frozen=True, slots=True)
class RosterMailbox:
    """`users` and `groups`: who it is assigned to, and their rights. `quota` in bytes; None for the policy's."""

    kind: MailboxKind = MailboxKind.SHARED
    is_active: bool = True
    quota: int | None = None
    users: Mapping[str, Rights] = field(default_factory=dict)
    groups: Mapping[str, Rights] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        quota = {} if self.quota is None else {"quota": str(self.quota)}
        users = {f"user {login}": ",".join(rights.names) for login, rights in sorted(self.users.items())}
        groups = {f"group {name}": ",".join(rights.names) for name, rights in sorted(self.groups.items())}
        return {"kind": self.kind, "state": _state(self.is_active)} | quota | users | groups


@dataclass(frozen=True, slots=True)
class RosterAlias:
    """`mailboxes`: the addresses of those that it leads to."""

    mailboxes: frozenset[str]

    def facts(self) -> dict[str, str]:
        return {f"to {address}": "yes" for address in sorted(self.mailboxes)}


@dataclass(frozen=True, slots=True)
class Roster:
    users: Mapping[str, RosterUser] = field(default_factory=dict)
    groups: Mapping[str, RosterGroup] = field(default_factory=dict)
    mailboxes: Mapping[str, RosterMailbox] = field(default_factory=dict)
    aliases: Mapping[str, RosterAlias] = field(default_factory=dict)


def own_mailbox(login: str) -> RosterMailbox:
    """What comes with a user."""
    return RosterMailbox(MailboxKind.PERSONAL, users={login: ALL})


def retired(mailbox: RosterMailbox) -> RosterMailbox:
    """Takes no new mail and is read by nobody."""
    return RosterMailbox(mailbox.kind, is_active=False, quota=mailbox.quota)


@dataclass(frozen=True, slots=True)
class Change:
    """`sign` is `+`, `-` or `~`; `facts` what is new, gone or different."""

    sign: str
    name: Name
    facts: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f": {', '.join(self.facts)}" if self.facts else ""
        return f"{self.sign} {' '.join(self.name)}{told}"


def differences(before: Roster, after: Roster) -> list[Change]:
    """What makes the one into the other, in the order users, groups, mailboxes, aliases, each by name."""
    return [
        *_differ("user", before.users, after.users),
        *_differ("group", before.groups, after.groups),
        *_differ("mailbox", before.mailboxes, after.mailboxes),
        *_differ("alias", before.aliases, after.aliases),
    ]


class _Entry(Protocol):
    def facts(self) -> dict[str, str]: ...


_E = TypeVar("_E", bound=_Entry)


def _differ(kind: str, before: Mapping[str, _E], after: Mapping[str, _E]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield Change("-", (kind, name))
        elif name not in before:
            yield Change("+", (kind, name), tuple(_told(label, text) for label, text in after[name].facts().items()))
        elif before[name] != after[name]:
            yield Change("~", (kind, name), tuple(_changed(before[name].facts(), after[name].facts())))


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for label in dict.fromkeys((*old, *new)):
        if label not in new:
            yield f"no {label}"
        elif label not in old:
            yield _told(label, new[label])
        elif old[label] != new[label]:
            yield f"{label} {old[label]} -> {new[label]}"


def _told(label: str, text: str) -> str:
    return label if text == "yes" else f"{label} {text}"


def _state(is_active: bool) -> str:
    return "active" if is_active else "disabled"

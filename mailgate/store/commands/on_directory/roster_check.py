"""From the tables of a file to a roster: every name in its canonical form, known, and unlike any other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mailgate.model.address import AddressError
from mailgate.model.errors import UserError
from mailgate.policy.toml_lines import KeyPath
from mailgate.store.commands.on_directory.roster_file import Problems, RosterTables
from mailgate.tenancy import addresses
from mailgate.tenancy.access.rights import Rights, parse_rights
from mailgate.tenancy.databases.models import MailboxKind, UserRole
from mailgate.tenancy.people.roster import (
    Name,
    Roster,
    RosterAlias,
    RosterGroup,
    RosterMailbox,
    RosterUser,
    own_mailbox,
)


class Checker:
    """`domains`: the tenant's. What is wrong is gathered in `problems`; `places` tells where each entry stands."""

    def __init__(self, domains: Sequence[str], problems: Problems) -> None:
        self._domains = domains
        self._problems = problems
        self._looks: dict[str, tuple[str, KeyPath]] = {}
        self.places: dict[Name, KeyPath] = {}

    def roster(self, tables: RosterTables) -> Roster:
        """UserError with every line that is wrong."""
        users, without = self._users(tables)
        group_members = self._group_members(tables, users)
        boxes = self._mailboxes(tables, users, group_members)
        for login in users:
            if login not in boxes and login not in without:
                boxes[login] = own_mailbox(login)
                self.places[("mailbox", login)] = self.places[("user", login)]
        aliases = self._aliases(tables, boxes)
        self._problems.check()
        return Roster(users, {name: RosterGroup(members) for name, members in group_members.items()}, boxes, aliases)

    def _users(self, tables: RosterTables) -> tuple[dict[str, RosterUser], set[str]]:
        """And the logins of those without a mailbox of the same address."""
        users, without = {}, set()
        for n, table in enumerate(tables.users):
            login = self._new("user", table.login, ("users", n, "login"), self._own_address)
            if login is None:
                continue
            users[login] = RosterUser(UserRole(table.role), table.state == "active")
            if not table.mailbox:
                without.add(login)
        return users, without

    def _group_members(self, tables: RosterTables, users: dict[str, RosterUser]) -> dict[str, frozenset[str]]:
        found = {}
        for n, table in enumerate(tables.groups):
            name = self._new("group", table.name, ("groups", n, "name"), addresses.new_group_name)
            members = [
                self._known("user", login, users, ("groups", n, "members", m)) for m, login in enumerate(table.members)
            ]
            if name is not None:
                found[name] = frozenset(filter(None, members))
        return found

    def _mailboxes(
        self, tables: RosterTables, users: dict[str, RosterUser], groups: dict[str, frozenset[str]]
    ) -> dict[str, RosterMailbox]:
        found = {}
        for n, table in enumerate(tables.mailboxes):
            path: KeyPath = ("mailboxes", n)
            address = self._new("mailbox", table.address, (*path, "address"), self._own_address)
            by_user = self._holders("user", table.users, users, (*path, "users"))
            by_group = self._holders("group", table.groups, groups, (*path, "groups"))
            if address is not None:
                is_active = table.state == "active"
                found[address] = RosterMailbox(MailboxKind(table.kind), is_active, table.quota, by_user, by_group)
        return found

    def _aliases(self, tables: RosterTables, boxes: dict[str, RosterMailbox]) -> dict[str, RosterAlias]:
        found = {}
        for n, table in enumerate(tables.aliases):
            address = self._new("alias", table.address, ("aliases", n, "address"), self._own_address)
            if address in boxes:
                self._problems.add(("aliases", n, "address"), f"{address} is the address of a mailbox")
            path: KeyPath = ("aliases", n, "mailboxes")
            leads = [self._known("mailbox", box, boxes, (*path, m)) for m, box in enumerate(table.mailboxes)]
            if address is not None:
                found[address] = RosterAlias(frozenset(filter(None, leads)))
        return found

    def _new(self, kind: str, text: str, path: KeyPath, canonical: Callable[[str], str]) -> str | None:
        """The canonical form of a name that is listed; None where it is wrong, or listed before."""
        try:
            found = canonical(text)
        except UserError as error:
            self._problems.add(path, str(error))
            return None
        name = (kind, found)
        if name in self.places:
            line = self._problems.lines.line(self.places[name])
            self._problems.add(path, f"{kind} {found} is in line {line} already")
            return None
        self.places[name] = path
        self._compare_looks(kind, found, path)
        return found

    def _compare_looks(self, kind: str, found: str, path: KeyPath) -> None:
        """A user and a mailbox share an address; otherwise no two may look alike."""
        is_group = kind == "group"
        look = f"group {addresses.name_skeleton(found)}" if is_group else addresses.skeleton(found)
        other, other_path = self._looks.setdefault(look, (found, path))
        if other != found:
            line = self._problems.lines.line(other_path)
            self._problems.add(path, f"{kind} {found} looks like {other} in line {line}")

    def _known(self, kind: str, text: str, among: Collection[str], path: KeyPath) -> str | None:
        """The canonical form of a name that must be listed elsewhere in the file."""
        try:
            found = addresses.canonical_local(text) if kind == "group" else addresses.canonical(text)
        except AddressError:
            found = ""
        if found in among:
            return found
        self._problems.add(path, f"there is no {kind} {addresses.shown(text)} in this file")
        return None

    def _holders(self, kind: str, given: dict[str, str], among: Collection[str], path: KeyPath) -> dict[str, Rights]:
        found = {}
        for text, rights in given.items():
            holder = self._known(kind, text, among, (*path, text))
            try:
                granted = parse_rights(rights)
            except UserError as error:
                self._problems.add((*path, text), str(error))
                continue
            if holder in found:
                self._problems.add((*path, text), f"{kind} {holder} is named twice")
            elif holder is not None:
                found[holder] = granted
        return found

    def _own_address(self, text: str) -> str:
        found = addresses.new_address(text)
        domain = found.rpartition("@")[2]
        if domain not in self._domains:
            raise UserError(f"address {addresses.shown(text)}: {domain} is not a domain of the tenant")
        return found

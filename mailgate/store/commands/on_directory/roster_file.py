"""A roster as a TOML file: read with the line of everything that is wrong, and written so that it reads the same."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailgate.model.errors import UserError
from mailgate.policy.toml_lines import KeyPath, TomlLines
from mailgate.tenancy.databases.models import MailboxKind, UserRole
from mailgate.tenancy.people.roster import Name, Roster, RosterMailbox, own_mailbox

MOST_PROBLEMS = 50
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class UserTable(_Table):
    login: str
    role: Literal["user", "administrator"] = "user"
    state: Literal["active", "disabled"] = "active"
    mailbox: bool = True


class GroupTable(_Table):
    name: str
    members: list[str] = []


class MailboxTable(_Table):
    address: str
    kind: Literal["personal", "shared"] = "shared"
    state: Literal["active", "disabled"] = "active"
    quota: int | None = Field(default=None, ge=0)
    users: dict[str, str] = {}
    groups: dict[str, str] = {}


class AliasTable(_Table):
    address: str
    mailboxes: list[str] = Field(min_length=1)


class RosterTables(_Table):
    users: list[UserTable] = []
    groups: list[GroupTable] = []
    mailboxes: list[MailboxTable] = []
    aliases: list[AliasTable] = []


@dataclass(slots=True)
class Problems:
    """What is wrong in the file called `source`, by line."""

    source: str
    lines: TomlLines
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: KeyPath, text: str) -> None:
        self.found.append((self.lines.line(path), text))

    def check(self) -> None:
        """UserError where there is any."""
        if not self.found:
            return
        told = [f"{self.source}:{line}: {text}" for line, text in sorted(self.found)[:MOST_PROBLEMS]]
        more = len(self.found) - len(told)
        raise UserError("\n".join([*told, *([f"... and {more} more"] if more else [])]))


def read_tables(text: str, source: str) -> tuple[RosterTables, Problems]:
    """What stands in the file, as it was written. UserError with every line that has a form that is not known."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at else text.rstrip().count("\n") + 1
        raise UserError(f"{source}:{line}: not valid TOML: {_AT_LINE.sub('', str(error))}") from None
    except RecursionError:
        raise UserError(f"{source}:1: is nested too deeply; people and mailboxes need two levels") from None
    problems = Problems(source, TomlLines(text))
    try:
        tables = RosterTables.model_validate(content)
    except ValidationError as error:
        for item in error.errors():
            path = tuple(step for step in item["loc"])
            problems.add(path, _wording(path, item["type"], item["msg"]))
        problems.check()
        raise
    return tables, problems


def _wording(path: KeyPath, kind: str, message: str) -> str:
    name = ".".join(str(step + 1) if isinstance(step, int) else step for step in path)
    if kind == "extra_forbidden":
        return f"{name}: unknown key"
    if kind == "missing":
        return f"{name} is missing"
    return f"{name}: {message[:1].lower()}{message[1:]}"


# Writing


def render(roster: Roster, tenant: str) -> str:
    """The whole roster; what is the same without being written is left out."""
    parts = [f"# People, groups, mailboxes and aliases of tenant {tenant}: mailgate directory apply\n"]
    parts += [_table("users", _user_keys(roster, login)) for login in sorted(roster.users)]
    for name in sorted(roster.groups):
        parts.append(_table("groups", [("name", name), ("members", sorted(roster.groups[name].members))]))
    for address in sorted(roster.mailboxes):
        found = roster.mailboxes[address]
        if address not in roster.users or found != own_mailbox(address):
            parts.append(_table("mailboxes", _mailbox_keys(address, found)))
    for address in sorted(roster.aliases):
        leads = sorted(roster.aliases[address].mailboxes)
        parts.append(_table("aliases", [("address", address), ("mailboxes", leads)]))
    return "\n".join(parts)


def _user_keys(roster: Roster, login: str) -> Iterator[tuple[str, object]]:
    user = roster.users[login]
    yield "login", login
    if user.role is not UserRole.USER:
        yield "role", str(user.role)
    if not user.is_active:
        yield "state", "disabled"
    if login not in roster.mailboxes:
        yield "mailbox", False


def _mailbox_keys(address: str, found: RosterMailbox) -> Iterator[tuple[str, object]]:
    yield "address", address
    if found.kind is not MailboxKind.SHARED:
        yield "kind", str(found.kind)
    if not found.is_active:
        yield "state", "disabled"
    if found.quota is not None:
        yield "quota", found.quota
    for key, holders in (("users", found.users), ("groups", found.groups)):
        if holders:
            yield key, {name: ",".join(rights.names) for name, rights in sorted(holders.items())}


def _table(name: str, keys: Iterable[tuple[str, object]]) -> str:
    return f"[[{name}]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in keys)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    # strings, lists of them, whole numbers and booleans are written alike in JSON and TOML; DEL is the exception
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


__all__ = ["Name", "Problems", "RosterTables", "read_tables", "render"]

"""Administrative commands on users and their app passwords. Arguments and results are plain JSON values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from mailgate.model.envelope import TenantName
from mailgate.model.errors import UserError
from mailgate.policy.schema import Passwords
from mailgate.tenancy import addresses
from mailgate.tenancy.access import assignments, groups, visibility
from mailgate.tenancy.databases.models import AppPassword, Login, User, UserRole, UserState
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.logins import app_passwords
from mailgate.tenancy.logins import history as login_history
from mailgate.tenancy.people import people, sending_book
from mailgate.tenancy.work import Work

DAY = 86_400.0
MOST_LOGINS = 1000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PeopleDesk:
    """`rules` says what passwords of a tenant must be; UserError where the policies are wrong."""

    directory: Directory
    rules: Callable[[TenantName], Passwords]


def handlers(desk: PeopleDesk) -> dict[str, Callable[..., Any]]:
    """Command name -> function of keyword arguments. They raise UserError, NotFoundError, ConflictError and
    UnavailableError; called from the directory's thread."""
    found: dict[str, Callable[..., Any]] = {"user.add": partial(_add, desk), "user.passwd": partial(_passwd, desk)}
    return found | {name: partial(command, desk.directory) for name, command in _ON_DIRECTORY.items()}


def _add(desk: PeopleDesk, tenant: str, login: str, password: str) -> Json:
    with desk.directory.changing(tenant) as work:
        user = _facts(work, people.add_user(work, login, password, desk.rules(work.tenant.name).minimum_score))
        work.audit("user.add", user["login"], None, {"id": user["id"], "mailboxes": user["mailboxes"]})
        return user


def _passwd(desk: PeopleDesk, login: str, password: str) -> str:
    with desk.directory.changing(desk.directory.tenant_of(login)) as work:
        before = people.find_user(work, login).password_changed_at
        user = people.set_password(work, login, password, desk.rules(work.tenant.name).minimum_score)
        changed = {"password_changed_at": user.password_changed_at}
        work.audit("user.passwd", user.login, {"password_changed_at": before}, changed)
        return user.login


def _list(directory: Directory, tenant: str) -> list[Json]:
    with directory.reading(tenant) as work:
        return [_facts(work, user) for user in people.list_users(work)]


def _state(state: UserState, directory: Directory, login: str) -> str:
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).state
        user = people.set_state(work, login, state)
        action = "user.enable" if state is UserState.ACTIVE else "user.disable"
        work.audit(action, user.login, {"state": before}, {"state": state})
        return user.login


def _unlock(directory: Directory, login: str) -> str:
    """Also ends the waiting after failed logins, so it is no error where the user is not locked."""
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).state
        user = people.unlock(work, login)
        work.audit("user.unlock", user.login, {"state": before}, {"state": user.state})
    directory.forgive(user.login)
    return user.login


def _role(directory: Directory, login: str, role: str) -> str:
    if role not in list(UserRole):
        raise UserError(f"role {addresses.shown(role)}: give {' or '.join(UserRole)}")
    with directory.changing(directory.tenant_of(login)) as work:
        before = people.find_user(work, login).role
        user = people.set_role(work, login, UserRole(role))
        work.audit("user.role", user.login, {"role": before}, {"role": role})
        return user.login


def _remove(directory: Directory, login: str) -> Json:
    """`kept`: the mailboxes that are switched off now because nobody else uses them; their mail stays."""
    with directory.changing(directory.tenant_of(login)) as work:
        before = [mailbox.address for mailbox in assignments.assigned_to(work, people.find_user(work, login).id)]
        user, kept = people.remove_user(work, login)
        work.audit("user.remove", user.login, {"id": user.id, "mailboxes": before}, {"switched_off": kept})
        return {"login": user.login, "kept": kept}


def _leave(directory: Directory, login: str, successor: str = "") -> Json:
    """One transaction: either all of it has ended, or nothing. Sessions follow the change that it tells."""
    with directory.changing(directory.tenant_of(login)) as work:
        left = asdict(people.leave(work, login, successor))
        ended = {name: left[name] for name in ("mailboxes", "groups", "app_passwords")}
        after = {"passed_on": left["passed_on"], "successor": successor, "switched_off": left["switched_off"]}
        work.audit("user.leave", left["login"], ended, after)
        return left


def _release(directory: Directory, login: str) -> str:
    """Ends the hold; the messages that it held are released on the queue."""
    with directory.changing(directory.tenant_of(login)) as work:
        return sending_book.release(work, login)


def _logins(directory: Directory, login: str, limit: int = 100) -> list[Json]:
    """The latest first."""
    if not 1 <= limit <= MOST_LOGINS:
        raise UserError(f"limit {limit}: give 1 to {MOST_LOGINS}")
    with directory.reading(directory.tenant_of(login)) as work:
        found = login_history.logins_of(work, people.find_user(work, login).id, limit)
        return [_login_facts(line) for line in found]


def _app_password_add(
    directory: Directory, login: str, name: str, scopes: Sequence[str] = app_passwords.SCOPES, days: int | None = None
) -> Json:
    """`password` is told here and never again. `days`: how long it opens anything; None: until it is revoked."""
    if days is not None and days < 1:
        raise UserError(f"days {days}: give 1 or more")
    with directory.changing(directory.tenant_of(login)) as work:
        user = people.find_user(work, login)
        expires_at = None if days is None else work.now + days * DAY
        made, text = app_passwords.add(work, user, name, scopes, expires_at)
        facts = _app_password_facts(made)
        work.audit("apppassword.add", user.login, None, facts)
        return facts | {"password": text}


def _app_password_list(directory: Directory, login: str) -> list[Json]:
    with directory.reading(directory.tenant_of(login)) as work:
        return [_app_password_facts(each) for each in app_passwords.list_of(work, people.find_user(work, login).id)]


def _app_password_revoke(directory: Directory, login: str, id: str) -> Json:
    with directory.changing(directory.tenant_of(login)) as work:
        user = people.find_user(work, login)
        facts = _app_password_facts(app_passwords.revoke(work, user, id))
        work.audit("apppassword.revoke", user.login, facts)
        return facts


def _facts(work: Work, user: User) -> Json:
    assigned = [mailbox for mailbox in assignments.assigned_to(work, user.id) if visibility.sees(work, mailbox)]
    return {
        "login": user.login,
        "id": user.id,
        "state": str(user.state),
        "locked_until": user.locked_until,
        "held": sending_book.held_because(work, user.id),
        "role": str(user.role),
        "groups": groups.groups_of(work, user.id),
        "mailboxes": [mailbox.address for mailbox in assigned],
        "password_changed_at": user.password_changed_at,
        "created_at": user.created_at,
    }


def _login_facts(line: Login) -> Json:
    return {
        "protocol": line.protocol,
        "address": line.address,
        "result": line.result,
        "app_password": line.app_password,
        "first_at": line.first_at,
        "last_at": line.last_at,
        "times": line.times,
    }


def _app_password_facts(row: AppPassword) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes.split(),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


_ON_DIRECTORY: dict[str, Callable[..., Any]] = {
    "user.list": _list,
    "user.disable": partial(_state, UserState.DISABLED),
    "user.enable": partial(_state, UserState.ACTIVE),
    "user.unlock": _unlock,
    "user.role": _role,
    "user.remove": _remove,
    "user.leave": _leave,
    "user.release": _release,
    "user.logins": _logins,
    "apppassword.add": _app_password_add,
    "apppassword.list": _app_password_list,
    "apppassword.revoke": _app_password_revoke,
}

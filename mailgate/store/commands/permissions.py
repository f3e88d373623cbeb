"""Who may give which command: what stands in no rule is given by nobody. Pure.

A rule says what a role may ask for at all. What exists for the caller is decided where things are looked up: the tenant
by the directory, mailboxes by `tenancy.visibility`, mail by `store.view`; what is another's reads like what is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailgate.model.errors import UserError
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.addresses import is_same_address
from mailgate.tenancy.people.people import no_user
from mailgate.tenancy.registry import no_tenant

_OPERATOR = frozenset({Role.OPERATOR})
_ADMINISTRATOR = frozenset({Role.OPERATOR, Role.ADMINISTRATOR})
_EVERYBODY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Rule:
    """`tenant` is the argument that names the tenant: for who is bound to one it is that one, also where it is not
    given. `own` is the argument in which a user may give nothing but the own login; `strictly`: nor an administrator,
    since what it gives would open another's mail."""

    roles: frozenset[Role]
    tenant: str = ""
    own: str = ""
    strictly: bool = False


_BY_OPERATOR = Rule(_OPERATOR)
_BY_ADMINISTRATOR = Rule(_ADMINISTRATOR)
_IN_TENANT = Rule(_ADMINISTRATOR, tenant="tenant")
_BY_EVERYBODY = Rule(_EVERYBODY)
_BY_EVERYBODY_IN_TENANT = Rule(_EVERYBODY, tenant="tenant")
_ON_LOGIN = Rule(_EVERYBODY, own="login")
_ON_OWN_LOGIN = Rule(_EVERYBODY, own="login", strictly=True)

RULES: dict[str, Rule] = {
    "tenant.add": _BY_OPERATOR,
    "tenant.list": _BY_ADMINISTRATOR,
    "tenant.show": Rule(_ADMINISTRATOR, tenant="name"),
    "tenant.migrate": _BY_OPERATOR,
    "tenant.disable": _BY_OPERATOR,
    "tenant.enable": _BY_OPERATOR,
    "tenant.remove": _BY_OPERATOR,
    "tenant.domain.add": _BY_OPERATOR,
    "tenant.domain.remove": _BY_OPERATOR,
    "directory.export": _BY_OPERATOR,
    "directory.compare": _BY_OPERATOR,
    "directory.apply": _BY_OPERATOR,
    "user.add": _IN_TENANT,
    "user.import": _IN_TENANT,
    "user.import-check": _IN_TENANT,
    "user.list": _IN_TENANT,
    "user.passwd": _ON_LOGIN,
    "user.disable": _BY_ADMINISTRATOR,
    "user.enable": _BY_ADMINISTRATOR,
    "user.role": _BY_ADMINISTRATOR,
    "user.remove": _BY_ADMINISTRATOR,
    "user.leave": _BY_ADMINISTRATOR,
    "user.release": _BY_ADMINISTRATOR,
    "user.unlock": _BY_ADMINISTRATOR,
    "user.logins": _ON_OWN_LOGIN,
    "apppassword.add": _ON_OWN_LOGIN,
    "apppassword.list": _ON_OWN_LOGIN,
    "apppassword.revoke": _ON_LOGIN,
    "group.add": _IN_TENANT,
    "group.remove": _IN_TENANT,
    "group.list": _IN_TENANT,
    "group.member.add": _IN_TENANT,
    "group.member.remove": _IN_TENANT,
    "mailbox.add": _IN_TENANT,
    "mailbox.list": _BY_EVERYBODY_IN_TENANT,
    "mailbox.show": _BY_EVERYBODY,
    "mailbox.path": _BY_OPERATOR,
    "mailbox.assign": _BY_EVERYBODY,
    "mailbox.unassign": _BY_EVERYBODY,
    "mailbox.rights": _BY_EVERYBODY,
    "mailbox.quota": _BY_ADMINISTRATOR,
    "mailbox.enable": _BY_EVERYBODY,
    "mailbox.disable": _BY_EVERYBODY,
    "mailbox.remove": _BY_EVERYBODY,
    "mailbox.erase": _BY_OPERATOR,
    "alias.add": _IN_TENANT,
    "alias.extend": _BY_ADMINISTRATOR,
    "alias.shrink": _BY_ADMINISTRATOR,
    "alias.list": _IN_TENANT,
    "alias.remove": _BY_ADMINISTRATOR,
    "dkim.create": _BY_ADMINISTRATOR,
    "dkim.rotate": _BY_ADMINISTRATOR,
    "dkim.list": _BY_ADMINISTRATOR,
    "dkim.seen": _BY_ADMINISTRATOR,
    "breakglass.request": _BY_ADMINISTRATOR,
    "breakglass.confirm": _IN_TENANT,
    "breakglass.end": _BY_EVERYBODY_IN_TENANT,
    "breakglass.list": _BY_EVERYBODY_IN_TENANT,
    "operator.add": _BY_OPERATOR,
    "operator.list": _BY_OPERATOR,
    "operator.remove": _BY_OPERATOR,
    "audit.list": _BY_EVERYBODY_IN_TENANT,
    "audit.verify": _IN_TENANT,
    "queue.list": _BY_EVERYBODY_IN_TENANT,
    "queue.show": _BY_EVERYBODY,
    "queue.summary": _BY_OPERATOR,
    "queue.retry": _BY_OPERATOR,
    "queue.hold": _BY_OPERATOR,
    "queue.release": _BY_OPERATOR,
    "queue.delete": _BY_OPERATOR,
    "queue.retry-chosen": _BY_OPERATOR,
    "queue.hold-chosen": _BY_OPERATOR,
    "queue.release-chosen": _BY_OPERATOR,
    "queue.delete-chosen": _BY_OPERATOR,
    "quarantine.list": _BY_EVERYBODY_IN_TENANT,
    "quarantine.show": _BY_EVERYBODY_IN_TENANT,
    "quarantine.release": _IN_TENANT,
    "quarantine.delete": _BY_EVERYBODY_IN_TENANT,
    "inspection.report": _IN_TENANT,
    "dmarc.summary": _IN_TENANT,
    "transport.report": _BY_OPERATOR,
    "trace": _BY_EVERYBODY,
    "policy.reload": _BY_OPERATOR,
    "policy.show": _BY_OPERATOR,
    "settings.show": _BY_OPERATOR,
    "clock.show": _BY_OPERATOR,
    "clock.confirm": _BY_OPERATOR,
}


def admitted(caller: Caller, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as they hold for this caller. Raises UserError for a command that is none, or not for this caller:
    they read alike; NotFoundError for another tenant or, from a user, another's login."""
    rule = RULES.get(command)
    if rule is None or caller.role not in rule.roles:
        raise unknown(command)
    if caller.is_operator:
        return arguments
    if rule.tenant:
        named = arguments.get(rule.tenant) or caller.tenant
        if named != caller.tenant:
            raise no_tenant(str(named))
        arguments = arguments | {rule.tenant: named}
    is_checked = rule.own and (rule.strictly or caller.role is Role.USER)
    if is_checked and not is_same_address(str(arguments.get(rule.own)), caller.login):
        raise no_user(str(arguments.get(rule.own)), caller.tenant)
    return arguments


def unknown(command: str) -> UserError:
    return UserError(f"there is no command {command!r}")

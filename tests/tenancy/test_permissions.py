"""Who may give which command: default deny, and nothing that says more than "there is no such thing"."""

from __future__ import annotations

from typing import Any

import pytest

from mailgate.model.envelope import TenantName
from mailgate.model.errors import NotFoundError, UserError
from mailgate.store.commands import catalogue, permissions
from mailgate.store.commands.on_spool.desk import actor
from mailgate.store.commands.permissions import RULES, admitted
from mailgate.tenancy.acting import Acting, Caller, Role, on_behalf_of
from mailgate.tenancy.directory import Directory
from tests.tenancy.conftest import BUILT_IN

ACME = TenantName("acme")
OPERATOR = Caller("operator ann", Role.OPERATOR)
ADMIN = Caller("alice@acme.example", Role.ADMINISTRATOR, ACME, "alice@acme.example")
USER = Caller("bob@acme.example", Role.USER, ACME, "bob@acme.example")


def test_every_command_has_a_rule_and_no_rule_is_left_over(directory: Directory) -> None:
    assert set(RULES) == set(catalogue.on_directory(directory, lambda: BUILT_IN)) | catalogue.ON_SPOOL


def test_an_operator_may_give_every_command() -> None:
    assert all(Role.OPERATOR in rule.roles for rule in RULES.values())
    given = {"tenant": "other", "login": "x@other.example"}
    assert all(admitted(OPERATOR, command, given) == given for command in RULES)


def test_what_a_user_may_give_an_administrator_may() -> None:
    assert all(Role.ADMINISTRATOR in rule.roles for rule in RULES.values() if Role.USER in rule.roles)


@pytest.mark.parametrize("caller", [ADMIN, USER])
def test_a_command_for_others_reads_like_one_that_is_none(caller: Caller) -> None:
    for command in ("tenant.add", "policy.reload", "queue.delete-chosen", "mailbox.path", "operator.add", "nonsense"):
        with pytest.raises(UserError) as refused:
            admitted(caller, command, {})
        assert str(refused.value) == str(permissions.unknown(command))


@pytest.mark.parametrize(
    ("command", "given"),
    [("tenant.show", {"name": "other"}), ("user.list", {"tenant": "other"}), ("audit.list", {"tenant": "other"})],
)
def test_another_tenant_is_not_there(command: str, given: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="there is no tenant 'other'; see: mailgate tenant list"):
        admitted(ADMIN, command, given)


def test_the_own_tenant_need_not_be_named() -> None:
    assert admitted(ADMIN, "audit.list", {"tenant": ""}) == {"tenant": "acme"}
    assert admitted(ADMIN, "user.list", {}) == {"tenant": "acme"}
    assert admitted(ADMIN, "user.list", {"tenant": "acme"}) == {"tenant": "acme"}


def test_a_user_changes_the_own_password_only() -> None:
    own = {"login": "BOB@acme.example", "password": "x"}
    assert admitted(USER, "user.passwd", own) == own
    for login in ("alice@acme.example", "nobody@acme.example", "eve@bcme.example", "no address", ""):
        with pytest.raises(NotFoundError, match=f"there is no user '?{login}'? at tenant acme"):
            admitted(USER, "user.passwd", {"login": login, "password": "x"})
    assert admitted(ADMIN, "user.passwd", {"login": "bob@acme.example"}) == {"login": "bob@acme.example"}


@pytest.mark.parametrize(
    ("caller", "named"),
    [
        (USER, "bob@acme.example"),
        (OPERATOR, "operator ann (root by sudo)"),
        (Caller("account root", Role.OPERATOR), "account root (root by sudo)"),
    ],
)
def test_timelines_name_whom_the_audit_log_names(caller: Caller, named: str) -> None:
    with on_behalf_of(Acting(caller)):
        assert actor("root") == named
        assert actor("") == caller.name

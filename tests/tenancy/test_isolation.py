"""No tenant sees another: every command that names a tenant is tried on the other one's people."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from mailgate.model.errors import MailgateError, NotFoundError, UserError
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from tests.tenancy.conftest import PASSWORD, Commands

OF_BCME = ("bcme", "eve", "sales")

IN_FILE = "[[mailboxes]]\naddress = 'new@acme.example'\nusers = {'eve@bcme.example' = 'read'}\n"

# Every command that takes two things, given one of acme and one of bcme.
CROSSINGS = [
    ("tenant.domain.add", {"tenant": "acme", "domain": "bcme.example"}),
    ("tenant.domain.remove", {"tenant": "acme", "domain": "bcme.example"}),
    ("user.add", {"tenant": "acme", "login": "eve@bcme.example", "password": PASSWORD}),
    ("user.add", {"tenant": "acme", "login": "new@bcme.example", "password": PASSWORD}),
    ("mailbox.add", {"tenant": "acme", "address": "new@bcme.example"}),
    ("mailbox.add", {"tenant": "acme", "address": "new@acme.example", "users": ["eve@bcme.example"]}),
    ("mailbox.assign", {"mailbox": "team@acme.example", "user": "eve@bcme.example"}),
    ("mailbox.assign", {"mailbox": "eve@bcme.example", "user": "bob@acme.example"}),
    ("mailbox.unassign", {"mailbox": "eve@bcme.example", "user": "bob@acme.example"}),
    ("mailbox.rights", {"mailbox": "eve@bcme.example", "user": "bob@acme.example", "rights": "read"}),
    ("mailbox.rights", {"mailbox": "team@acme.example", "user": "eve@bcme.example", "rights": "read"}),
    ("alias.add", {"tenant": "acme", "address": "new@acme.example", "targets": ["eve@bcme.example"]}),
    ("alias.add", {"tenant": "acme", "address": "new@acme.example", "targets": ["sales@bcme.example"]}),
    ("alias.add", {"tenant": "acme", "address": "new@bcme.example", "targets": ["bob@acme.example"]}),
    ("alias.add", {"tenant": "acme", "address": "@bcme.example", "targets": ["bob@acme.example"]}),
    ("alias.extend", {"address": "bob@acme.example", "targets": ["eve@bcme.example"]}),
    ("alias.shrink", {"address": "bob@acme.example", "targets": ["eve@bcme.example"]}),
    ("tenant.add", {"name": "ccme", "domains": ["bcme.example"]}),
    ("user.leave", {"login": "bob@acme.example", "successor": "eve@bcme.example"}),
    ("group.add", {"tenant": "acme", "name": "new", "users": ["eve@bcme.example"]}),
    ("group.member.add", {"tenant": "acme", "name": "staff", "user": "eve@bcme.example"}),
    ("group.member.remove", {"tenant": "acme", "name": "staff", "user": "eve@bcme.example"}),
    ("directory.compare", {"tenant": "acme", "text": IN_FILE, "source": "acme.toml"}),
    ("directory.apply", {"tenant": "acme", "text": IN_FILE, "source": "acme.toml", "plan": ""}),
]

# Those that take one thing, and so can't cross; `tenant.list` is for the operator of the gateway.
ONE_THING = {"tenant.list", "tenant.show", "tenant.migrate", "tenant.disable", "tenant.enable"} | {
    f"{what}.{verb}"
    for what, verbs in {
        "user": (
            "import",
            "import-check",
            "list",
            "passwd",
            "disable",
            "enable",
            "unlock",
            "role",
            "remove",
            "release",
            "logins",
        ),
        "apppassword": ("add", "list", "revoke"),
        "group": ("list", "remove"),
        "dkim": ("create", "rotate", "list", "seen"),
        "mailbox": ("list", "show", "path", "quota", "enable", "disable", "remove"),
        "alias": ("list", "remove"),
        "audit": ("list", "verify"),
        "operator": ("add", "list", "remove"),
        "directory": ("export",),
        "breakglass": ("request", "confirm", "end", "list"),
    }.items()
    for verb in verbs
}


def contents(data_dir: Path, directory: Directory) -> dict[str, list[str]]:
    """Every row of every database."""
    found = {}
    for path in (data_dir / "registry.db", *(data_dir / "tenants").glob("*/tenant.db")):
        with sqlite3.connect(path) as connection:
            found[str(path)] = list(connection.iterdump())
        connection.close()
    return found


def test_no_command_is_left_out(run: Commands) -> None:
    assert {command for command, _ in CROSSINGS} | ONE_THING == run.names


@pytest.mark.parametrize(("command", "arguments"), CROSSINGS)
def test_no_command_reaches_across(
    tmp_path: Path, directory: Directory, two_tenants: Commands, command: str, arguments: dict[str, object]
) -> None:
    before = contents(tmp_path, directory)
    with pytest.raises(MailgateError) as refused:
        two_tenants(command, **arguments)
    given = json.dumps(arguments)
    for word in OF_BCME:
        assert word in given or word not in str(refused.value), "the refusal tells what the caller did not know"
    assert contents(tmp_path, directory) == before


@pytest.mark.parametrize("command", ["user.list", "mailbox.list", "alias.list"])
def test_lists_hold_the_own_tenant_only(two_tenants: Commands, command: str) -> None:
    two_tenants("alias.add", tenant="acme", address="info@acme.example", targets=["bob@acme.example"])
    listed = json.dumps(two_tenants(command, tenant="acme"))
    assert "acme" in listed
    assert not [word for word in OF_BCME if word in listed]


def test_show_holds_the_own_tenant_only(two_tenants: Commands) -> None:
    assert not [word for word in OF_BCME if word in json.dumps(two_tenants("tenant.show", name="acme"))]


@pytest.mark.parametrize("local", ["eve", "sales", "new"])
def test_another_tenants_and_nobodys_address_are_refused_alike(two_tenants: Commands, local: str) -> None:
    """Whether the address exists at the other tenant makes no difference."""

    def refusal(target: str) -> str:
        with pytest.raises(NotFoundError) as refused:
            two_tenants("alias.add", tenant="acme", address="x@acme.example", targets=[target])
        return str(refused.value).replace(target, "TARGET")

    assert refusal(f"{local}@bcme.example") == refusal("nobody@bcme.example") == refusal("nobody@nowhere.example")


def test_creating_at_another_tenants_domain_reads_like_creating_at_an_unknown_one(two_tenants: Commands) -> None:
    def refusal(domain: str) -> str:
        with pytest.raises(UserError) as refused:
            two_tenants("user.add", tenant="acme", login=f"eve@{domain}", password=PASSWORD)
        return str(refused.value).replace(domain, "DOMAIN")

    assert refusal("bcme.example") == refusal("nowhere.example")


def test_a_transaction_finds_nobody_of_another_tenant(directory: Directory, two_tenants: Commands) -> None:
    with directory.reading("acme") as work:
        assert [user.login for user in people.list_users(work)] == ["alice@acme.example", "bob@acme.example"]
        with pytest.raises(NotFoundError):
            people.find_user(work, "eve@bcme.example")


def test_each_tenant_has_a_database_and_a_mail_folder_of_its_own(tmp_path: Path, two_tenants: Commands) -> None:
    acme = Path(two_tenants("mailbox.path", mailbox="bob@acme.example"))
    bcme = Path(two_tenants("mailbox.path", mailbox="eve@bcme.example"))
    assert acme.parents[1] != bcme.parents[1]
    for own, other in ((acme, b"eve"), (bcme, b"bob")):
        database = own.parents[1] / "tenant.db"
        stored = database.read_bytes() + database.with_name("tenant.db-wal").read_bytes()
        assert other not in stored

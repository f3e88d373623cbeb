"""The audit log: every command that changes something leaves exactly one entry, and tampering is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, UnavailableError, UserError
from mailgate.store.commands import catalogue, running
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.databases.models import Brake
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.people import people
from tests.support.clock import ManualClock
from tests.tenancy.conftest import BUILT_IN, PASSWORD, Commands

ROOT = Caller("account root", Role.OPERATOR)
BOB, TEAM = "bob@acme.example", "team@acme.example"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3UcqvHbWMVlKGNMIWA5YWjC2ZEUrEfDPm8BQNmB1Tn"
SECRET = "a-secret-of-bob's-9"

# An administrator, for what an operator can't do.
ANN = "ann@acme.example"
GIVEN_BY = {"breakglass.request": Caller(ANN, Role.ADMINISTRATOR, TenantName("acme"), ANN)}

# One call of every command that changes something; in the order in which they are possible.
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("tenant.add", {"name": "ccme", "domains": ["ccme.example"]}),
    ("tenant.disable", {"name": "acme"}),
    ("tenant.enable", {"name": "acme"}),
    ("tenant.domain.add", {"tenant": "acme", "domain": "more.example"}),
    ("tenant.domain.remove", {"tenant": "acme", "domain": "more.example"}),
    ("user.add", {"tenant": "acme", "login": "carol@acme.example", "password": SECRET}),
    ("user.import", {"tenant": "acme", "rows": [{"login": "fay@acme.example", "password": SECRET}]}),
    ("user.passwd", {"login": BOB, "password": SECRET}),
    ("user.disable", {"login": BOB}),
    ("user.enable", {"login": BOB}),
    ("user.unlock", {"login": BOB}),
    ("user.role", {"login": BOB, "role": "administrator"}),
    ("apppassword.add", {"login": BOB, "name": "phone"}),
    ("apppassword.revoke", {"login": BOB}),
    ("group.add", {"tenant": "acme", "name": "sales", "users": [BOB]}),
    ("group.member.add", {"tenant": "acme", "name": "sales", "user": "alice@acme.example"}),
    ("group.member.remove", {"tenant": "acme", "name": "sales", "user": BOB}),
    ("group.remove", {"tenant": "acme", "name": "sales"}),
    ("mailbox.add", {"tenant": "acme", "address": "info@acme.example", "users": [BOB]}),
    ("mailbox.assign", {"mailbox": TEAM, "user": "alice@acme.example"}),
    ("mailbox.unassign", {"mailbox": TEAM, "user": "alice@acme.example"}),
    ("mailbox.rights", {"mailbox": TEAM, "user": BOB, "rights": "read"}),
    ("mailbox.quota", {"mailbox": TEAM, "quota": 1000}),
    ("mailbox.disable", {"mailbox": TEAM}),
    ("mailbox.enable", {"mailbox": TEAM}),
    ("mailbox.remove", {"mailbox": "info@acme.example"}),
    ("alias.add", {"tenant": "acme", "address": "x@acme.example", "targets": [BOB]}),
    ("alias.extend", {"address": "x@acme.example", "forwards": ["x@elsewhere.example"]}),
    ("alias.shrink", {"address": "x@acme.example", "targets": [BOB]}),
    ("alias.remove", {"address": "x@acme.example"}),
    ("directory.apply", {"tenant": "acme", "source": "acme.toml"}),
    ("user.release", {"login": BOB}),
    ("user.leave", {"login": "alice@acme.example", "successor": BOB}),
    ("user.remove", {"login": "carol@acme.example"}),
    ("breakglass.request", {"mailbox": TEAM, "reason": "x", "hours": 1}),
    ("breakglass.confirm", {"tenant": "acme"}),
    ("breakglass.end", {"tenant": "acme"}),
    ("operator.add", {"name": "ann", "key": PUBLIC_KEY}),
    ("operator.remove", {"name": "ann"}),
    ("dkim.create", {"domain": "acme.example"}),
    ("dkim.rotate", {"domain": "acme.example"}),
    ("dkim.seen", {"domain": "acme.example"}),
]
READING = {
    "directory.compare",
    "directory.export",
    "tenant.list",
    "tenant.show",
    "tenant.migrate",  # the form of the database, not what it says
    "user.list",
    "user.import-check",
    "user.logins",
    "apppassword.list",
    "mailbox.list",
    "mailbox.path",
    "mailbox.show",
    "group.list",
    "alias.list",
    "dkim.list",
    "audit.list",
    "operator.list",
    "breakglass.list",
    "audit.verify",
}


@pytest.fixture
def call(directory: Directory, two_tenants: Commands, clock: ManualClock) -> Callable[..., Any]:
    """As the gateway runs a command of the account `root`."""
    handlers = catalogue.on_directory(directory, lambda: BUILT_IN, lambda *_: None)

    def run(command: str, **arguments: Any) -> Any:
        clock.advance(1)
        if command == "dkim.seen":
            arguments["selectors"] = [key["selector"] for key in run("dkim.list", domain=arguments["domain"])]
        if command == "directory.apply":
            arguments["text"] = run("directory.export", tenant="acme") + '[[groups]]\nname = "new"\n'
            arguments["plan"] = run("directory.compare", **arguments)["plan"]
        if command == "user.release":
            hold_mail(directory, arguments["login"])
        if command == "apppassword.revoke":
            arguments["id"] = run("apppassword.list", login=arguments["login"])[0]["id"]
        if command in ("breakglass.confirm", "breakglass.end"):
            arguments["id"] = run("breakglass.list", tenant="acme")[0]["id"]
        return running.run(handlers[command], command, arguments, GIVEN_BY.get(command, ROOT))

    return run


def hold_mail(directory: Directory, login: str) -> None:
    """Without an entry in the log: those of the gateway's own are not what is counted here."""
    with directory.reading("acme") as work:
        user = people.find_user(work, login)
        work.session.add(Brake(user_id=user.id, reason="too much", created_at=0.0))


def entries(call: Callable[..., Any]) -> list[dict[str, Any]]:
    return [entry for tenant in ("", "acme", "bcme") for entry in call("audit.list", tenant=tenant, limit=1000)]


def database(tmp_path: Path, directory: Directory) -> Path:
    return tmp_path / "tenants" / directory.tenant("acme").id / "tenant.db"


def tamper(path: Path, *statements: str) -> None:
    """As somebody who has the file and knows SQL."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            assert connection.execute(statement).rowcount
    connection.close()


def test_every_command_is_known_to_change_something_or_not(directory: Directory) -> None:
    assert {name for name, _ in CHANGES} | READING == set(catalogue.on_directory(directory, lambda: BUILT_IN))
    assert not {name for name, _ in CHANGES} & READING


def test_each_change_leaves_exactly_one_entry_without_secrets(
    tmp_path: Path, directory: Directory, call: Callable[..., Any]
) -> None:
    for command, arguments in CHANGES:
        before = entries(call)
        call(command, **arguments)
        (entry,) = [entry for entry in entries(call) if entry not in before]
        assert (entry["action"], entry["actor"]) == (command, GIVEN_BY.get(command, ROOT).name)
        assert entry["object"]
        assert len(entry["request"]) == 16
        assert entry["before"] or entry["after"]
        assert entry["at"]
    for tenant in ("", "acme", "bcme", "ccme"):
        assert call("audit.verify", tenant=tenant)["faults"] == []
    told = json.dumps(entries(call))
    assert not [word for word in (SECRET, PASSWORD, "argon2") if word in told]


def test_reading_and_failing_leave_none(call: Callable[..., Any]) -> None:
    before = entries(call)
    call("user.list", tenant="acme")
    call("audit.verify", tenant="acme")
    with pytest.raises(ConflictError):
        call("user.enable", login=BOB)
    with pytest.raises(UserError):
        call("user.passwd", login=BOB, password="short")
    assert entries(call) == before


def test_what_it_was_before_and_after(call: Callable[..., Any]) -> None:
    call("mailbox.assign", mailbox=TEAM, user="alice@acme.example")
    last = call("audit.list", tenant="acme")[-1]
    assert (last["before"], last["after"]) == (
        {"holders": {BOB: "lrswipkxte"}},
        {"holders": {"alice@acme.example": "lrswipkxte", BOB: "lrswipkxte"}},
    )
    call("tenant.disable", name="acme")
    last = call("audit.list")[-1]
    assert (last["object"], last["before"], last["after"]) == ("acme", {"state": "active"}, {"state": "disabled"})


def test_an_entry_is_of_one_tenant(call: Callable[..., Any]) -> None:
    call("user.disable", login="eve@bcme.example")
    assert "eve" not in json.dumps(call("audit.list", tenant="acme"))
    assert "eve" in json.dumps(call("audit.list", tenant="bcme"))


def test_chosen_by_time_object_and_number(call: Callable[..., Any], clock: ManualClock) -> None:
    clock.advance(1000)
    moment = clock()
    call("user.disable", login=BOB)
    call("mailbox.disable", mailbox=TEAM)
    assert [entry["object"] for entry in call("audit.list", tenant="acme", since=moment)] == [BOB, TEAM]
    assert [entry["action"] for entry in call("audit.list", tenant="acme", object=BOB)] == ["user.add", "user.disable"]
    assert [entry["object"] for entry in call("audit.list", tenant="acme", limit=1)] == [TEAM]
    for limit in (0, 10_001):
        with pytest.raises(UserError, match="1 to 10000"):
            call("audit.list", limit=limit)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE n = 2", "entry 2 was changed"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE n = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE n = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM audit WHERE n > 2", "entries 3 to 4 are missing at the end"),
        ("DELETE FROM audit", "entries 1 to 4 are missing at the end"),
        ("DELETE FROM audit WHERE n = 1", "entries 1 to 1 are missing"),
        ("UPDATE audit SET n = 9 WHERE n = 4", "entries 4 to 8 are missing"),
    ],
)
def test_tampering_is_found(
    tmp_path: Path, directory: Directory, call: Callable[..., Any], statement: str, fault: str
) -> None:
    assert call("audit.verify", tenant="acme")["faults"] == []
    tamper(database(tmp_path, directory), statement)
    faults = call("audit.verify", tenant="acme")["faults"]
    assert faults[0].startswith(fault)


def test_a_head_that_was_written_down_finds_a_registry_cut_short(tmp_path: Path, call: Callable[..., Any]) -> None:
    call("tenant.disable", name="acme")
    head = call("audit.verify")["head"]
    tamper(tmp_path / "registry.db", "DELETE FROM audit WHERE n = 3")
    assert call("audit.verify")["faults"] == []
    assert call("audit.verify", expected=head)["faults"] == ["entries 3 to 3 are missing at the end"]
    with pytest.raises(UserError, match="NUMBER:HASH"):
        call("audit.verify", expected="12")


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = ''", "DELETE FROM audit"])
def test_the_database_itself_only_appends(tmp_path: Path, directory: Directory, call: Any, statement: str) -> None:
    with sqlite3.connect(database(tmp_path, directory)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()


def test_what_is_too_old_goes_and_the_rest_can_be_verified(call: Callable[..., Any], directory: Directory) -> None:
    call("user.disable", login=BOB)
    moment = call("audit.list", tenant="acme")[-1]["at"]
    assert directory.prune_audit("acme", moment) == 4
    assert [entry["action"] for entry in call("audit.list", tenant="acme")] == ["user.disable"]
    assert call("audit.verify", tenant="acme")["faults"] == []
    assert directory.prune_audit("acme", moment) == 0
    assert directory.prune_audit("acme", moment + 1) == 1
    call("user.enable", login=BOB)
    found = call("audit.verify", tenant="acme")
    assert (found["entries"], found["faults"]) == (1, [])
    assert found["head"].startswith("6:")
    assert directory.prune_audit("", moment + 10_000) == 2
    assert call("audit.verify")["faults"] == []


def test_a_change_and_its_entry_come_together_or_not_at_all(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entries(call)

    def broken(*_: object) -> bytes:
        raise UnavailableError("no hash")

    monkeypatch.setattr("mailgate.tenancy.audit.log.link", broken)
    for command, arguments in (("user.disable", {"login": BOB}), ("tenant.disable", {"name": "acme"})):
        with pytest.raises(UnavailableError):
            call(command, **arguments)
    monkeypatch.undo()
    assert entries(call) == before
    assert {user["state"] for user in call("user.list", tenant="acme")} == {"active"}
    assert call("tenant.show", name="acme")["state"] == "active"


def test_deeds_outside_the_directory_are_noted_even_where_the_database_is_damaged(
    tmp_path: Path, directory: Directory, call: Callable[..., Any]
) -> None:
    directory.note_deed(TenantName("acme"), "queue.delete", "Q1", {"state": "deleted"})
    assert call("audit.list", tenant="acme")[-1]["object"] == "Q1"
    path = database(tmp_path, directory)
    directory.close()
    path.write_bytes(b"no database" * 1000)
    directory.note_deed(TenantName("acme"), "queue.delete", "Q2", {})
    assert call("audit.list")[-1]["after"] == {"tenant": "acme"}

"""Who confirms access in an emergency is independent of who asked for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, UserError
from mailgate.policy.schema import GatewayPolicy
from mailgate.policy.snapshot import Snapshot
from mailgate.store.commands import catalogue, running
from mailgate.tenancy.acting import Caller, Role
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.schema import TENANT
from mailgate.tenancy.directory import Directory
from tests.support.clock import ManualClock
from tests.tenancy.conftest import BUILT_IN, PASSWORD, Commands
from tests.tenancy.test_schema import version_before

ROOT = Caller("operator ann", Role.OPERATOR)
ALICE, BOB, SOCK, PUPPET = (f"{name}@acme.example" for name in ("alice", "bob", "sock", "puppet"))
DAY = 86_400.0

Give = Callable[..., Any]


def as_(login: str) -> Caller:
    return Caller(login, Role.ADMINISTRATOR, TenantName("acme"), login)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def give(directory: Directory, two_tenants: Commands, told: list[str], clock: ManualClock) -> Give:
    """alice has been an administrator for a month."""

    def tell(work: Any, mailbox: Any, asked: Any) -> None:
        told.append(asked.confirmed_by)

    handlers = catalogue.on_directory(directory, lambda: BUILT_IN, tell)

    def run(by: Caller, command: str, **arguments: Any) -> Any:
        return running.run(handlers[command], command, arguments, by)

    run(ROOT, "user.role", login=ALICE, role="administrator")
    clock.advance(30 * DAY)
    return run


def made_administrator(give: Give, login: str, by: Caller) -> None:
    give(by, "user.add", tenant="acme", login=login, password=PASSWORD)
    give(by, "user.role", login=login, role="administrator")


def asked(give: Give, by: str = ALICE) -> str:
    return str(give(as_(by), "breakglass.request", mailbox=BOB, reason="ill", hours=4)["id"])


def confirm(give: Give, by: Caller, id: str) -> str:
    return str(give(by, "breakglass.confirm", tenant="acme", id=id)["state"])


@pytest.mark.parametrize("days", [0, 6.9, 400])
def test_who_is_an_administrator_through_the_asker_never_confirms(
    give: Give, told: list[str], clock: ManualClock, days: float
) -> None:
    """C6: before, the asker made a second administrator and confirmed within a minute."""
    made_administrator(give, SOCK, as_(ALICE))
    clock.advance(days * DAY)
    id = asked(give)
    with pytest.raises(ConflictError, match=f"through {ALICE}"):
        confirm(give, as_(SOCK), id)
    assert told == []


def test_nor_through_somebody_whom_the_asker_made_and_removed(give: Give, clock: ManualClock) -> None:
    made_administrator(give, SOCK, as_(ALICE))
    made_administrator(give, PUPPET, as_(SOCK))
    give(as_(ALICE), "user.remove", login=SOCK)
    clock.advance(400 * DAY)
    with pytest.raises(ConflictError, match=f"through {ALICE}"):
        confirm(give, as_(PUPPET), asked(give))


def test_nor_does_it_help_to_make_a_user_whom_another_makes_an_administrator(give: Give, clock: ManualClock) -> None:
    give(as_(ALICE), "user.add", tenant="acme", login=SOCK, password=PASSWORD)
    give(ROOT, "user.role", login=SOCK, role="administrator")
    clock.advance(400 * DAY)
    with pytest.raises(ConflictError, match=f"through {ALICE}"):
        confirm(give, as_(SOCK), asked(give))


def test_an_administrator_of_a_week_confirms_and_the_owner_is_told(
    give: Give, told: list[str], clock: ManualClock
) -> None:
    made_administrator(give, SOCK, ROOT)
    clock.advance(7 * DAY - 1)
    id = asked(give)
    with pytest.raises(ConflictError, match="less than 7 days"):
        confirm(give, as_(SOCK), id)
    clock.advance(1)
    assert confirm(give, as_(SOCK), id) == "open"
    assert told == [SOCK]


def test_the_role_counts_from_when_it_was_given_last(give: Give, clock: ManualClock) -> None:
    made_administrator(give, SOCK, ROOT)
    clock.advance(8 * DAY)
    give(ROOT, "user.role", login=SOCK, role="user")
    give(ROOT, "user.role", login=SOCK, role="administrator")
    with pytest.raises(ConflictError, match="less than 7 days"):
        confirm(give, as_(SOCK), asked(give))


def test_an_operator_confirms_and_asks_for_nothing(give: Give, told: list[str]) -> None:
    assert confirm(give, ROOT, asked(give)) == "open"
    assert told == ["operator ann"]
    with pytest.raises(UserError):
        give(ROOT, "breakglass.request", mailbox=BOB, reason="ill", hours=4)


def test_who_tried_in_vain_is_in_the_audit_log(give: Give) -> None:
    made_administrator(give, SOCK, as_(ALICE))
    id = asked(give)
    for by in (SOCK, ALICE):
        with pytest.raises(ConflictError):
            confirm(give, as_(by), id)
    log = give(ROOT, "audit.list", tenant="acme")
    refused = [(each["actor"], each["object"]) for each in log if each["action"] == "breakglass.refused"]
    assert refused == [(SOCK, id), (ALICE, id)]


def test_imported_administrators_count_from_their_import(give: Give, clock: ManualClock) -> None:
    row = {"login": SOCK, "password": PASSWORD, "role": "administrator"}
    give(as_(ALICE), "user.import", tenant="acme", rows=[row])
    clock.advance(30 * DAY)
    with pytest.raises(ConflictError, match=f"through {ALICE}"):
        confirm(give, as_(SOCK), asked(give))


def test_the_policy_says_how_long(directory: Directory, give: Give) -> None:
    policy = GatewayPolicy.model_validate({"mailboxes": {"confirmer_days": 0}})
    snapshot = Snapshot(built_in=BUILT_IN.built_in, gateway=policy, tenants={})
    handlers = catalogue.on_directory(directory, lambda: snapshot, lambda *_: None)
    made_administrator(give, SOCK, ROOT)
    arguments = {"tenant": "acme", "id": asked(give)}
    command = "breakglass.confirm"
    assert running.run(handlers[command], command, arguments, as_(SOCK))["state"] == "open"


def test_administrators_of_before_an_upgrade_have_been_so_for_long(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    with engine.begin() as connection:
        version_before("role_since", tmp_path).migrate(connection)
        connection.exec_driver_sql(
            "INSERT INTO users (id, login, password_hash, state, password_changed_at, created_at, role) VALUES "
            "('u', 'b@a', '', 'active', 1, 1, 'administrator')"
        )
    engine.dispose()
    Database(tmp_path / "db", TENANT).close()
    with sqlite3.connect(tmp_path / "db") as connection:
        assert connection.execute("SELECT role_since, made_by FROM users").fetchall() == [(0.0, "")]

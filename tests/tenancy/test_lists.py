"""What aliases lead to, and where mail for them goes then."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.databases.schema import REGISTRY
from mailgate.tenancy.directory import Directory
from mailgate.tenancy.mailboxes import lists
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands, authenticate
from tests.tenancy.test_schema import version_before

BOB, ALICE, TEAM, ALL = "bob@acme.example", "alice@acme.example", "team@acme.example", "all@acme.example"
AWAY = "bob@elsewhere.example"


def resolve(directory: Directory, address: str) -> Resolved:
    return directory.recipients.resolve(*address.split("@"))


def reached(directory: Directory, address: str) -> set[str]:
    """The addresses of mailboxes and the paths elsewhere that get mail for the address."""
    found = resolve(directory, address)
    return {*map(directory.mailbox_address, found.mailboxes), *found.forwards}


def test_a_list_of_groups_people_and_others(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address="inner@acme.example", targets=[BOB, TEAM])
    alias = two_tenants(
        "alias.add",
        tenant="acme",
        address="All@acme.example",
        targets=["inner@acme.example", BOB],
        groups=["staff"],
        forwards=[AWAY],
    )
    assert alias["mailboxes"] == [BOB]
    assert alias["leads"] == [BOB, "inner@acme.example", "group staff", AWAY]
    assert reached(directory, ALL) == {ALICE, BOB, TEAM, AWAY}
    assert len(resolve(directory, ALL).mailboxes) == 3, "once to each"


def test_who_joins_a_group_is_on_its_lists_at_once(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address=ALL, groups=["staff"])
    assert reached(directory, ALL) == {ALICE}
    two_tenants("group.member.add", tenant="acme", name="staff", user=BOB)
    assert reached(directory, ALL) == {ALICE, BOB}
    two_tenants("group.remove", tenant="acme", name="staff")
    assert resolve(directory, ALL).kind == "disabled"


def test_a_list_makes_nobody_its_sender(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address=ALL, groups=["staff"])
    two_tenants("alias.add", tenant="acme", address="@acme.example", targets=[ALICE])
    assert authenticate(directory, ALICE, PASSWORD.encode()).send_as == (ALICE,)


def test_a_mailbox_is_forwarded_and_keeps_its_mail(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.extend", address=BOB, forwards=[AWAY, AWAY])
    assert reached(directory, BOB) == {BOB, AWAY}
    assert [alias["address"] for alias in two_tenants("alias.list", tenant="acme")] == [BOB]
    with pytest.raises(ConflictError, match="address of this mailbox"):
        two_tenants("alias.shrink", address=BOB, targets=[BOB])
    two_tenants("alias.shrink", address=BOB, forwards=[AWAY])
    assert reached(directory, BOB) == {BOB}
    two_tenants("mailbox.disable", mailbox=BOB)
    assert resolve(directory, BOB).kind == "disabled"


@pytest.mark.parametrize(
    "path",
    [
        "nobody",
        "a@b@c.example",
        '"odd local"@c.example',
        "a%b@c.example",
        "postmaster",
        "a@[192.0.2.1]",
        "x@acme.example",
    ],
)
def test_what_is_no_forward(two_tenants: Commands, path: str) -> None:
    with pytest.raises(UserError):
        two_tenants("alias.add", tenant="acme", address=ALL, forwards=[path])


def test_loops_are_refused_when_they_are_made(directory: Directory, two_tenants: Commands) -> None:
    for name, target in (("a", BOB), ("b", "a@acme.example"), ("c", "b@acme.example")):
        two_tenants("alias.add", tenant="acme", address=f"{name}@acme.example", targets=[target], groups=["staff"])
    before = two_tenants("alias.list", tenant="acme")
    for target in ("c@acme.example", "a@acme.example"):
        with pytest.raises(ConflictError, match="back to itself"):
            two_tenants("alias.extend", address="a@acme.example", targets=[target])
    assert two_tenants("alias.list", tenant="acme") == before
    assert reached(directory, "c@acme.example") == {ALICE, BOB}


def test_a_list_reaches_so_many_and_no_more(two_tenants: Commands) -> None:
    paths = [f"p{number}@elsewhere.example" for number in range(lists.MOST_FORWARDS)]
    two_tenants("alias.add", tenant="acme", address="a@acme.example", forwards=paths)
    two_tenants("alias.add", tenant="acme", address="b@acme.example", targets=["a@acme.example"])
    with pytest.raises(UserError, match="more than 100 addresses elsewhere"):
        two_tenants("alias.extend", address="b@acme.example", forwards=["q@elsewhere.example"])
    with pytest.raises(UserError, match="more than 100 addresses elsewhere"):
        two_tenants("alias.extend", address="a@acme.example", forwards=["q@elsewhere.example"])


def test_what_others_lead_to_is_not_removed(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address="a@acme.example", targets=[BOB, TEAM])
    two_tenants("alias.add", tenant="acme", address="b@acme.example", targets=["a@acme.example", ALICE])
    with pytest.raises(ConflictError, match="leads to a@acme"):
        two_tenants("alias.remove", address="a@acme.example")
    two_tenants("alias.shrink", address="b@acme.example", targets=["a@acme.example"])
    two_tenants("alias.remove", address="a@acme.example")
    assert reached(directory, "b@acme.example") == {ALICE}
    with pytest.raises(ConflictError, match="lead nowhere"):
        two_tenants("alias.shrink", address="b@acme.example", targets=[ALICE])
    with pytest.raises(NotFoundError):
        two_tenants("alias.shrink", address="b@acme.example", targets=[BOB])


def test_all_others_of_a_domain(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address="@ACME.example", targets=[BOB], forwards=[AWAY])
    two_tenants("mailbox.disable", mailbox=TEAM)
    assert reached(directory, "whoever@acme.example") == {BOB, AWAY}
    assert reached(directory, ALICE) == {ALICE}
    assert resolve(directory, TEAM).kind == "disabled", "what is switched off is not caught"
    assert resolve(directory, "b\u043eb@acme.example").kind == "unknown", "nor what only looks like an address"
    assert directory.recipients.resolve("whoever", "bcme.example").kind == "unknown"
    two_tenants("alias.remove", address="@acme.example")
    assert resolve(directory, "whoever@acme.example").kind == "unknown"


def test_a_user_or_mailbox_is_never_for_all_others(two_tenants: Commands) -> None:
    with pytest.raises(UserError):
        two_tenants("mailbox.add", tenant="acme", address="@acme.example")
    with pytest.raises(UserError):
        two_tenants("user.add", tenant="acme", login="@acme.example", password=PASSWORD)
    with pytest.raises(UserError, match="srs0="):
        two_tenants("mailbox.add", tenant="acme", address="SRS0=x@acme.example")


def test_bounces_of_forwarded_mail_find_home(directory: Directory, two_tenants: Commands, clock: ManualClock) -> None:
    path = directory.recipients.return_path("acme", ALL, "ann@sender.example")
    assert resolve(directory, path) == Resolved("bounce", TenantName("acme"), forwards=("ann@sender.example",))
    assert resolve(directory, path.replace("ann", "amy")).kind == "unknown"
    assert directory.recipients.resolve(path.partition("@")[0], "bcme.example").kind == "unknown", (
        "each tenant has its own key"
    )
    clock.advance(15 * 86_400)
    assert resolve(directory, path).kind == "unknown"


def test_after_an_upgrade_tags_of_the_release_before_are_taken_for_a_while(tmp_path: Path, cheap_hashes: None) -> None:
    def made_until(data_dir: Path) -> int | None:
        opened = Directory(data_dir)
        opened.close()
        return opened.recipients._short_tags_until

    assert made_until(tmp_path) is None, "nobody has made any here"
    (tmp_path / "old").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path / 'old' / 'registry.db'}")
    with engine.begin() as connection:
        version_before("upgrades", tmp_path, REGISTRY).migrate(connection)
    engine.dispose()
    upgraded_on = made_until(tmp_path / "old")
    assert upgraded_on is not None and 0 <= time.time() // 86_400 - upgraded_on <= 1
    assert made_until(tmp_path / "old") == upgraded_on, "once and for all"

"""The administrative commands: what they answer, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy.directory import Directory
from tests.tenancy.conftest import PASSWORD, Commands, authenticate


def test_a_user_comes_with_a_mailbox_an_address_and_a_maildir(tmp_path: Path, two_tenants: Commands) -> None:
    user = two_tenants("user.add", tenant="acme", login="Carol@ACME.example", password=PASSWORD)
    assert user["login"] == "carol@acme.example"
    assert user["mailboxes"] == ["carol@acme.example"]
    path = Path(two_tenants("mailbox.path", mailbox="carol@acme.example"))
    assert path.is_absolute()
    assert path.is_relative_to(tmp_path / "tenants")
    assert sorted(entry.name for entry in path.iterdir()) == ["cur", "new", "tmp"]
    box = next(b for b in two_tenants("mailbox.list", tenant="acme") if b["address"] == "carol@acme.example")
    assert (box["kind"], box["state"], box["users"]) == ("personal", "active", ["carol@acme.example"])
    assert box["path"] == str(path)


def test_answers_are_json(two_tenants: Commands) -> None:
    for answer in (
        two_tenants("tenant.list"),
        two_tenants("tenant.show", name="acme"),
        two_tenants("user.list", tenant="acme"),
        two_tenants("mailbox.list", tenant="acme"),
        two_tenants("alias.list", tenant="bcme"),
    ):
        assert answer
        assert json.loads(json.dumps(answer)) == answer


def test_show_counts(two_tenants: Commands) -> None:
    shown = two_tenants("tenant.show", name="acme")
    assert (shown["users"], shown["mailboxes"], shown["database"], shown["key"]) == (2, 3, "ok", "ok")


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        ("tenant.add", {"name": "acme"}, "tenant acme exists already"),
        ("tenant.enable", {"name": "acme"}, "is active already"),
        ("tenant.domain.add", {"tenant": "acme", "domain": "ACME.example"}, "hosted here already"),
        (
            "user.add",
            {"tenant": "acme", "login": "BOB@acme.example", "password": PASSWORD},
            "user bob@acme.example exists",
        ),
        ("user.add", {"tenant": "acme", "login": "team@acme.example", "password": PASSWORD}, "exists already"),
        ("user.enable", {"login": "bob@acme.example"}, "is active already"),
        ("mailbox.add", {"tenant": "acme", "address": "team@acme.example"}, "exists already"),
        ("mailbox.assign", {"mailbox": "team@acme.example", "user": "bob@acme.example"}, "assigned to bob"),
        ("mailbox.enable", {"mailbox": "team@acme.example"}, "is active already"),
        (
            "alias.add",
            {"tenant": "acme", "address": "bob@acme.example", "targets": ["team@acme.example"]},
            "exists already",
        ),
        ("alias.remove", {"address": "bob@acme.example"}, "the address of a mailbox"),
    ],
)
def test_what_is_there_already_is_said_and_changes_nothing(
    two_tenants: Commands, command: str, arguments: dict[str, object], text: str
) -> None:
    before = everything(two_tenants)
    with pytest.raises(ConflictError, match=text):
        two_tenants(command, **arguments)
    assert everything(two_tenants) == before


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("tenant.show", {"name": "none"}),
        ("tenant.disable", {"name": "none"}),
        ("tenant.domain.add", {"tenant": "none", "domain": "x.example"}),
        ("user.add", {"tenant": "none", "login": "bob@acme.example", "password": PASSWORD}),
        ("user.list", {"tenant": "none"}),
        ("user.passwd", {"login": "none@acme.example", "password": PASSWORD}),
        ("user.disable", {"login": "none@acme.example"}),
        ("user.remove", {"login": "bob@none.example"}),
        ("user.remove", {"login": "bob"}),
        ("mailbox.list", {"tenant": "none"}),
        ("mailbox.path", {"mailbox": "none@acme.example"}),
        ("mailbox.path", {"mailbox": "../../etc/passwd"}),
        ("mailbox.path", {"mailbox": ""}),
        ("mailbox.assign", {"mailbox": "team@acme.example", "user": "none@acme.example"}),
        ("mailbox.unassign", {"mailbox": "team@acme.example", "user": "alice@acme.example"}),
        ("mailbox.remove", {"mailbox": "none@acme.example"}),
        ("alias.add", {"tenant": "acme", "address": "x@acme.example", "targets": ["none@acme.example"]}),
        ("alias.list", {"tenant": "none"}),
        ("alias.remove", {"address": "none@acme.example"}),
        ("alias.remove", {"address": "no\0ne@acme.example"}),
    ],
)
def test_what_is_not_there_is_not_found(two_tenants: Commands, command: str, arguments: dict[str, object]) -> None:
    before = everything(two_tenants)
    with pytest.raises(NotFoundError) as refused:
        two_tenants(command, **arguments)
    assert str(refused.value).isprintable()
    assert everything(two_tenants) == before


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        ("user.add", {"tenant": "acme", "login": "carol@acme.example", "password": "short"}, "at least 10"),
        ("user.add", {"tenant": "acme", "login": "carol@bcme.example", "password": PASSWORD}, "not a domain of tenant"),
        ("user.add", {"tenant": "acme", "login": "carol", "password": PASSWORD}, "name@domain"),
        ("user.add", {"tenant": "acme", "login": "../x@acme.example", "password": PASSWORD}, "slashes"),
        ("user.add", {"tenant": "acme", "login": "c" * 1000 + "@acme.example", "password": PASSWORD}, "longer than 64"),
        ("user.passwd", {"login": "bob@acme.example", "password": "short"}, "at least 10"),
        ("mailbox.add", {"tenant": "acme", "address": "te\u202eam2@acme.example"}, "invisible"),
        ("alias.add", {"tenant": "acme", "address": "x@acme.example", "targets": []}, "at least one mailbox"),
        ("alias.add", {"tenant": "acme", "address": "x+y@acme.example", "targets": ["bob@acme.example"]}, "label"),
    ],
)
def test_wrong_input_is_explained(two_tenants: Commands, command: str, arguments: dict[str, object], text: str) -> None:
    before = everything(two_tenants)
    with pytest.raises(UserError, match=text) as refused:
        two_tenants(command, **arguments)
    assert str(refused.value).isprintable()
    assert everything(two_tenants) == before


def test_addresses_that_look_alike_are_refused(two_tenants: Commands) -> None:
    two_tenants("user.add", tenant="acme", login="pay@acme.example", password=PASSWORD)
    with pytest.raises(ConflictError, match=r"looks like pay@acme\.example"):
        two_tenants("alias.add", tenant="acme", address="\u0440\u0430\u0443@acme.example", targets=["bob@acme.example"])


def test_an_alias_to_several_mailboxes(directory: Directory, two_tenants: Commands) -> None:
    alias = two_tenants(
        "alias.add",
        tenant="acme",
        address="all@acme.example",
        targets=["bob@acme.example", "alice@acme.example", "BOB@acme.example"],
    )
    assert (alias["address"], alias["leads"]) == ("all@acme.example", ["alice@acme.example", "bob@acme.example"])
    assert two_tenants("alias.list", tenant="acme") == [alias]
    assert len(directory.recipients.resolve("all", "acme.example").mailboxes) == 2
    with pytest.raises(UserError, match=r"several mailboxes: alice@acme\.example, bob@acme\.example"):
        two_tenants("mailbox.path", mailbox="all@acme.example")
    two_tenants("alias.remove", address="all@acme.example")
    assert directory.recipients.resolve("all", "acme.example").kind == "unknown"


def test_an_alias_to_an_alias_leads_to_its_mailbox(two_tenants: Commands) -> None:
    two_tenants("alias.add", tenant="acme", address="a@acme.example", targets=["bob@acme.example"])
    two_tenants("alias.add", tenant="acme", address="b@acme.example", targets=["a@acme.example"])
    assert two_tenants("mailbox.path", mailbox="b@acme.example") == two_tenants(
        "mailbox.path", mailbox="bob@acme.example"
    )


def test_a_user_who_leaves_takes_no_mail_along(directory: Directory, two_tenants: Commands) -> None:
    path = Path(two_tenants("mailbox.path", mailbox="bob@acme.example"))
    (path / "new" / "1.mail").write_text("kept")
    assert two_tenants("user.remove", login="bob@acme.example") == {
        "login": "bob@acme.example",
        "kept": ["bob@acme.example"],
    }
    assert (path / "new" / "1.mail").read_text() == "kept"
    assert directory.recipients.resolve("bob", "acme.example").kind == "disabled"
    assert directory.recipients.resolve("team", "acme.example").kind == "mailbox"
    assert not authenticate(directory, "bob@acme.example", PASSWORD.encode()).ok
    with pytest.raises(ConflictError, match="holds mail"):
        two_tenants("mailbox.remove", mailbox="bob@acme.example")

    two_tenants("mailbox.assign", mailbox="bob@acme.example", user="alice@acme.example")
    two_tenants("mailbox.enable", mailbox="bob@acme.example")
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"
    assert "bob@acme.example" in authenticate(directory, "alice@acme.example", PASSWORD.encode()).send_as


def test_a_personal_mailbox_that_others_use_stays_on(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("mailbox.assign", mailbox="bob@acme.example", user="alice@acme.example")
    assert two_tenants("user.remove", login="bob@acme.example")["kept"] == []
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"


@pytest.mark.parametrize("place", ["cur/1", "new/1", ".Archive/cur/1"])
def test_a_mailbox_is_removed_only_when_it_is_empty(directory: Directory, two_tenants: Commands, place: str) -> None:
    two_tenants("alias.add", tenant="acme", address="t@acme.example", targets=["team@acme.example"])
    two_tenants(
        "alias.add", tenant="acme", address="two@acme.example", targets=["team@acme.example", "alice@acme.example"]
    )
    path = Path(two_tenants("mailbox.path", mailbox="team@acme.example"))
    message = path / place
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text("kept")
    with pytest.raises(ConflictError, match="holds mail"):
        two_tenants("mailbox.remove", mailbox="team@acme.example")
    assert directory.recipients.resolve("team", "acme.example").kind == "mailbox"

    message.unlink()
    assert two_tenants("mailbox.remove", mailbox="team@acme.example") == "team@acme.example"
    assert [directory.recipients.resolve(local, "acme.example").kind for local in ("team", "t", "two")] == [
        "unknown",
        "unknown",
        "mailbox",
    ]
    assert (path / "new").is_dir(), "mail on its way must find its folder"
    two_tenants("user.add", tenant="acme", login="team@acme.example", password=PASSWORD)


def everything(run: Commands) -> str:
    """All that the commands can tell of all tenants."""
    tenants = run("tenant.list")
    return json.dumps(
        [tenants]
        + [run(f"{what}.list", tenant=tenant["name"]) for tenant in tenants for what in ("user", "mailbox", "alias")]
    )


def test_a_tenant_is_made_with_who_reads_its_postmasters_mail(directory: Directory, run: Commands) -> None:
    run("tenant.add", name="acme", domains=["acme.example", "two.example"], postmaster="Noc@hosting.example")
    for local in ("postmaster", "abuse"):
        for domain in ("acme.example", "two.example"):
            assert directory.recipients.resolve(local, domain).forwards == ("noc@hosting.example",)


@pytest.mark.parametrize("postmaster", ["it@acme.example", "no address"])
def test_nobody_reads_it_who_does_not_exist_yet(directory: Directory, run: Commands, postmaster: str) -> None:
    with pytest.raises(UserError):
        run("tenant.add", name="acme", domains=["acme.example"], postmaster=postmaster)
    assert run("tenant.list") == []

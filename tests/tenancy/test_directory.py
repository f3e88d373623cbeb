"""Recipients, tenants and changes, on real databases."""

from __future__ import annotations

import dataclasses
import shutil
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError, UserError
from mailgate.tenancy.databases.ids import GATEWAY_MAILBOX
from mailgate.tenancy.directory import RETRY_SECONDS, Directory
from mailgate.tenancy.mailboxes import address_maps
from mailgate.tenancy.recipients import Rules
from tests.support.clock import ManualClock
from tests.tenancy.conftest import PASSWORD, Commands, authenticate


def mailbox_id(run: Commands, tenant: str, address: str) -> MailboxId:
    return MailboxId(next(box["id"] for box in run("mailbox.list", tenant=tenant) if box["address"] == address))


def database_of(directory: Directory, tmp_path: Path, name: str) -> Path:
    return tmp_path / "tenants" / directory.tenant(name).id / "tenant.db"


def test_each_kind_of_answer(directory: Directory, two_tenants: Commands) -> None:
    bob = mailbox_id(two_tenants, "acme", "bob@acme.example")
    assert directory.recipients.resolve("bob", "acme.example") == Resolved("mailbox", TenantName("acme"), (bob,))
    assert directory.recipients.resolve("BOB+x", "acme.example") == Resolved("mailbox", TenantName("acme"), (bob,))
    assert directory.recipients.resolve("eve", "acme.example") == Resolved("unknown", TenantName("acme"))
    assert directory.recipients.resolve("bob", "other.example") == Resolved("foreign")
    two_tenants("mailbox.disable", mailbox="bob@acme.example")
    assert directory.recipients.resolve("bob", "acme.example") == Resolved("disabled", TenantName("acme"))
    two_tenants("tenant.disable", name="acme")
    assert directory.recipients.resolve("alice", "acme.example") == Resolved("disabled", TenantName("acme"))
    assert directory.recipients.resolve("eve", "bcme.example").kind == "mailbox"


def test_a_disabled_user_still_gets_mail(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("user.disable", login="bob@acme.example")
    assert directory.recipients.resolve("bob", "acme.example").kind == "mailbox"


def test_a_mailbox_taken_from_everybody_still_gets_mail(directory: Directory, two_tenants: Commands) -> None:
    two_tenants("mailbox.unassign", mailbox="team@acme.example", user="bob@acme.example")
    assert directory.recipients.resolve("team", "acme.example").kind == "mailbox"


OPERATOR = Rules(operator="eve@bcme.example")
NOBODYS = Resolved("mailbox", TenantName(""), (GATEWAY_MAILBOX,))


@pytest.mark.parametrize("local", ["postmaster", "Abuse", "postmaster+x"])
def test_the_postmaster_is_never_somebody_who_was_not_asked(
    directory: Directory, two_tenants: Commands, local: str
) -> None:
    """Before it was the first user's private mailbox."""
    resolve = partial(directory.recipients.resolve, local, "acme.example")
    bob, alice = (mailbox_id(two_tenants, "acme", f"{name}@acme.example") for name in ("bob", "alice"))
    operator = mailbox_id(two_tenants, "bcme", "eve@bcme.example")
    assert resolve() == replace(NOBODYS, tenant=TenantName("acme"))
    assert resolve(OPERATOR).mailboxes == (operator,)
    two_tenants("user.role", login="alice@acme.example", role="administrator")
    assert resolve(OPERATOR).mailboxes == (alice,)
    named = Rules(postmaster=lambda tenant: "bob@acme.example")
    assert resolve(named).mailboxes == (bob,)
    elsewhere = Rules(postmaster=lambda tenant: "it@far.example")
    assert resolve(elsewhere) == Resolved("mailbox", TenantName("acme"), forwards=("it@far.example",))
    assert resolve(Rules(postmaster=lambda tenant: "gone@acme.example")).mailboxes == (alice,)
    address = f"{local.partition('+')[0].lower()}@acme.example"
    two_tenants("alias.add", tenant="acme", address=address, targets=["bob@acme.example"])
    assert resolve(OPERATOR).mailboxes == (bob,)


def test_a_tenants_own_server_has_its_own_postmaster(directory: Directory, two_tenants: Commands) -> None:
    routed = Rules(is_routed=lambda tenant, domain: True)
    assert directory.recipients.resolve("postmaster", "acme.example", routed).kind == "unknown"


@pytest.mark.parametrize("hostname", ["mx.other.example", "MX1.bcme.example", "acme.example"])
def test_the_gateways_postmaster_is_the_operators(tmp_path: Path, two_tenants: Commands, hostname: str) -> None:
    directory = Directory(tmp_path, hostname=hostname)
    bob = mailbox_id(two_tenants, "bcme", "eve@bcme.example")
    for local, domain in (("postmaster", ""), ("Postmaster", hostname.lower()), ("abuse", hostname.lower())):
        resolve = partial(directory.recipients.resolve, local, domain)
        assert resolve() == NOBODYS
        assert resolve(Rules(operator="ops@far.example")) == NOBODYS, "who is to be its tenant?"
        assert resolve(Rules(operator="gone@bcme.example")) == NOBODYS
        assert resolve(OPERATOR) == Resolved("mailbox", TenantName("bcme"), (bob,), via="eve@bcme.example")
        own_server = dataclasses.replace(OPERATOR, is_routed=lambda tenant, domain: domain == "bcme.example")
        assert resolve(own_server).forwards == ("eve@bcme.example",)
    assert sorted(path.name for path in (tmp_path / "postmaster").iterdir()) == ["cur", "new", "tmp"]
    directory.close()


def test_what_was_unknown_is_found_after_a_change(directory: Directory, two_tenants: Commands) -> None:
    assert directory.recipients.resolve("info", "acme.example").kind == "unknown"
    assert directory.recipients.resolve("bob", "late.example").kind == "foreign"
    two_tenants("alias.add", tenant="acme", address="info@acme.example", targets=["bob@acme.example"])
    two_tenants("tenant.domain.add", tenant="acme", domain="late.example")
    two_tenants("alias.add", tenant="acme", address="bob@late.example", targets=["bob@acme.example"])
    assert directory.recipients.resolve("info", "acme.example").kind == "mailbox"
    assert directory.recipients.resolve("bob", "late.example").kind == "mailbox"


def test_listeners_hear_of_each_committed_change_and_of_no_other(directory: Directory, two_tenants: Commands) -> None:
    heard: list[str] = []
    directory.on_change(heard.append)
    two_tenants("alias.add", tenant="acme", address="info@acme.example", targets=["bob@acme.example"])
    two_tenants("user.disable", login="eve@bcme.example")
    two_tenants("tenant.domain.add", tenant="acme", domain="late.example")
    two_tenants("tenant.disable", name="acme")
    assert heard == ["acme", "bcme", "", "acme"]
    with pytest.raises(ConflictError):
        two_tenants("user.disable", login="eve@bcme.example")
    two_tenants("user.list", tenant="acme")
    assert len(heard) == 4


def test_all_is_there_after_a_restart(tmp_path: Path, directory: Directory, two_tenants: Commands) -> None:
    before = [(tenant, directory.content_key(tenant.name)) for tenant in directory.tenants]
    bob = directory.recipients.resolve("bob", "acme.example")
    directory.close()
    again = Directory(tmp_path)
    assert [(tenant, again.content_key(tenant.name)) for tenant in again.tenants] == before
    assert again.recipients.resolve("bob", "acme.example") == bob
    again.close()


def test_a_damaged_tenant_is_unavailable_and_the_other_goes_on(
    tmp_path: Path, directory: Directory, two_tenants: Commands, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = database_of(directory, tmp_path, "acme")
    directory.close()
    sound = path.read_bytes()
    path.write_bytes(b"\xff" * len(sound))
    reopened = Directory(tmp_path, clock)
    damaged: list[int] = []
    reopened.on_damage(damaged.append)
    assert reopened.recipients.resolve("bob", "acme.example") == Resolved("unavailable", TenantName("acme"))
    assert reopened.recipients.resolve("eve", "bcme.example").kind == "mailbox"
    with pytest.raises(UnavailableError):
        authenticate(reopened, "bob@acme.example", PASSWORD.encode())
    assert authenticate(reopened, "eve@bcme.example", PASSWORD.encode()).ok
    shown = Commands(reopened)("tenant.show", name="acme")
    assert "tenant.db" in shown["database"]
    assert shown["key"] == "ok"
    assert caplog.text.count("tenant unavailable") == 1, "one alert, not one for each recipient"

    path.write_bytes(sound)
    assert reopened.recipients.resolve("bob", "acme.example").kind == "unavailable", "left alone for a while"
    assert damaged == [1]
    clock.advance(RETRY_SECONDS)
    assert reopened.recipients.resolve("bob", "acme.example").kind == "mailbox"
    assert damaged == [1, 0]
    reopened.close()


def test_an_empty_file_is_a_damaged_one(tmp_path: Path, directory: Directory, two_tenants: Commands) -> None:
    """Not a tenant without people, whose mail would bounce."""
    path = database_of(directory, tmp_path, "acme")
    directory.close()
    path.write_bytes(b"")
    reopened = Directory(tmp_path)
    assert reopened.recipients.resolve("bob", "acme.example").kind == "unavailable"
    assert path.stat().st_size in (0, 4096)  # the log's mode may be noted
    reopened.close()


def test_a_tenant_whose_database_is_gone_is_unavailable_not_empty(
    tmp_path: Path, directory: Directory, two_tenants: Commands
) -> None:
    directory.close()
    shutil.rmtree(database_of(directory, tmp_path, "acme").parent)
    reopened = Directory(tmp_path)
    assert reopened.recipients.resolve("bob", "acme.example").kind == "unavailable"
    assert reopened.recipients.resolve("eve", "bcme.example").kind == "mailbox"
    reopened.close()


def test_a_damaged_registry_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"\xff" * 4096)
    with pytest.raises(UnavailableError, match=r"registry\.db: "):
        Directory(tmp_path)


def test_memory_is_bounded(directory: Directory, run: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_maps, "ADDRESSES_IN_MEMORY", 3)
    for name in ("one", "two", "three", "four", "five"):
        run("tenant.add", name=name, domains=[f"{name}.example"])
        run("mailbox.add", tenant=name, address=f"info@{name}.example")
    for _ in range(2):
        for name in ("one", "two", "three", "four", "five"):
            assert directory.recipients.resolve("info", f"{name}.example").kind == "mailbox"
    assert len(directory._maps._maps) == 3
    assert directory._maps._held == 3


def test_a_failed_tenant_add_leaves_nothing_to_see(
    tmp_path: Path, directory: Directory, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tenant: str) -> None:
        raise UnavailableError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(directory._storage.databases, "create", full)
        with pytest.raises(UnavailableError, match="No space"):
            run("tenant.add", name="acme", domains=["acme.example"])
    assert run("tenant.list") == []
    assert directory.recipients.resolve("bob", "acme.example").kind == "foreign"
    assert run("tenant.add", name="acme", domains=["acme.example"])["name"] == "acme"


def test_domains_come_and_go(directory: Directory, two_tenants: Commands) -> None:
    assert two_tenants("tenant.domain.add", tenant="acme", domain="Bücher.example") == "xn--bcher-kva.example"
    with pytest.raises(ConflictError, match="hosted here already"):
        two_tenants("tenant.domain.add", tenant="bcme", domain="bücher.example")
    two_tenants("alias.add", tenant="acme", address="info@bücher.example", targets=["bob@acme.example"])
    with pytest.raises(ConflictError, match=r"in use: info@xn--bcher-kva\.example"):
        two_tenants("tenant.domain.remove", tenant="acme", domain="bücher.example")
    two_tenants("alias.remove", address="info@bücher.example")
    two_tenants("tenant.domain.remove", tenant="acme", domain="bücher.example")
    assert directory.recipients.resolve("info", "xn--bcher-kva.example").kind == "foreign"
    assert directory.tenant("acme").domains == ("acme.example",)
    with pytest.raises(NotFoundError):
        two_tenants("tenant.domain.remove", tenant="acme", domain="bcme.example")


@pytest.mark.parametrize("domains", [["acme.example"], ["new.example", "acme.example"]])
def test_a_tenant_with_a_taken_domain_is_not_made(tmp_path: Path, two_tenants: Commands, domains: list[str]) -> None:
    folders = set((tmp_path / "tenants").iterdir())
    with pytest.raises(ConflictError, match=r"acme\.example is hosted here already"):
        two_tenants("tenant.add", name="ccme", domains=domains)
    assert set((tmp_path / "tenants").iterdir()) == folders
    assert [tenant["name"] for tenant in two_tenants("tenant.list")] == ["acme", "bcme"]


@pytest.mark.parametrize(
    "mailbox", ["", "..", "../../etc", "a" * 12, f"{'a' * 12}-{'a' * 12}/x", "\0", f"{'a' * 12}-{'u' * 12}"]
)
def test_no_path_is_made_of_what_is_no_mailbox_id(directory: Directory, mailbox: str) -> None:
    with pytest.raises(NotFoundError):
        directory.maildir(MailboxId(mailbox))


def test_names_on_disk_say_nothing_of_people(tmp_path: Path, two_tenants: Commands) -> None:
    names = [part for path in tmp_path.rglob("*") for part in path.relative_to(tmp_path).parts]
    assert not [name for name in names if any(word in name for word in ("acme", "bob", "alice", "team"))]


def test_folders_are_private(tmp_path: Path, two_tenants: Commands) -> None:
    for folder in (path for path in (tmp_path / "tenants").rglob("*") if path.is_dir()):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_bad_tenant_names_make_no_folder(tmp_path: Path, run: Commands) -> None:
    for name in ("../x", "a/b", "..", "a\0b", "\u202ex", "a" * 1000):
        with pytest.raises(UserError):
            run("tenant.add", name=name, domains=[])
    assert not (tmp_path / "tenants").exists()

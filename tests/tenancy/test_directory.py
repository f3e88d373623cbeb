"""Recipients, tenants and changes, on real databases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.model.errors import ConflictError, NotFoundError, UnavailableError, UserError
from mailgate.tenancy.directory import RETRY_SECONDS, Directory
from mailgate.tenancy.mailboxes import address_maps
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


def test_the_postmaster_is_the_oldest_users_until_an_alias_says_otherwise(
    directory: Directory, two_tenants: Commands
) -> None:
    bob = mailbox_id(two_tenants, "acme", "bob@acme.example")
    alice = mailbox_id(two_tenants, "acme", "alice@acme.example")
    oldest, other = sorted((bob, alice))  # made in the same second: the id decides
    assert directory.recipients.resolve("postmaster", "acme.example").mailboxes == (oldest,)
    login = {bob: "bob@acme.example", alice: "alice@acme.example"}
    two_tenants("user.disable", login=login[oldest])
    assert directory.recipients.resolve("postmaster", "acme.example").mailboxes == (other,)
    two_tenants("alias.add", tenant="acme", address="postmaster@acme.example", targets=[login[oldest]])
    assert directory.recipients.resolve("Postmaster", "acme.example").mailboxes == (oldest,)


def test_a_shared_mailbox_is_better_than_no_postmaster(directory: Directory, run: Commands) -> None:
    run("tenant.add", name="acme", domains=["acme.example"])
    assert directory.recipients.resolve("postmaster", "acme.example").kind == "unavailable"
    team = run("mailbox.add", tenant="acme", address="team@acme.example")["id"]
    assert directory.recipients.resolve("postmaster", "acme.example").mailboxes == (team,)


@pytest.mark.parametrize(
    ("hostname", "tenant"),
    [("", "acme"), ("mx.other.example", "acme"), ("bcme.example", "bcme"), ("MX1.bcme.example", "bcme")],
)
def test_the_postmaster_without_a_domain(
    tmp_path: Path, two_tenants: Commands, directory: Directory, hostname: str, tenant: str
) -> None:
    directory.close()
    named = Directory(tmp_path, hostname=hostname)
    found = named.recipients.resolve("postmaster", "")
    assert (found.kind, found.tenant) == ("mailbox", tenant)
    assert found == named.recipients.postmaster()
    named.close()


def test_the_postmaster_without_a_domain_skips_tenants_without_a_mailbox(directory: Directory, run: Commands) -> None:
    assert directory.recipients.postmaster() == Resolved("unavailable")
    run("tenant.add", name="empty", domains=["empty.example"])
    assert directory.recipients.postmaster() == Resolved("unavailable")
    run("tenant.add", name="acme", domains=["acme.example"])
    run("user.add", tenant="acme", login="bob@acme.example", password=PASSWORD)
    assert directory.recipients.postmaster().tenant == "acme"


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

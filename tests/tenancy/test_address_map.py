"""Where addresses lead, without a database."""

from __future__ import annotations

import pytest

from mailgate.ipc.calls import Resolved
from mailgate.model.envelope import MailboxId, TenantName
from mailgate.tenancy.mailboxes.address_map import AddressMap, build

ACME = TenantName("acme")
BOB, TEAM, OLD = MailboxId("bob"), MailboxId("team"), MailboxId("old")


@pytest.fixture
def addresses() -> AddressMap:
    targets = [
        ("bob@acme.example", BOB, True),
        ("all@acme.example", BOB, True),
        ("all@acme.example", TEAM, True),
        ("some@acme.example", OLD, False),
        ("some@acme.example", TEAM, True),
        ("old@acme.example", OLD, False),
        ("josé@acme.example", BOB, True),
        ("postmaster@two.example", TEAM, True),
        ("postmaster@three.example", OLD, False),
    ]
    return build(ACME, targets, {}, administrators=["bob@acme.example", "old@acme.example", "gone@acme.example"])


@pytest.mark.parametrize(
    ("local", "domain", "kind", "mailboxes"),
    [
        ("bob", "acme.example", "mailbox", (BOB,)),
        ("BOB", "acme.example", "mailbox", (BOB,)),
        ("bob+shop", "acme.example", "mailbox", (BOB,)),
        ("Bob+a+b", "acme.example", "mailbox", (BOB,)),
        ("jose\u0301", "acme.example", "mailbox", (BOB,)),
        ("JOS\u00c9", "acme.example", "mailbox", (BOB,)),
        ("all", "acme.example", "mailbox", (BOB, TEAM)),
        ("some", "acme.example", "mailbox", (TEAM,)),
        ("old", "acme.example", "disabled", ()),
        ("old+x", "acme.example", "disabled", ()),
        ("nobody", "acme.example", "unknown", ()),
        ("+x", "acme.example", "unknown", ()),
        ("bob", "two.example", "unknown", ()),
        ("Postmaster", "acme.example", "unknown", ()),
        ("postmaster", "two.example", "mailbox", (TEAM,)),
        ("postmaster", "three.example", "disabled", ()),
        ("xpostmaster", "acme.example", "unknown", ()),
    ],
)
def test_resolve(addresses: AddressMap, local: str, domain: str, kind: str, mailboxes: tuple[MailboxId, ...]) -> None:
    assert addresses.resolve(local, domain) == Resolved(kind, ACME, mailboxes)


def test_administrators_have_their_own_mailboxes(addresses: AddressMap) -> None:
    assert addresses.administrators == (BOB,)


def test_one_for_all_others_does_not_take_what_every_domain_has() -> None:
    found = build(ACME, [("@acme.example", BOB, True)], {})
    assert found.resolve("anybody", "acme.example").mailboxes == (BOB,)
    assert [found.resolve(local, "acme.example").kind for local in ("postmaster", "abuse")] == ["unknown", "unknown"]


def test_without_labels_a_plus_is_a_letter_like_any_other(addresses: AddressMap) -> None:
    assert addresses.resolve("bob", "acme.example", has_labels=False).kind == "mailbox"
    for local in ("bob+shop", "postmaster+x", "+x"):
        assert addresses.resolve(local, "acme.example", has_labels=False).kind == "unknown"
